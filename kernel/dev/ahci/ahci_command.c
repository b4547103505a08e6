/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of an AHCI port (AHCI 1.3.1 §4, §5): their structures in memory, made of
 * bios, and their ends. Reads and writes are queued by the disk itself (NCQ) where it
 * can; other commands go alone. Main struct: ahci_port; lock: its ioq.lock.
 *
 * A port's memory: the command list, received FISes, the ranges of a TRIM, and a
 * command table for each slot.
 */
#include <errno.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/ahci/ahci.h"
#include "lib/string.h"

#define AT_RECEIVED 1024
#define AT_RANGES   1536
#define AT_TABLES   2048
#define TABLE_BYTES (128 + BIO_VECS * 16) /* a multiple of 128 */
#define TABLE_CDB   64
#define TABLE_DATA  128

#define IS_CHANGED ((1u << 6) | (1u << 22))                            /* of the link */
#define IS_FAILED  ((1u << 27) | (1u << 28) | (1u << 29) | (1u << 30)) /* the port stopped */

#define FEATURE_TRIM  1
#define FEATURE_DMA   1 /* of PACKET */
#define RANGE_SECTORS 0xffffu
#define RANGES        64

/* Of the command list (§4.2.2). */
struct ahci_head {
    uint16_t flags, segments;
    uint32_t moved;
    uint64_t table;
    uint32_t reserved[4];
};
#define HEAD_FIS   5 /* double words of the command */
#define HEAD_ATAPI (1u << 5)
#define HEAD_WRITE (1u << 6)

struct ahci_segment {
    uint64_t address;
    uint32_t reserved, last; /* bytes - 1 */
};

/* Register FIS, host to device. */
struct ahci_fis {
    uint8_t type, flags, command, feature;
    uint8_t lba0, lba1, lba2, device;
    uint8_t lba3, lba4, lba5, feature_high;
    uint8_t count, count_high, icc, control;
    uint8_t reserved[4];
};

void ahci_command_area(const struct ahci_port *port, paddr_t *list, paddr_t *received)
{
    *list = virt_to_phys(port->memory);
    *received = virt_to_phys(port->memory + AT_RECEIVED);
}

static uint8_t *table_of(const struct ahci_port *port, unsigned slot)
{
    return port->memory + AT_TABLES + slot * TABLE_BYTES;
}

void ahci_commands_init(struct ahci_port *port)
{
    struct ahci_head *list = (void *)port->memory;
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        list[i].table = virt_to_phys(table_of(port, i));
}

static void lba_fill(struct ahci_fis *f, uint64_t lba, uint32_t count)
{
    f->lba0 = (uint8_t)lba;
    f->lba1 = (uint8_t)(lba >> 8);
    f->lba2 = (uint8_t)(lba >> 16);
    f->lba3 = (uint8_t)(lba >> 24);
    f->lba4 = (uint8_t)(lba >> 32);
    f->lba5 = (uint8_t)(lba >> 40);
    f->count = (uint8_t)count;
    f->count_high = (uint8_t)(count >> 8);
    f->device = ATA_DEVICE_LBA;
}

static void disk_transfer(const struct ahci_port *port, struct ahci_fis *f,
                          const struct bio_part *p, unsigned slot, bool queued)
{
    uint32_t sectors = port->dev.block_size / 512, count = p->bytes / port->dev.block_size;
    uint64_t lba = p->sector / sectors;
    bool write = p->bio->op == BIO_WRITE;
    lba_fill(f, lba, count);
    if (queued) {
        f->command = write ? ATA_WRITE_QUEUED : ATA_READ_QUEUED;
        f->feature = (uint8_t)count;
        f->feature_high = (uint8_t)(count >> 8);
        f->count = (uint8_t)(slot << 3);
        f->count_high = 0;
    } else if (port->disk.wide) {
        f->command = write ? ATA_WRITE_WIDE : ATA_READ_WIDE;
    } else {
        f->command = write ? ATA_WRITE : ATA_READ;
        f->device |= f->lba3 & 15;
        f->lba3 = 0;
        f->count_high = 0; /* 256 are 0 */
    }
}

static void packet_fill(struct ahci_port *port, struct ahci_fis *f, unsigned slot,
                        const uint8_t *cdb, bool data)
{
    f->command = ATA_PACKET;
    f->feature = data ? FEATURE_DMA : 0;
    memcpy(table_of(port, slot) + TABLE_CDB, cdb, SCSI_CDB);
}

/* TRIM: up to RANGES pieces of up to RANGE_SECTORS blocks. */
static struct bio_seg trim_fill(struct ahci_port *port, struct ahci_fis *f,
                                const struct bio_part *p)
{
    uint64_t *ranges = (void *)(port->memory + AT_RANGES);
    uint32_t per_block = port->dev.block_size / 512;
    uint64_t lba = p->sector / per_block, left = p->bio->sectors / per_block;
    memset(ranges, 0, RANGES * sizeof *ranges);
    for (unsigned i = 0; i < RANGES && left; i++) {
        uint64_t n = MIN(left, (uint64_t)RANGE_SECTORS);
        ranges[i] = lba | n << 48;
        lba += n;
        left -= n;
    }
    lba_fill(f, 0, 1);
    f->command = ATA_DATASET;
    f->feature = FEATURE_TRIM;
    return (struct bio_seg){virt_to_phys(ranges), RANGES * sizeof *ranges};
}

