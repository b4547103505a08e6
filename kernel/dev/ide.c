/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDE channels: see ide.h. A channel has two devices and one command at a time, whose
 * data the interrupt handler moves block by block. Main structs: ide_channel, ide_disk;
 * lock: ioq.lock of the channel for the command under way.
 */
#include "dev/ide.h"

#include <errno.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/io.h"
#include "core/log.h"
#include "dev/acpi.h"
#include "dev/ata.h"
#include "dev/ioq.h"
#include "dev/scsi.h"
#include "dev/sd_name.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

/* Ports of a channel, from its first. */
enum { DATA, ERROR, COUNT, LBA0, LBA1, LBA2, DEVICE, STATUS };
#define FEATURE       ERROR  /* when written */
#define COMMAND       STATUS /* when written */
#define REASON        COUNT  /* of a packet's interrupt: bit 0 command, bit 1 to us */
#define CONTROL_RESET 4
#define REASON_IN     2

#define DEVICE_ALWAYS  0xa0
#define DEVICE_SECOND  0x10
#define CLASS_NATIVE_1 1u /* of the programming interface: the channel has other ports */
#define CLASS_NATIVE_2 4u
#define TRANSFER_MAX   (256u * 512)
#define CDB_BYTES      12
#define SETTLE         4     /* reads of a register that take 400 ns */
#define POLLS          20000 /* until a device that does nothing else takes a command */
#define READY_MS       10000
#define ANSWER_MS      5000
#define RESET_MS       2
#define ATTENTIONS     6 /* things that a drive may have to say before it answers */
#define FLOATING       0xff

struct ide_disk {
    struct blkdev dev;
    struct ide_channel *channel;
    bool second, optical;
    struct ata_disk ata;
    unsigned multiple; /* sectors that an interrupt moves */
    unsigned name;     /* of sd_name.h */
};

struct ide_channel {
    struct ioq q;
    struct ioq_host host;
    const char *name;
    uint16_t port, control;
    struct ide_disk *disk[2];
    /* Of the command under way: where in the bio the next data goes, and how much is left. */
    unsigned piece;
    uint32_t at, left;
};

static uint8_t status_of(const struct ide_channel *c)
{
    return inb(c->control); /* does not acknowledge an interrupt, as STATUS does */
}

static bool device_ready(void *arg)
{
    return !(status_of(arg) & (ATA_STATUS_BUSY | ATA_STATUS_DATA));
}

static bool device_answers(void *arg)
{
    return !(status_of(arg) & ATA_STATUS_BUSY);
}

/* Waits without sleeping: under a lock, for what takes a device microseconds. */
static bool poll_for(struct ide_channel *c, uint8_t mask, uint8_t want)
{
    for (unsigned i = 0; i < POLLS; i++) {
        if ((status_of(c) & mask) == want)
            return true;
        cpu_relax();
    }
    return false;
}

static void device_select(const struct ide_channel *c, bool second, uint8_t more)
{
    outb((uint16_t)(c->port + DEVICE), DEVICE_ALWAYS | (second ? DEVICE_SECOND : 0) | more);
    for (unsigned i = 0; i < SETTLE; i++)
        status_of(c);
}

static void command_write(const struct ide_channel *c, uint8_t command)
{
    outb((uint16_t)(c->port + COMMAND), command);
    for (unsigned i = 0; i < SETTLE; i++)
        status_of(c);
}

/* The registers of a packet: data in pieces of at most 62 KiB. */
static void packet_begin(const struct ide_channel *c)
{
    outb((uint16_t)(c->port + FEATURE), 0);
    outb((uint16_t)(c->port + LBA1), 0x00);
    outb((uint16_t)(c->port + LBA2), 0xf8);
    command_write(c, ATA_PACKET);
}

static uint32_t packet_bytes(const struct ide_channel *c)
{
    return inb((uint16_t)(c->port + LBA1)) | (uint32_t)inb((uint16_t)(c->port + LBA2)) << 8;
}

/* Throws words away that nobody wants. */
static void drain(const struct ide_channel *c, uint32_t bytes)
{
    for (; bytes > 1; bytes -= 2)
        inw((uint16_t)(c->port + DATA));
}

/* Moves bytes between the device and the bio. */
static void data_move(struct ide_channel *c, const struct bio *bio, uint32_t bytes)
{
    uint32_t mine = MIN(bytes, c->left);
    c->left -= mine;
    bytes -= mine;
    while (mine) {
        const struct bio_vec *v = &bio->vec[c->piece];
        uint32_t len = MIN(mine, v->len - c->at);
        char *p = (char *)v->data + c->at;
        if (bio->op == BIO_WRITE)
            outs16((uint16_t)(c->port + DATA), p, len / 2);
        else
            ins16((uint16_t)(c->port + DATA), p, len / 2);
        mine -= len;
        c->at += len;
        if (c->at == v->len) {
            c->at = 0;
            c->piece++;
        }
    }
    drain(c, bytes);
}

