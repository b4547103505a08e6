/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE driver against a fake channel with a disk and a CD in memory, honest and not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/io.h"
#include "dev/acpi.h"
#include "dev/ata.h"
#include "dev/blkdev.h"
#include "dev/ide.h"
#include "dev/ioq.h"
#include "dev/scsi.h"
#include "fake_pci.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);
extern uint64_t fake_clock;
extern void *fake_thread_arg;

#define BYTES    (2u << 20)
#define MULTIPLE 16
#define SECOND   1000000000ull

static uint8_t disk[BYTES];

/* What the devices are, and do. */
static struct {
    bool hard, optical; /* first: a disk; second: a drive */
    bool narrow;        /* 28 bits only */
    bool no_medium, attention;
    bool floating;     /* no channel */
    bool silent;       /* commands of data do not end */
    bool busy;         /* for ever, whatever is done */
    bool short_answer; /* packets have fewer bytes than asked for */
    bool lying;        /* it is done, and has not moved the data */
    unsigned lose_irqs;
    uint64_t bad; /* a sector that cannot be read */
    uint32_t capacity, block;
    uint16_t id[ATA_IDENTITY];
} dev;

/* The channel: registers, and a buffer that moves through the data port. */
static struct {
    uint8_t reg[8], before[8], status, error, control;
    uint8_t buffer[BYTES], cdb[12];
    uint32_t at, end; /* of the buffer, this block */
    uint64_t lba;     /* where written data goes */
    uint32_t left;    /* bytes of the command behind the block */
    bool out, cdb_wanted, irq, packet;
} ch;
static unsigned resets, commands, flushes, blocks_moved;

static struct fake_irq line;
static void *kept[64]; /* channels, which their interrupt keeps for good */
static unsigned kept_count;

int irq_register(unsigned gsi, bool level, bool active_low, irq_handler_fn *fn, void *arg,
                 const char *name)
{
    (void)gsi, (void)level, (void)active_low, (void)name;
    kept[kept_count++ % 64] = arg;
    line = (struct fake_irq){fn, arg};
    return 0;
}

struct acpi_irq acpi_isa_irq(uint8_t isa)
{
    return (struct acpi_irq){.gsi = isa};
}

/* Any function is an IDE controller here; its second channel is in native mode. */
uint32_t pci_read32(const struct pci_device *d, unsigned offset)
{
    (void)d, (void)offset;
    return 0x010184u << 8;
}

static bool here(void)
{
    return ch.reg[6] & 0x10 ? dev.optical : dev.hard;
}

static void done(uint8_t error)
{
    ch.status = error ? 0x51 : 0x50;
    ch.error = error;
    ch.irq = true;
}

/* The next block of the command's data, or its end. */
static void block_next(void)
{
    uint32_t most = ch.packet ? (dev.short_answer ? 2 : 63488)
                    : ch.reg[7] == ATA_IDENTIFY || ch.reg[7] == ATA_IDENTIFY_PACKET
                        ? 512
                        : MULTIPLE * 512;
    if (!ch.left) {
        done(0);
        return;
    }
    ch.end = ch.at + (ch.left < most ? ch.left : most);
    ch.left -= ch.end - ch.at;
    ch.status = 0x58;
    ch.irq = !ch.out || ch.at;
    if (ch.packet) {
        ch.reg[2] = 2;
        ch.reg[4] = (uint8_t)(ch.end - ch.at);
        ch.reg[5] = (uint8_t)((ch.end - ch.at) >> 8);
    }
    blocks_moved++;
}

static void answer(const void *data, uint32_t n)
{
    memcpy(ch.buffer, data, n);
    ch.left = dev.lying ? 0 : n;
    block_next();
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8),
    p[3] = (uint8_t)v;
}

static void packet(void)
{
    uint8_t capacity[8];
    if (dev.attention || dev.no_medium) {
        done(dev.attention ? 0x60 : 0x20);
        dev.attention = false;
        return;
    }
    if (ch.cdb[0] == 0x25) {
        put32(capacity, dev.capacity);
        put32(capacity + 4, dev.block);
        answer(capacity, 8);
    } else if (ch.cdb[0] == 0x28) {
        uint32_t block = scsi_get32(ch.cdb + 2), n = (uint32_t)(ch.cdb[7] << 8 | ch.cdb[8]);
        if (dev.silent)
            ch.status = 0xd0;
        else if (block == dev.bad)
            done(0x30);
        else
            answer(disk + block * 2048, n * 2048);
    } else {
        assert_int_equal(ch.cdb[0], 0);
        done(0);
    }
}

