/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands at an AHCI port: a disk's identity (ACS-3 §7.12), an optical drive's
 * medium (MMC-6). Main struct: ahci_port, whose `dev` is filled here.
 */
#include <errno.h>

#include "core/log.h"
#include "dev/ahci/ahci.h"
#include "dev/sd_name.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define IDENTIFY_DEVICE 0xec
#define PACKET          0xa0
#define IDENTIFY_BYTES  512
#define CAPACITY_BYTES  8
#define TRANSFER_MAX    (4u << 20)   /* a segment has 22 bits of length */
#define TRANSFER_NARROW (256u * 512) /* without commands of 48 bits */
#define TRIM_BLOCKS     (64ull * 0xffff)
#define OPTICAL_BLOCKS  64 /* of a read */
#define CAP_NCQ         (1u << 30)
#define CAP_SLOTS(caps) (((caps) >> 8 & 31) + 1)

static unsigned optical_count;

static void command_submit(struct blkdev *none, struct bio *bio)
{
    (void)none;
    ioq_submit(&CONTAINER_OF(bio, struct ahci_command, bio)->port->q, bio);
}

/* Runs a command that reads `len` bytes (may be 0) into `data`; fails as ahci_ops do. */
static int command_run(struct ahci_port *port, struct ahci_command *cmd, void *data, uint32_t len)
{
    cmd->bio = (struct bio){.op = BIO_COMMAND, .count = len != 0};
    cmd->bio.vec[0] = (struct bio_vec){data, len};
    cmd->port = port;
    return bio_wait(&cmd->bio, command_submit, NULL);
}

static void disk_submit(struct blkdev *dev, struct bio *bio)
{
    struct ahci_port *port = dev->priv;
    if (bio->op == BIO_FLUSH && !port->cache) {
        bio->status = 0;
        bio_complete(bio);
        return;
    }
    ioq_submit(&port->q, bio);
}

static const struct blkdev_ops disk_ops = {.submit = disk_submit};

/* Words of a disk's identity. */
static uint64_t words(const uint16_t *w, unsigned first, unsigned count)
{
    uint64_t v = 0;
    for (unsigned i = count; i--;)
        v = v << 16 | w[first + i];
    return v;
}

/* A word of flags is valid where its upper bits are 01. */
static bool flag(const uint16_t *w, unsigned word, unsigned bit)
{
    return (w[word] & 0xc000) == 0x4000 && w[word] >> bit & 1;
}

/* Fills the device; -EINVAL: an impossible disk. */
static int disk_fill(struct ahci_port *port, const uint16_t *w)
{
    struct blkdev *dev = &port->dev;
    port->wide = flag(w, 83, 10);
    uint64_t blocks = port->wide ? words(w, 100, 4) : words(w, 60, 2);
    uint64_t size = flag(w, 106, 12) ? words(w, 117, 2) * 2 : 512;
    if (size < 512 || size > PAGE_SIZE || size & (size - 1) || !blocks ||
        blocks >> (port->wide ? 48 : 28)) {
        log_error("%s: port %u: impossible disk: %llu blocks of %llu bytes", port->hba->name,
                  port->index, (unsigned long long)blocks, (unsigned long long)size);
        return -EINVAL;
    }
    dev->block_size = (uint32_t)size;
    dev->sectors = blocks * (size / 512);
    dev->transfer_max = port->wide ? TRANSFER_MAX : TRANSFER_NARROW;
    port->cache = w[82] & 1 << 5;
    port->flush_wide = port->wide && flag(w, 83, 13);
    if (port->wide && w[169] & 1)
        dev->discard_max = TRIM_BLOCKS * (size / 512);
    unsigned depth = MIN((w[75] & 31u) + 1, CAP_SLOTS(port->hba->caps));
    port->ncq =
        port->wide && port->hba->caps & CAP_NCQ && w[76] != 0xffff && w[76] & 1 << 8 && depth > 1;
    if (port->ncq)
        ioq_set_depth(&port->q, depth);
    return 0;
}

static int disk_identify(struct ahci_port *port)
{
    struct ahci_command *cmd = kzalloc(sizeof *cmd);
    uint16_t *w = kzalloc(IDENTIFY_BYTES);
    int err = -ENOMEM;
    if (cmd && w) {
        cmd->command = IDENTIFY_DEVICE;
        err = command_run(port, cmd, w, IDENTIFY_BYTES);
        if (!err)
            err = disk_fill(port, w);
        if (!err)
            err = sd_name_take(&port->dev, &port->name);
    }
    kfree(w);
    kfree(cmd);
    return err;
}

static int optical_fill(struct ahci_port *port, uint32_t last, uint32_t size)
{
    struct blkdev *dev = &port->dev;
    if (size < 512 || size > PAGE_SIZE || size & (size - 1) || last == UINT32_MAX)
        return -EINVAL;
    dev->block_size = size;
    dev->sectors = ((uint64_t)last + 1) * (size / 512);
    dev->transfer_max = OPTICAL_BLOCKS * size;
    dev->read_only = true;
    snprintf(dev->name, sizeof dev->name, "sr%u", optical_count++);
    return 0;
}

/* Its medium: a drive that was just turned on, or has a new one, says so first. */
static int optical_identify(struct ahci_port *port)
{
    struct ahci_command *cmd = kzalloc(sizeof *cmd);
    uint8_t *data = kzalloc(CAPACITY_BYTES);
    int err = -ENOMEM;
    if (cmd && data) {
        cmd->command = PACKET; /* with TEST UNIT READY, which is all zero */
        err = command_run(port, cmd, NULL, 0);
        scsi_cdb_read_capacity(cmd->cdb, false, CAPACITY_BYTES);
        if (!err)
            err = command_run(port, cmd, data, CAPACITY_BYTES);
        if (!err)
            err = optical_fill(port, scsi_get32(data), scsi_get32(data + 4));
    }
    kfree(data);
    kfree(cmd);
    return err == -EIO ? -ENODEV : err;
}

int ahci_disk_identify(struct ahci_port *port)
{
    port->dev.ops = &disk_ops;
    port->dev.priv = port;
    return port->kind == AHCI_DISK ? disk_identify(port) : optical_identify(port);
}