static void lba_write(const struct ide_channel *c, uint64_t lba, uint32_t count)
{
    outb((uint16_t)(c->port + COUNT), (uint8_t)count);
    outb((uint16_t)(c->port + LBA0), (uint8_t)lba);
    outb((uint16_t)(c->port + LBA1), (uint8_t)(lba >> 8));
    outb((uint16_t)(c->port + LBA2), (uint8_t)(lba >> 16));
}

static void transfer_begin(struct ide_channel *c, const struct ide_disk *d,
                           const struct bio_part *p)
{
    uint32_t count = p->bytes / d->dev.block_size;
    uint64_t lba = p->sector / (d->dev.block_size / 512);
    bool write = p->bio->op == BIO_WRITE, wide = d->ata.wide;
    device_select(c, d->second, ATA_DEVICE_LBA | (wide ? 0 : (uint8_t)(lba >> 24 & 15)));
    if (wide) /* each register takes two bytes, the upper one first */
        lba_write(c, lba >> 24, count >> 8);
    lba_write(c, lba, count);
    command_write(c, write ? (wide ? ATA_WRITE_MULTIPLE_WIDE : ATA_WRITE_MULTIPLE)
                           : (wide ? ATA_READ_MULTIPLE_WIDE : ATA_READ_MULTIPLE));
}

static uint32_t chunk_of(const struct ide_channel *c, const struct ide_disk *d)
{
    return MIN(c->left, d->multiple * d->dev.block_size);
}

static int packet_read(struct ide_channel *c, const struct ide_disk *d, const struct bio_part *p)
{
    uint8_t cdb[SCSI_CDB];
    uint32_t block = d->dev.block_size;
    scsi_cdb_transfer(cdb, false, false, false, p->sector / (block / 512), p->bytes / block);
    device_select(c, d->second, 0);
    packet_begin(c);
    if (!poll_for(c, ATA_STATUS_BUSY | ATA_STATUS_DATA, ATA_STATUS_DATA))
        return -EIO;
    outs16((uint16_t)(c->port + DATA), cdb, CDB_BYTES / 2);
    return 0;
}

static int channel_start(struct ioq *q, unsigned slot)
{
    struct ide_channel *c = CONTAINER_OF(q, struct ide_channel, q);
    struct bio_part *p = &q->slot[slot].part;
    const struct ide_disk *d = p->bio->dev->priv;
    struct bio_seg seg[BIO_VECS];
    bio_part_fill(p, seg, BIO_VECS, 0);
    c->piece = p->first;
    c->at = p->skip;
    c->left = p->bytes;
    if (p->bytes % d->dev.block_size)
        return -EINVAL; /* pieces of the bio that no command can have */
    device_select(c, d->second, 0);
    if (!poll_for(c, ATA_STATUS_BUSY | ATA_STATUS_DATA, 0))
        return -EIO;
    if (d->optical)
        return packet_read(c, d, p);
    if (p->bio->op == BIO_FLUSH) {
        command_write(c, d->ata.flush_wide ? ATA_FLUSH_WIDE : ATA_FLUSH);
        return 0;
    }
    transfer_begin(c, d, p);
    if (p->bio->op == BIO_READ)
        return 0;
    if (!poll_for(c, ATA_STATUS_BUSY | ATA_STATUS_DATA, ATA_STATUS_DATA))
        return -EIO;
    data_move(c, p->bio, chunk_of(c, d)); /* the first one is not asked for by an interrupt */
    return 0;
}

static const struct ioq_ops channel_ops = {.start = channel_start};

/* The device asks for a block of data, or has one. */
static bool block_move(struct ide_channel *c, const struct ide_disk *d, const struct bio *bio)
{
    if (!d->optical) {
        if (!c->left)
            return false;
        data_move(c, bio, chunk_of(c, d));
        return true;
    }
    if ((inb((uint16_t)(c->port + REASON)) & 3) != REASON_IN)
        return false;
    data_move(c, bio, packet_bytes(c));
    return true;
}