/* The command of a bio's part, and its memory: the number of segments, or -errno. */
static int command_fill(struct ahci_port *port, unsigned slot, bool queued, struct ahci_fis *f,
                        struct bio_seg *seg)
{
    struct bio_part *p = &port->q.slot[slot].part;
    uint8_t cdb[SCSI_CDB];
    if (p->bio->op == BIO_FLUSH) {
        f->command = port->disk.flush_wide ? ATA_FLUSH_WIDE : ATA_FLUSH;
        return 0;
    }
    if (p->bio->op == BIO_DISCARD) {
        seg[0] = trim_fill(port, f, p);
        return 1;
    }
    unsigned n = bio_part_fill(p, seg, BIO_VECS, 0);
    for (unsigned i = 0; i < n; i++)
        if (seg[i].addr & 1)
            return -EINVAL;
    if (p->bio->op == BIO_COMMAND) {
        struct ahci_command *cmd = CONTAINER_OF(p->bio, struct ahci_command, bio);
        f->command = cmd->command;
        if (cmd->command == ATA_PACKET)
            packet_fill(port, f, slot, cmd->cdb, n);
        return (int)n;
    }
    if (!p->bytes || p->bytes % port->dev.block_size)
        return -EINVAL; /* pieces of the bio that no command can have */
    if (port->kind == AHCI_OPTICAL) {
        uint32_t block = port->dev.block_size;
        scsi_cdb_transfer(cdb, false, false, false, p->sector / (block / 512), p->bytes / block);
        packet_fill(port, f, slot, cdb, true);
    } else {
        disk_transfer(port, f, p, slot, queued);
    }
    return (int)n;
}

static int port_command(struct ioq *q, unsigned slot)
{
    struct ahci_port *port = CONTAINER_OF(q, struct ahci_port, q);
    const struct bio *bio = q->slot[slot].part.bio;
    bool transfer = bio->op == BIO_READ || bio->op == BIO_WRITE;
    bool queued = port->ncq && transfer && !port->solo;
    if (port->plain || (!queued && port->queued))
        return -EAGAIN;
    struct bio_seg seg[BIO_VECS];
    struct ahci_fis fis = {.type = 0x27, .flags = 0x80};
    int n = command_fill(port, slot, queued, &fis, seg);
    if (n < 0)
        return n;
    uint8_t *table = table_of(port, slot);
    struct ahci_head *head = (struct ahci_head *)(void *)port->memory + slot;
    struct ahci_segment *data = (void *)(table + TABLE_DATA);
    memcpy(table, &fis, sizeof fis);
    for (int i = 0; i < n; i++)
        data[i] = (struct ahci_segment){seg[i].addr, 0, seg[i].len - 1};
    head->flags = (uint16_t)(HEAD_FIS | (fis.command == ATA_PACKET ? HEAD_ATAPI : 0) |
                             (n && !bio_reads(bio) ? HEAD_WRITE : 0));
    head->segments = (uint16_t)n;
    head->moved = 0;
    *(queued ? &port->queued : &port->plain) |= 1u << slot;
    port->starting |= 1u << slot;
    return 0;
}

static void port_kick(struct ioq *q)
{
    struct ahci_port *port = CONTAINER_OF(q, struct ahci_port, q);
    if (port->starting & port->queued)
        ahci_port_write(port, PORT_SACT, port->starting & port->queued);
    if (port->starting)
        ahci_port_write(port, PORT_CI, port->starting);
    port->starting = 0;
}

const struct ioq_ops ahci_ops = {.start = port_command, .kick = port_kick};

/* A slot's command has ended. */
static void slot_ended(struct ahci_port *port, unsigned slot, int status, struct list *done)
{
    uint32_t bit = 1u << slot;
    const struct bio *bio = port->q.slot[slot].part.bio;
    if (port->plain & bit && port->solo && (bio->op == BIO_READ || bio->op == BIO_WRITE))
        port->solo--;
    port->plain &= ~bit;
    port->queued &= ~bit;
    ioq_done(&port->q, slot, status, done);
}

void ahci_port_reap(struct ahci_port *port)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&port->q.lock);
    bool wake = false;
    if (!port->q.stopped) {
        uint32_t is = ahci_port_read(port, PORT_IS);
        ahci_port_write(port, PORT_IS, is);
        uint32_t ended = (port->queued & ~ahci_port_read(port, PORT_SACT)) |
                         (port->plain & ~ahci_port_read(port, PORT_CI));
        /* An error stops the port; the command it is about is still there. */
        for (; ended; ended &= ended - 1)
            slot_ended(port, (unsigned)__builtin_ctz(ended), 0, &done);
        if (is & (IS_FAILED | IS_CHANGED)) {
            port->error |= is;
            port->q.stopped = wake = true;
        }
        ioq_dispatch(&port->q, &done);
    }
    spin_unlock_irq(&port->q.lock, flags);
    ioq_complete(&done);
    if (wake)
        ioq_host_wake(&port->hba->host);
}

/* What the device says of a command that failed. */
static int failure(const struct ahci_port *port, const struct bio *bio, uint32_t tfd)
{
    uint8_t code = TFD_CODE(tfd);
    if (!(tfd & TFD_ERROR))
        return -EAGAIN; /* it was not the device */
    return port->kind == AHCI_OPTICAL ? ata_optical_error(code) : ata_disk_error(code, bio);
}

void ahci_port_failed(struct ahci_port *port, uint32_t tfd, struct list *done)
{
    if (port->plain) {
        unsigned slot = (unsigned)__builtin_ctz(port->plain);
        slot_ended(port, slot, failure(port, port->q.slot[slot].part.bio, tfd), done);
    }
    /* The disk forgets all queued commands when one fails: each for itself tells which it was. */
    for (uint32_t left = port->queued; left; left &= left - 1)
        port->solo++;
    port->queued = port->starting = 0;
}