static void transfer(bool wide, bool out)
{
    uint64_t lba = ch.reg[3] | ch.reg[4] << 8 | (uint32_t)ch.reg[5] << 16;
    uint32_t count = ch.reg[2];
    if (wide) {
        lba |= (uint64_t)ch.before[3] << 24;
        count |= (uint32_t)ch.before[2] << 8;
        assert_true(!ch.before[4] && !ch.before[5]);
    } else {
        lba |= (uint64_t)(ch.reg[6] & 15) << 24;
    }
    assert_true(ch.reg[6] & 0x40);
    count = count ? count : wide ? 65536 : 256;
    assert_true((lba + count) * 512 <= BYTES);
    if (dev.silent) {
        ch.status = 0xd0;
    } else if (lba <= dev.bad && dev.bad < lba + count) {
        done(0x40);
    } else if (out) {
        ch.out = true;
        ch.lba = lba;
        ch.left = count * 512;
        block_next();
    } else {
        answer(disk + lba * 512, count * 512);
    }
}

static void command(uint8_t c)
{
    ch.at = ch.end = ch.left = 0;
    ch.out = ch.packet = ch.cdb_wanted = false;
    ch.reg[7] = c;
    commands++;
    if (!here())
        return;
    bool drive = ch.reg[6] & 0x10;
    if (c == ATA_PACKET && drive) {
        ch.packet = ch.cdb_wanted = true;
        ch.status = 0x58;
        ch.end = 12;
    } else if ((c == ATA_IDENTIFY && !drive) || (c == ATA_IDENTIFY_PACKET && drive)) {
        answer(dev.id, 512);
    } else if (drive) {
        done(4);
    } else if (c == ATA_SET_MULTIPLE) {
        done(ch.reg[2] == MULTIPLE ? 0 : 4);
    } else if (c == ATA_FLUSH || c == ATA_FLUSH_WIDE) {
        flushes++;
        done(0);
    } else if (c == ATA_READ_MULTIPLE || c == ATA_READ_MULTIPLE_WIDE) {
        transfer(c == ATA_READ_MULTIPLE_WIDE, false);
    } else if (c == ATA_WRITE_MULTIPLE || c == ATA_WRITE_MULTIPLE_WIDE) {
        transfer(c == ATA_WRITE_MULTIPLE_WIDE, true);
    } else {
        done(4);
    }
}

static void data_written(uint16_t v)
{
    uint8_t *to = ch.cdb_wanted ? ch.cdb : ch.buffer;
    if (ch.at + 2 > ch.end)
        return;
    memcpy(to + ch.at, &v, 2);
    ch.at += 2;
    if (ch.at < ch.end)
        return;
    if (ch.cdb_wanted) {
        ch.cdb_wanted = false;
        ch.at = ch.end = 0;
        packet();
        return;
    }
    if (!ch.left)
        memcpy(disk + ch.lba * 512, ch.buffer, ch.end);
    block_next();
}

static uint16_t data_read(void)
{
    uint16_t v = 0xffff;
    if (ch.at + 2 > ch.end)
        return v;
    memcpy(&v, ch.buffer + ch.at, 2);
    ch.at += 2;
    if (ch.at == ch.end) {
        bool last = !ch.left;
        block_next();
        if (last && !ch.packet)
            ch.irq = false; /* a disk has said all */
    }
    return v;
}

uint32_t fake_port_read(uint16_t port, unsigned size)
{
    if (dev.floating)
        return 0xffffffff;
    if (port == 0x1f0) {
        assert_int_equal(size, 2);
        return data_read();
    }
    if (port == 0x1f7)
        ch.irq = false;
    if (port == 0x1f7 || port == 0x3f6)
        return !here() ? 0 : dev.busy ? 0x80 : ch.status;
    return port == 0x1f1 ? ch.error : ch.reg[port - 0x1f0];
}

void fake_port_write(uint16_t port, uint32_t v, unsigned size)
{
    if (port == 0x1f0) {
        assert_int_equal(size, 2);
        data_written((uint16_t)v);
    } else if (port == 0x1f7) {
        command((uint8_t)v);
    } else if (port == 0x3f6) {
        if (ch.control & 4 && !(v & 4)) {
            resets++;
            ch.status = 0x50;
            ch.irq = false;
        }
        ch.control = (uint8_t)v;
    } else {
        ch.before[port - 0x1f0] = ch.reg[port - 0x1f0];
        ch.reg[port - 0x1f0] = (uint8_t)v;
    }
}