/* What became of the command; -EINPROGRESS: it goes on. */
static int command_look(struct ide_channel *c, const struct ide_disk *d, const struct bio *bio)
{
    uint8_t status = inb((uint16_t)(c->port + STATUS)); /* acknowledges */
    if (status & ATA_STATUS_BUSY)
        return -EINPROGRESS;
    if (status & (ATA_STATUS_ERROR | ATA_STATUS_FAULT)) {
        uint8_t error = inb((uint16_t)(c->port + ERROR));
        return d->optical ? ata_optical_error(error) : ata_disk_error(error, bio);
    }
    if (status & ATA_STATUS_DATA) {
        if (!block_move(c, d, bio))
            return -EIO;
        /* A disk's last read is not followed by an interrupt. */
        return !c->left && !d->optical && bio->op == BIO_READ ? 0 : -EINPROGRESS;
    }
    return c->left ? -EIO : 0;
}

static void channel_look(struct ide_channel *c)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&c->q.lock);
    if (!c->q.running) {
        inb((uint16_t)(c->port + STATUS)); /* of a command that was polled, or nothing */
    } else if (!c->q.stopped) {
        const struct bio *bio = c->q.slot[0].part.bio;
        int err = command_look(c, bio->dev->priv, bio);
        if (err != -EINPROGRESS) {
            ioq_done(&c->q, 0, err, &done);
            ioq_dispatch(&c->q, &done);
        }
    }
    spin_unlock_irq(&c->q.lock, flags);
    ioq_complete(&done);
}

static void channel_irq(void *arg)
{
    channel_look(arg);
}

/*
 * Runs a command whose answer is `n` bytes (0: none), or a packet with `cdb`; polled, as
 * nothing else is under way. -EIO, -ETIMEDOUT, or the drive's error. Sleeps.
 */
static int command_ask(struct ide_channel *c, bool second, uint8_t command, uint8_t count,
                       const uint8_t *cdb, void *to, uint32_t n)
{
    device_select(c, second, 0);
    int err = ioq_wait_for(device_ready, c, ANSWER_MS);
    if (err)
        return err;
    if (cdb) {
        packet_begin(c);
        if (!poll_for(c, ATA_STATUS_BUSY | ATA_STATUS_DATA, ATA_STATUS_DATA))
            return -EIO;
        outs16((uint16_t)(c->port + DATA), cdb, CDB_BYTES / 2);
    } else {
        lba_write(c, 0, count);
        command_write(c, command);
    }
    err = ioq_wait_for(device_answers, c, ANSWER_MS);
    uint8_t status = inb((uint16_t)(c->port + STATUS));
    if (err)
        return err;
    if (status & (ATA_STATUS_ERROR | ATA_STATUS_FAULT)) {
        err = cdb ? ata_optical_error(inb((uint16_t)(c->port + ERROR))) : -EIO;
        return err ? err : -EIO;
    }
    if (!n)
        return status & ATA_STATUS_DATA ? -EIO : 0;
    uint32_t got = cdb ? packet_bytes(c) : n;
    if (!(status & ATA_STATUS_DATA) || got < n)
        return -EIO;
    ins16((uint16_t)(c->port + DATA), to, n / 2);
    drain(c, got - n);
    return 0;
}

