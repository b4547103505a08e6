/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks behind a virtio SCSI controller: what a unit is, and its commands. Main
 * struct: scsi_disk, which is filled once; only its size changes later.
 */
#include <errno.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/sd_name.h"
#include "dev/virtio/scsi_host.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define ANSWER_ROOM     512       /* bytes of an answer that are looked at */
#define WRITE_SAME_MOST 0x7fffffu /* blocks, where the disk names no limit */
#define NARROW_MOST     0xffffu   /* blocks of a command of 10 bytes */
#define CAPACITY_BYTES  32
#define CAPACITY_NARROW 8
#define INQUIRY_BYTES   36

static const uint8_t zeroes[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* A conversation with a unit: one command after the other, the answer in `data`. */
struct talk {
    struct scsi_host *host;
    struct scsi_unit unit;
    struct scsi_command cmd;
    uint8_t data[ANSWER_ROOM];
};

static struct talk *talk_begin(struct scsi_host *host, const struct scsi_unit *unit)
{
    struct talk *t = kzalloc(sizeof *t);
    if (t) {
        t->host = host;
        t->unit = *unit;
    }
    return t;
}

/* Runs t->cmd; -EIO also for an answer shorter than `least`. */
static int talk(struct talk *t, uint32_t room, uint32_t least)
{
    memset(t->data, 0, sizeof t->data);
    int err = scsi_run(t->host, &t->unit, &t->cmd, t->data, room);
    return !err && t->cmd.got < least ? -EIO : err;
}

static int vpd_read(struct talk *t, uint8_t page, uint32_t least)
{
    scsi_cdb_inquiry(t->cmd.cdb, page, ANSWER_ROOM);
    int err = talk(t, ANSWER_ROOM, least);
    return !err && t->data[1] != page ? -EIO : err;
}

struct capacity {
    uint64_t blocks;
    uint32_t block_size;
    bool wide, provision; /* it knows commands of 16 bytes; it may give blocks back */
};

static int capacity_read(struct talk *t, struct capacity *c)
{
    *c = (struct capacity){.wide = true};
    scsi_cdb_read_capacity(t->cmd.cdb, true, CAPACITY_BYTES);
    int err = talk(t, CAPACITY_BYTES, 12);
    if (!err) {
        c->blocks = scsi_get64(t->data) + 1;
        c->block_size = scsi_get32(t->data + 8);
        c->provision = t->data[14] & 0x80;
    }
    if (err != -EOPNOTSUPP)
        return err;
    scsi_cdb_read_capacity(t->cmd.cdb, false, CAPACITY_NARROW);
    err = talk(t, CAPACITY_NARROW, CAPACITY_NARROW);
    *c = (struct capacity){.blocks = (uint64_t)scsi_get32(t->data) + 1,
                           .block_size = scsi_get32(t->data + 4)};
    return err;
}

static bool capacity_possible(const struct capacity *c)
{
    uint32_t size = c->block_size;
    return size >= 512 && size <= PAGE_SIZE && !(size & (size - 1)) && c->blocks &&
           c->blocks <= INT64_MAX / size;
}

static uint64_t capacity_sectors(const struct capacity *c)
{
    return c->blocks * (c->block_size / 512);
}

/* Write protection and the cache; a disk that does not tell may have one. */
static void mode_read(struct talk *t, struct scsi_disk *disk)
{
    scsi_cdb_mode_sense(t->cmd.cdb, SCSI_PAGE_CACHE, 255);
    disk->cache = true;
    if (talk(t, 255, 4))
        return;
    disk->dev.read_only = t->data[2] & 0x80;
    disk->dev.durable = t->data[2] & 0x10;
    const uint8_t *page = t->data + 4 + t->data[3];
    if (t->data[3] + 4u + 3 <= t->cmd.got && (page[0] & 0x3f) == SCSI_PAGE_CACHE)
        disk->cache = page[2] & 4;
    disk->dev.durable &= disk->cache;
}

static uint32_t blocks_limit(uint64_t told, uint32_t most)
{
    return told && told < most ? (uint32_t)told : most;
}

/* How much a command may carry, and how blocks are given back. */
static void limits_read(struct talk *t, struct scsi_disk *disk, const struct capacity *c)
{
    uint32_t sectors = c->block_size / 512, unmap = 0;
    uint32_t most = disk->wide ? UINT32_MAX / c->block_size : NARROW_MOST;
    uint64_t same = WRITE_SAME_MOST;
    if (!vpd_read(t, SCSI_VPD_LIMITS, 16)) {
        most = blocks_limit(scsi_get32(t->data + 8), most);
        unmap = scsi_get32(t->data + 20);
        same = blocks_limit(scsi_get64(t->data + 36), WRITE_SAME_MOST);
    }
    most = MIN(most, scsi_host_transfer_max(disk->host) / c->block_size);
    disk->dev.transfer_max = most * c->block_size;
    disk->dev.zeroes_max = disk->wide ? same * sectors : 0;
    if (!c->provision || vpd_read(t, SCSI_VPD_PROVISION, 6))
        return;
    if (t->data[5] & 0x80 && unmap) {
        disk->discard = DISCARD_UNMAP;
        disk->dev.discard_max = (uint64_t)unmap * sectors;
    } else if (t->data[5] & 0x40) {
        disk->discard = DISCARD_WRITE_SAME;
        disk->dev.discard_max = same * sectors;
    }
}

static int disk_fill(struct talk *t, struct scsi_disk *disk)
{
    struct capacity c;
    int err = capacity_read(t, &c);
    if (err)
        return err;
    disk->wide = c.wide;
    disk->dev.sectors = capacity_sectors(&c);
    disk->dev.block_size = c.block_size;
    if (capacity_possible(&c)) {
        mode_read(t, disk);
        limits_read(t, disk, &c);
    }
    if (disk->dev.transfer_max)
        return 0;
    log_error("scsi %u:%u: impossible disk: %llu blocks of %u bytes", disk->unit.target,
              disk->unit.lun, (unsigned long long)c.blocks, c.block_size);
    return -EINVAL;
}

int scsi_disk_identify(struct scsi_host *host, const struct scsi_unit *unit,
                       const struct blkdev_ops *ops, struct scsi_disk **out)
{
    struct talk *t = talk_begin(host, unit);
    struct scsi_disk *disk = kzalloc(sizeof *disk);
    int err = -ENOMEM;
    if (!t || !disk)
        goto failed;
    disk->host = host;
    disk->unit = *unit;
    disk->dev.ops = ops;
    disk->dev.priv = disk;
    list_init(&disk->link);
    scsi_cdb_inquiry(t->cmd.cdb, 0, INQUIRY_BYTES);
    err = talk(t, INQUIRY_BYTES, 5);
    if (!err && t->data[0] != SCSI_TYPE_DISK) /* with the qualifier, whose 0 means "there" */
        err = -ENODEV;
    if (!err)
        err = disk_fill(t, disk);
    if (!err)
        err = sd_name_take(&disk->dev, &disk->index);
    if (err)
        goto failed;
    kfree(t);
    *out = disk;
    return 0;

failed:
    kfree(disk);
    kfree(t);
    return err;
}

void scsi_disk_free(struct blkdev *dev)
{
    struct scsi_disk *disk = dev->priv;
    sd_name_give_back(disk->index);
    kfree(disk);
}

void scsi_disk_measure(struct scsi_disk *disk)
{
    struct talk *t = talk_begin(disk->host, &disk->unit);
    struct capacity c;
    if (t && !capacity_read(t, &c) && capacity_possible(&c) && c.block_size == disk->dev.block_size)
        blkdev_resize(&disk->dev, capacity_sectors(&c));
    kfree(t);
}

unsigned scsi_disk_command(const struct scsi_disk *disk, struct diskq_request *r, uint8_t *cdb,
                           uint8_t *parameters)
{
    const struct bio *bio = r->part.bio;
    uint32_t size = disk->dev.block_size, sectors = size / 512;
    uint64_t block = r->part.sector / sectors;
    uint32_t count = (uint32_t)(bio->sectors / sectors); /* of a discard, of zeroes */
    switch (bio->op) {
    case BIO_FLUSH:
        scsi_cdb_flush(cdb);
        return 0;
    case BIO_DISCARD:
        if (disk->discard == DISCARD_UNMAP) {
            scsi_cdb_unmap(cdb, parameters, block, count);
            return SCSI_UNMAP_BYTES;
        }
        /* fall through */
    case BIO_ZEROES:
        scsi_cdb_write_same(cdb, bio->op == BIO_DISCARD, block, count);
        r->extra = (struct virtq_seg){virt_to_phys(zeroes), size};
        return 0;
    default:
        scsi_cdb_transfer(cdb, bio->op == BIO_WRITE, disk->wide, bio->durable, block,
                          r->part.bytes / size);
        return 0;
    }
}