/* The channel's interrupt comes, while somebody waits. */
static void both_run(void)
{
    static bool within; /* the thread waits itself */
    fake_clock += SECOND / 100;
    for (unsigned i = 0; i < 100 && ch.irq && line.fn; i++) {
        ch.irq = false;
        if (dev.lose_irqs)
            dev.lose_irqs--;
        else
            line.fn(line.arg);
    }
    struct ioq_host *h = fake_thread_arg;
    if (!within && h && h->wanted) {
        within = true;
        h->wanted = false;
        h->attend(h);
        within = false;
    }
}

static struct blkdev *found;
static unsigned found_count;

static int remember(struct blkdev *d, void *arg)
{
    (void)arg;
    found = d;
    found_count++;
    return 0;
}

static void honest(bool hard, bool optical)
{
    memset(&dev, 0, sizeof dev);
    memset(&ch, 0, sizeof ch);
    dev.hard = hard;
    dev.optical = dev.attention = optical;
    dev.bad = UINT64_MAX;
    dev.capacity = BYTES / 2048 - 1;
    dev.block = 2048;
    uint32_t sectors = BYTES / 512;
    memcpy(dev.id + 60, &sectors, 4);
    memcpy(dev.id + 100, &sectors, 4);
    dev.id[47] = 0x8000 | MULTIPLE;
    dev.id[82] = 1 << 5;
    dev.id[83] = 1 << 14 | 1 << 13 | 1 << 10;
    ch.status = 0x50;
    for (unsigned i = 0; i < BYTES; i++)
        disk[i] = (uint8_t)(i / 512 + i);
}

static void start(void)
{
    if (dev.narrow)
        dev.id[83] = 1 << 14;
    fake_thread_arg = NULL;
    line.fn = NULL;
    fake_block = both_run;
    found_count = 0;
    blkdev_for_each(remember, NULL);
    unsigned before = found_count;
    found = NULL;
    found_count = 0;
    struct pci_device pci = {.vendor = 0x8086};
    ide_probe(&pci);
    blkdev_for_each(remember, NULL);
    found_count -= before;
    resets = commands = flushes = blocks_moved = 0;
}

static void test_probe(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        honest(i & 1, i & 2);
        start();
        assert_int_equal(found_count, (i & 1) + (i >> 1));
    }
    assert_true(found->read_only);
    assert_int_equal(found->block_size, 2048);
    assert_int_equal(found->sectors, BYTES / 512);
    honest(true, true);
    dev.floating = true;
    start();
    assert_int_equal(found_count, 0);
    honest(true, true);
    dev.busy = true;
    start();
    assert_int_equal(found_count, 0);
}

static void test_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        honest(i < 3, i >= 3);
        if (i == 0)
            memset(dev.id, 0, sizeof dev.id);
        else if (i == 1)
            memset(dev.id, 0xff, sizeof dev.id);
        else if (i == 2)
            dev.id[47] = 0x8000;
        else if (i == 3)
            dev.no_medium = true;
        else if (i == 4)
            dev.block = 0;
        else if (i == 5)
            dev.capacity = UINT32_MAX;
        else
            dev.short_answer = true;
        start();
        assert_int_equal(found_count, 0);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    int i = 0;
    do {
        honest(true, false);
        fake_mem_fail_after = i;
        start();
        fake_mem_fail_after = -1;
    } while (!found_count && ++i < 20);
    assert_true(i >= 3 && i < 20);
}

static void test_read_write(void **state)
{
    (void)state;
    uint8_t *buf = malloc(1 << 20);
    for (unsigned narrow = 0; narrow < 2; narrow++) {
        honest(true, false);
        dev.narrow = narrow;
        start();
        for (size_t n = 512; n <= 1 << 19; n = n * 3 / 512 * 512) {
            assert_int_equal(blkdev_read(found, 3 * 512, buf, n), 0);
            assert_memory_equal(buf, disk + 3 * 512, n);
            memset(buf, (int)n / 512, n);
            assert_int_equal(blkdev_write(found, (1 << 20) + 512, buf, n), 0);
            assert_memory_equal(disk + (1 << 20) + 512, buf, n);
        }
        assert_int_equal(blkdev_flush(found), 0);
        assert_int_equal(flushes, 1);
    }
    free(buf);
}

static unsigned done_count;

static void bio_done(struct bio *bio)
{
    (void)bio;
    done_count++;
}