/* After each reset. */
static int disk_prepare(struct ide_disk *d)
{
    return d->optical ? 0
                      : command_ask(d->channel, d->second, ATA_SET_MULTIPLE, (uint8_t)d->multiple,
                                    NULL, NULL, 0);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Resets both devices and prepares them again. */
static int channel_reset(struct ide_channel *c)
{
    outb(c->control, CONTROL_RESET);
    ioq_wait_for(never, NULL, RESET_MS);
    outb(c->control, 0);
    ioq_wait_for(never, NULL, RESET_MS);
    int err = ioq_wait_for(device_answers, c, READY_MS);
    for (unsigned i = 0; i < 2 && !err; i++)
        if (c->disk[i])
            err = disk_prepare(c->disk[i]);
    return err;
}

/* By the channel's thread: a command does not end. */
static void channel_attend(struct ioq_host *h)
{
    struct ide_channel *c = CONTAINER_OF(h, struct ide_channel, host);
    channel_look(c); /* an interrupt may be lost */
    if (!ioq_stuck(&c->q))
        return;
    log_warn("%s: a command does not end; status %#x; reset", c->name, status_of(c));
    ioq_stop(&c->q);
    int err = channel_reset(c);
    ioq_retry(&c->q);
    if (!err) {
        ioq_resume(&c->q);
        return;
    }
    log_error("%s: does not work any more: error %d", c->name, -err);
    ioq_kill(&c->q);
    for (unsigned i = 0; i < 2; i++)
        if (c->disk[i])
            blkdev_unregister(&c->disk[i]->dev);
}

static void disk_submit(struct blkdev *dev, struct bio *bio)
{
    struct ide_disk *d = dev->priv;
    if (bio->op == BIO_FLUSH && !d->ata.cache) {
        bio->status = 0;
        bio_complete(bio);
        return;
    }
    ioq_submit(&d->channel->q, bio);
}

static const struct blkdev_ops disk_ops = {.submit = disk_submit};

static int disk_identify(struct ide_disk *d, const uint16_t *identity)
{
    int err = ata_disk_fill(&d->dev, &d->ata, identity);
    d->multiple = d->ata.multiple;
    d->dev.transfer_max = TRANSFER_MAX; /* as interrupts are off while data is moved */
    if (!err && !d->multiple)
        err = -ENOTSUP; /* no disk of these 25 years */
    if (!err)
        err = disk_prepare(d);
    return err ? err : sd_name_take(&d->dev, &d->name);
}

/* Its medium: a drive that was just turned on, or has a new one, says so first. */
static int optical_identify(struct ide_disk *d)
{
    uint8_t cdb[SCSI_CDB] = {0}, capacity[ATA_CAPACITY];
    int err = -EAGAIN;
    for (unsigned i = 0; i < ATTENTIONS && err == -EAGAIN; i++)
        err = command_ask(d->channel, d->second, 0, 0, cdb, NULL, 0);
    scsi_cdb_read_capacity(cdb, false, ATA_CAPACITY);
    if (!err)
        err = command_ask(d->channel, d->second, 0, 0, cdb, capacity, ATA_CAPACITY);
    return err ? err : ata_optical_fill(&d->dev, capacity);
}

/* What stands at one place of a channel. -ENODEV: nothing. */
static int disk_find(struct ide_channel *c, bool second, uint16_t *identity)
{
    device_select(c, second, 0);
    uint8_t status = status_of(c);
    if (!status || status == FLOATING || status == 0x7f)
        return -ENODEV;
    struct ide_disk *d = kzalloc(sizeof *d);
    if (!d)
        return -ENOMEM;
    d->channel = c;
    d->second = second;
    d->dev.ops = &disk_ops;
    d->dev.priv = d;
    int err = command_ask(c, second, ATA_IDENTIFY, 0, NULL, identity, ATA_IDENTITY * 2);
    if (!err) {
        err = disk_identify(d, identity);
    } else {
        d->optical = true;
        err = command_ask(c, second, ATA_IDENTIFY_PACKET, 0, NULL, identity, ATA_IDENTITY * 2);
        err = err ? -ENODEV : optical_identify(d);
    }
    if (err) {
        if (err != -ENODEV)
            log_info("%s: device %d is not used: error %d", c->name, second, -err);
        kfree(d);
        return err;
    }
    c->disk[second] = d;
    return 0;
}

static void disk_register(struct ide_disk *d)
{
    int err = blkdev_register(&d->dev);
    if (err) /* only its partition table: the disk itself is there */
        log_warn("%s: partitions not read: error %d", d->dev.name, -err);
    else
        log_info("%s: %s, %llu sectors", d->dev.name, d->channel->name,
                 (unsigned long long)d->dev.sectors);
}

/* Interrupts and the thread: they keep the channel for good. */
static int channel_begin(struct ide_channel *c, uint8_t line)
{
    struct acpi_irq irq = acpi_isa_irq(line);
    int err = irq_register(irq.gsi, irq.level, irq.active_low, channel_irq, c, c->name);
    return err ? err : ioq_host_start(&c->host, c->name);
}

static void channel_add(const char *name, uint16_t port, uint16_t control, uint8_t line)
{
    struct ide_channel *c = kzalloc(sizeof *c);
    uint16_t *identity = kzalloc(ATA_IDENTITY * 2);
    if (!c || !identity)
        goto out;
    *c = (struct ide_channel){.name = name, .port = port, .control = control};
    c->host.attend = channel_attend;
    ioq_host_init(&c->host);
    ioq_init(&c->q, &c->host, &channel_ops, 1);
    outb(control, 0); /* interrupts on */
    for (unsigned i = 0; i < 2; i++)
        disk_find(c, i, identity);
    if (!c->disk[0] && !c->disk[1])
        goto out;
    int err = channel_begin(c, line);
    if (err) {
        log_error("%s: no interrupt or thread: error %d", name, -err);
        ioq_kill(&c->q);
    }
    for (unsigned i = 0; i < 2 && !err; i++)
        if (c->disk[i])
            disk_register(c->disk[i]);
    c = NULL;
out:
    kfree(identity);
    kfree(c);
}

void ide_probe(const struct pci_device *pci)
{
    uint32_t interface = pci_class(pci);
    if (!(interface & CLASS_NATIVE_1))
        channel_add("ide0", 0x1f0, 0x3f6, 14);
    if (!(interface & CLASS_NATIVE_2))
        channel_add("ide1", 0x170, 0x376, 15);
}