/* Pieces smaller than what an interrupt moves, and many bios at once. */
static void test_pieces(void **state)
{
    (void)state;
    static struct bio bio[20];
    uint8_t *buf = malloc(20 * 20 * 1024);
    honest(true, false);
    start();
    done_count = 0;
    for (unsigned i = 0; i < 20; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .sector = 50 * i, .count = 20, .done = bio_done};
        for (unsigned k = 0; k < 20; k++)
            bio[i].vec[k] = (struct bio_vec){buf + (i * 20 + k) * 1024, 512};
        blkdev_submit(found, &bio[i]);
    }
    for (unsigned i = 0; i < 1000 && done_count < 20; i++)
        both_run();
    assert_int_equal(done_count, 20);
    for (unsigned i = 0; i < 400; i++)
        assert_memory_equal(buf + i * 1024, disk + (i / 20 * 50 + i % 20) * 512, 512);
    assert_int_equal(blocks_moved, 40);
    free(buf);
}

static void test_optical(void **state)
{
    (void)state;
    uint8_t *buf = malloc(1 << 20);
    honest(true, true);
    start();
    assert_int_equal(blkdev_read(found, 4096, buf, 1 << 20), 0);
    assert_memory_equal(buf, disk + 4096, 1 << 20);
    assert_int_equal(blkdev_read(found, 512, buf, 2048), -EINVAL);
    assert_int_equal(blkdev_write(found, 0, buf, 2048), -EROFS);
    dev.attention = true;
    assert_int_equal(blkdev_read(found, 0, buf, 2048), 0);
    dev.bad = 16;
    assert_int_equal(blkdev_read(found, 16 * 2048, buf, 2048), -EIO);
    dev.short_answer = true; /* two bytes an interrupt */
    assert_int_equal(blkdev_read(found, 8192, buf, 4096), 0);
    assert_memory_equal(buf, disk + 8192, 4096);
    free(buf);
}

static void test_errors(void **state)
{
    (void)state;
    uint8_t *buf = malloc(65536);
    honest(true, false);
    start();
    dev.bad = 100;
    assert_int_equal(blkdev_read(found, 99 * 512, buf, 4096), -EIO);
    assert_int_equal(blkdev_read(found, 0, buf, 65536), -EIO);
    assert_int_equal(resets, 0);
    assert_int_equal(blkdev_read(found, 0, buf, 32768), 0);
    dev.lying = true;
    assert_int_equal(blkdev_read(found, 0, buf, 4096), -EIO);
    dev.lying = false;
    assert_int_equal(blkdev_read(found, 0, buf, 4096), 0);
    for (unsigned i = 0; i < 50; i++) /* interrupts for nothing */
        line.fn(line.arg);
    ch.status = 0x58; /* it never takes a command */
    assert_int_equal(blkdev_read(found, 0, buf, 4096), -EIO);
    free(buf);
}

/* The timer, as time passes. */
static void time_passes(struct ioq_host *h, uint64_t seconds)
{
    struct ioq *q = LIST_ENTRY(h->queues.next, struct ioq, link);
    fake_clock += seconds * SECOND;
    if (q->timer.armed) {
        q->timer.armed = false;
        q->timer.fn(&q->timer);
    }
    both_run();
}

static void test_silent(void **state)
{
    (void)state;
    uint8_t *buf = malloc(4096);
    for (unsigned kind = 0; kind < 4; kind++) {
        honest(true, false);
        start();
        struct ioq_host *h = fake_thread_arg;
        dev.silent = kind < 2;
        dev.lose_irqs = kind == 2;
        done_count = 0;
        struct bio bio = {.op = BIO_READ, .count = 1, .done = bio_done};
        bio.vec[0] = (struct bio_vec){buf, 4096};
        blkdev_submit(found, &bio);
        both_run();
        assert_int_equal(done_count, kind == 3);
        if (kind == 3)
            break;
        if (kind == 1)
            dev.busy = true; /* and does not come back from its reset */
        time_passes(h, 40);
        if (kind == 0) { /* once more, then it is given up */
            assert_int_equal(done_count, 0);
            time_passes(h, 40);
        }
        assert_int_equal(done_count, 1);
        assert_int_equal(bio.status, kind == 2 ? 0 : -EIO);
        assert_int_equal(resets, kind == 0 ? 2 : kind == 1);
        assert_int_equal(found->gone, kind == 1);
        dev.silent = false;
        assert_int_equal(blkdev_read(found, 0, buf, 512), kind == 1 ? -EIO : 0);
    }
    free(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_pieces),    cmocka_unit_test(test_optical),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
