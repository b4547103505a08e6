/* SPDX-License-Identifier: Apache-2.0 */
/* The AHCI driver against a fake adapter with a disk or a CD in memory, honest and not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "dev/ahci/ahci.h"
#include "dev/blkdev.h"
#include "fake_pci.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);
extern uint64_t fake_clock;

#define BYTES  (4u << 20)
#define SECOND 1000000000ull
#define NCQ    (1u << 30)
#define WIDE   (1u << 31)

/* What the adapter and the device say of themselves, and do. */
static struct {
    uint32_t caps, sig;
    uint16_t id[256];
    bool optical, no_medium, attention; /* the drive has something to say first */
    uint32_t capacity, block;
    bool dumb;         /* nothing that is written has an effect */
    bool absent;       /* no link */
    bool silent;       /* commands do not end */
    unsigned forget;   /* that many do not */
    uint64_t bad;      /* a block that cannot be read; UINT64_MAX: none */
    uint8_t bad_error; /* the error register for it */
    unsigned bad_times;
    bool stays_on; /* the list cannot be stopped */
} dev;

static char regs[0x100 + 32 * 0x80];
static uint8_t disk[BYTES];
static unsigned commands, queued, flushes, resets, alone_breaches;

static uint32_t *reg(unsigned offset)
{
    return (uint32_t *)(regs + offset);
}

static uint32_t *port_reg(unsigned offset)
{
    return reg(0x100 + offset);
}

static void device_reset(void)
{
    resets++;
    *port_reg(PORT_SSTS) = dev.absent ? 0 : 0x123;
    *port_reg(PORT_TFD) = 0x50;
    *port_reg(PORT_SIG) = dev.sig;
    *port_reg(PORT_CI) = *port_reg(PORT_SACT) = 0;
}

/* Registers whose bits are cleared or set by writing ones, and those that answer. */
bool fake_mmio_write(volatile void *p, uint32_t v)
{
    size_t at = (size_t)((volatile char *)p - regs);
    if (at >= sizeof regs || dev.dumb)
        return at < sizeof regs;
    uint32_t *r = reg((unsigned)at);
    switch (at < 0x100 ? at : 0x100 + (at - 0x100) % 0x80) {
    case 0x08:
    case 0x100 + PORT_IS:
    case 0x100 + PORT_SERR:
        *r &= ~v;
        return true;
    case 0x100 + PORT_SACT:
    case 0x100 + PORT_CI:
        assert_true(*port_reg(PORT_CMD) & 1);
        *r |= v;
        return true;
    case 0x100 + PORT_SCTL:
        if (*r & 1 && !(v & 1))
            device_reset();
        else if (v & 1)
            *port_reg(PORT_SSTS) = 0;
        break;
    case 0x100 + PORT_CMD:
        v = (v & ~0xc000u) | (v & 1 || dev.stays_on ? 0x8000 : 0) | (v & 0x10 ? 0x4000 : 0);
        if (!(v & 1))
            *port_reg(PORT_CI) = *port_reg(PORT_SACT) = 0;
        break;
    default:
        break;
    }
    *r = v;
    return true;
}

static void interrupt(uint32_t why)
{
    *port_reg(PORT_IS) |= why;
    *reg(0x08) |= 1;
    if (*port_reg(PORT_IE) & why && *reg(0x04) & 2)
        fake_interrupt(0);
}

struct head {
    uint16_t flags, segments;
    uint32_t moved;
    uint64_t table;
    uint32_t reserved[4];
};
struct segment {
    uint64_t address;
    uint32_t reserved, last;
};

/* Moves bytes between `memory` of the device and a command's segments. */
static void move(const struct head *h, uint8_t *memory, size_t n)
{
    const struct segment *s = phys_to_virt(h->table + 128);
    for (unsigned i = 0; i < h->segments && n; i++) {
        size_t len = s[i].last + 1u < n ? s[i].last + 1u : n;
        assert_true(s[i].last < 1u << 22 && s[i].last & 1 && !(s[i].address & 1));
        if (h->flags & 0x40)
            memcpy(memory, phys_to_virt(s[i].address), len);
        else
            memcpy(phys_to_virt(s[i].address), memory, len);
        memory += len;
        n -= len;
    }
    assert_int_equal(n, 0);
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8),
    p[3] = (uint8_t)v;
}

/* 0 or what the error register says. */
static uint8_t packet(const struct head *h)
{
    const uint8_t *cdb = phys_to_virt(h->table + 64);
    uint8_t answer[8];
    assert_true(h->flags & 0x20);
    if (dev.attention) {
        dev.attention = false;
        return 0x60;
    }
    if (dev.no_medium)
        return 0x20;
    if (cdb[0] == 0x25) {
        put32(answer, dev.capacity);
        put32(answer + 4, dev.block);
        move(h, answer, 8);
    } else if (cdb[0] == 0x28) {
        uint32_t block = scsi_get32(cdb + 2);
        if (block == dev.bad)
            return 0x30;
        move(h, disk + block * 2048ul, (cdb[7] << 8 | cdb[8]) * 2048ul);
    } else {
        assert_int_equal(cdb[0], 0);
    }
    return 0;
}

static void trim(const struct head *h)
{
    uint64_t ranges[64];
    move(h, (uint8_t *)ranges, sizeof ranges);
    for (unsigned i = 0; i < 64; i++) {
        uint64_t lba = ranges[i] & 0xffffffffffff, n = ranges[i] >> 48;
        assert_true((lba + n) * 512 <= BYTES);
        memset(disk + lba * 512, 0xdd, n * 512);
    }
}

/* Executes one command; 0 or the error register. */
static uint8_t execute(unsigned slot)
{
    const struct head *h =
        (struct head *)phys_to_virt(*port_reg(PORT_CLB) | (uint64_t)*port_reg(PORT_CLB + 4) << 32) +
        slot;
    const uint8_t *f = phys_to_virt(h->table);
    uint64_t lba =
        f[4] | f[5] << 8 | (uint32_t)f[6] << 16 | (uint64_t)f[8] << 24 | (uint64_t)f[9] << 32;
    uint32_t count = f[12] | f[13] << 8;
    bool ncq = f[2] == 0x60 || f[2] == 0x61;
    assert_int_equal(f[0], 0x27);
    assert_int_equal(h->flags & 31, 5);
    commands++;
    queued += ncq;
    if (!ncq && *port_reg(PORT_CI) != 1u << slot)
        alone_breaches++;
    switch (f[2]) {
    case 0xec:
        move(h, (uint8_t *)dev.id, 512);
        return 0;
    case 0xa0:
        return packet(h);
    case 0x06:
        trim(h);
        return 0;
    case 0xe7:
    case 0xea:
        flushes++;
        return 0;
    case 0xc8:
    case 0xca:
        lba |= (uint64_t)(f[7] & 15) << 24;
        count = count ? count : 256;
        break;
    case 0x60:
    case 0x61:
        assert_int_equal(f[12] >> 3, slot);
        assert_true(*port_reg(PORT_SACT) & 1u << slot);
        count = f[3] | f[11] << 8;
        break;
    default:
        assert_true(f[2] == 0x25 || f[2] == 0x35);
    }
    if (lba <= dev.bad && dev.bad < lba + count && dev.bad_times) {
        dev.bad_times--;
        return dev.bad_error;
    }
    assert_true((lba + count) * 512 <= BYTES);
    move(h, disk + lba * 512, count * 512ul);
    return 0;
}

/* The device runs, while somebody waits. */
static void device_run(void)
{
    fake_clock += SECOND / 100;
    if (dev.dumb || dev.silent || !(*port_reg(PORT_CMD) & 1))
        return;
    uint32_t todo = *port_reg(PORT_CI);
    for (unsigned slot = 0; slot < 32; slot++) {
        if (!(todo >> slot & 1))
            continue;
        if (dev.forget) {
            dev.forget--;
            continue;
        }
        uint8_t error = execute(slot);
        if (error) {
            *port_reg(PORT_TFD) = 0x51 | (uint32_t)error << 8;
            interrupt(1u << 30);
            return;
        }
        *port_reg(PORT_CI) &= ~(1u << slot);
        *port_reg(PORT_SACT) &= ~(1u << slot);
    }
    if (todo)
        interrupt(9);
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

static void honest(void)
{
    memset(&dev, 0, sizeof dev);
    dev.caps = WIDE | NCQ | 31 << 8;
    dev.sig = 0x101;
    dev.bad = UINT64_MAX;
    dev.bad_error = 0x40;
    dev.bad_times = UINT32_MAX;
    uint32_t sectors = BYTES / 512;
    memcpy(dev.id + 60, &sectors, 4);
    memcpy(dev.id + 100, &sectors, 4);
    dev.id[75] = 31;
    dev.id[76] = 1 << 8;
    dev.id[82] = 1 << 5;
    dev.id[83] = 1 << 14 | 1 << 13 | 1 << 10;
    dev.id[169] = 1;
    for (unsigned i = 0; i < BYTES; i++)
        disk[i] = (uint8_t)(i / 512 + i);
}

static void optical(void)
{
    honest();
    dev.sig = 0xeb140101;
    dev.optical = dev.attention = true;
    dev.capacity = BYTES / 2048 - 1;
    dev.block = 2048;
}

static void thread_runs(void)
{
    extern void *fake_thread_arg;
    struct ioq_host *h = fake_thread_arg;
    if (h && h->wanted) {
        h->wanted = false;
        h->attend(h);
    }
}

/* While a bio is waited for the device runs, and the adapter's thread. */
static void both_run(void)
{
    static bool within; /* the thread waits itself */
    device_run();
    if (within)
        return;
    within = true;
    thread_runs();
    within = false;
}

static struct ahci_port *port_of(const struct blkdev *d)
{
    return d->priv;
}

/* Time passes; what the timer and the adapter's thread do then. */
static void time_passes(struct ioq *q, uint64_t seconds)
{
    fake_clock += seconds * SECOND;
    if (q->timer.armed) {
        q->timer.armed = false;
        q->timer.fn(&q->timer);
    }
    thread_runs();
}

static void start(void)
{
    extern void *fake_thread_arg;
    fake_thread_arg = NULL;
    fake_pci_reset();
    fake_msix_count = 0;
    fake_bar = regs;
    fake_bar_size = sizeof regs;
    fake_block = both_run;
    memset(regs, 0, sizeof regs);
    *reg(0x00) = dev.caps;
    *reg(0x0c) = 1;
    *port_reg(PORT_CMD) = 2;
    if (!dev.absent)
        device_reset();
    found_count = 0;
    blkdev_for_each(remember, NULL);
    unsigned before = found_count;
    found = NULL;
    found_count = 0;
    struct pci_device pci = {.vendor = 0x8086};
    ahci_probe(&pci);
    blkdev_for_each(remember, NULL);
    found_count -= before;
    commands = queued = flushes = resets = alone_breaches = 0;
}

static void test_probe(void **state)
{
    (void)state;
    honest();
    start();
    assert_int_equal(found_count, 1);
    assert_int_equal(found->sectors, BYTES / 512);
    assert_int_equal(found->block_size, 512);
    assert_true(port_of(found)->ncq);
    assert_int_equal(found->name[0], 's');
    assert_int_equal(found->name[1], 'd');
    honest();
    dev.absent = true;
    start();
    assert_int_equal(found_count, 0);
    assert_true(fake_pci_stopped);
}

static void test_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 7; i++) {
        honest();
        if (i == 0)
            memset(dev.id, 0, sizeof dev.id);
        else if (i == 1)
            memset(dev.id, 0xff, sizeof dev.id);
        else if (i == 2)
            memset(dev.id + 100, 0xff, 8);
        else if (i == 3)
            dev.id[106] = 1 << 14 | 1 << 12, dev.id[117] = 3;
        else if (i == 4)
            dev.sig = 0x96690101; /* a port multiplier */
        else if (i == 5)
            dev.stays_on = true;
        else
            dev.id[106] = 1 << 14 | 1 << 12, dev.id[118] = 0xffff;
        start();
        assert_int_equal(found_count, 0);
    }
    honest();
    start();
    memset(regs, 0xff, sizeof regs); /* pulled out, or never there */
    dev.dumb = true;
    struct pci_device pci = {.vendor = 0x8086};
    ahci_probe(&pci);
}

static void test_no_memory(void **state)
{
    (void)state;
    int i = 0;
    do {
        honest();
        fake_mem_fail_after = i;
        start();
        fake_mem_fail_after = -1;
    } while (!found_count && ++i < 40);
    assert_true(i >= 5 && i < 40);
}

static void test_read_write(void **state)
{
    (void)state;
    uint8_t *buf = aligned_alloc(4096, 1 << 20);
    for (unsigned kind = 0; kind < 3; kind++) {
        honest();
        if (kind)
            dev.caps &= ~NCQ;
        if (kind == 2)
            dev.id[83] = 1 << 14; /* 28 bits only */
        start();
        for (size_t n = 512; n <= 1 << 20; n = n * 3 / 512 * 512) {
            assert_int_equal(blkdev_read(found, 3 * 512, buf, n), 0);
            assert_memory_equal(buf, disk + 3 * 512, n);
            memset(buf, (int)n / 512, n);
            assert_int_equal(blkdev_write(found, (1 << 20) + 512, buf, n), 0);
            assert_memory_equal(disk + (1 << 20) + 512, buf, n);
        }
        assert_int_equal(queued, kind ? 0 : commands);
        assert_int_equal(alone_breaches, 0);
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

#define MANY 120
static struct bio bio[MANY];
static uint8_t *many_buf;

static void many_begin(void)
{
    many_buf = aligned_alloc(4096, MANY * 4096);
    done_count = 0;
    for (unsigned i = 0; i < MANY; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .sector = i * 2, .count = 1, .done = bio_done};
        bio[i].vec[0] = (struct bio_vec){many_buf + i * 512, 512};
        if (i % 50 == 7)
            bio[i].op = BIO_FLUSH;
        blkdev_submit(found, &bio[i]);
    }
}

/* All are done, but for sector `bad` rightly. */
static void many_end(unsigned bad)
{
    for (unsigned i = 0; i < 500 && done_count < MANY; i++)
        both_run();
    assert_int_equal(done_count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(bio[i].status, bio[i].op == BIO_READ && i * 2 == bad ? -EIO : 0);
        if (bio[i].op == BIO_READ && i * 2 != bad)
            assert_memory_equal(many_buf + i * 512, disk + i * 1024, 512);
    }
    assert_int_equal(alone_breaches, 0);
    free(many_buf);
}

static void test_queueing(void **state)
{
    (void)state;
    honest();
    start();
    many_begin();
    assert_true(port_of(found)->queued);
    many_end(UINT32_MAX);
    assert_int_equal(flushes, 3);
}

/* One of many queued commands fails: only that one, and NCQ goes on afterwards. */
static void test_queued_error(void **state)
{
    (void)state;
    honest();
    start();
    dev.bad = 40;
    many_begin();
    many_end(40);
    assert_true(resets >= 1);
    assert_int_equal(port_of(found)->solo, 0);
    queued = 0;
    uint8_t *buf = aligned_alloc(4096, 4096);
    assert_int_equal(blkdev_read(found, 0, buf, 512), 0);
    assert_int_equal(queued, 1);
    free(buf);
}

static void test_errors(void **state)
{
    (void)state;
    uint8_t *buf = aligned_alloc(4096, 4096);
    honest();
    dev.caps &= ~NCQ;
    start();
    dev.bad = 3;
    assert_int_equal(blkdev_read(found, 0, buf, 4096), -EIO);
    assert_int_equal(commands, 1); /* the disk has tried itself */
    assert_int_equal(resets, 0);
    assert_int_equal(blkdev_read(found, 4096, buf, 4096), 0);
    dev.bad_error = 0x84; /* the cable: it is better the third time */
    dev.bad_times = 2;
    assert_int_equal(blkdev_read(found, 0, buf, 4096), 0);
    assert_memory_equal(buf, disk, 4096);
    free(buf);
}

static void test_trim(void **state)
{
    (void)state;
    honest();
    start();
    assert_int_equal(blkdev_discard(found, 5120, 1 << 20), 0);
    assert_int_equal(disk[5119], (uint8_t)(9 + 5119));
    for (unsigned i = 0; i < 1 << 20; i++)
        assert_int_equal(disk[5120 + i], 0xdd);
    assert_int_equal(disk[5120 + (1 << 20)], (uint8_t)((5120 + (1 << 20)) / 512 + 5120));
    honest();
    dev.id[169] = 0;
    start();
    assert_int_equal(blkdev_discard(found, 0, 4096), -EOPNOTSUPP);
}

static void test_lost_command(void **state)
{
    (void)state;
    honest();
    start();
    dev.forget = 3;
    many_begin();
    device_run();
    struct ioq *q = &port_of(found)->q;
    time_passes(q, 20);
    assert_int_equal(resets, 0);
    time_passes(q, 20);
    assert_int_equal(resets, 1);
    many_end(UINT32_MAX);
}

static void test_silent_disk(void **state)
{
    (void)state;
    honest();
    start();
    struct ioq *q = &port_of(found)->q;
    dev.silent = true;
    many_begin();
    for (unsigned i = 0; i < 400 && done_count < MANY; i++)
        time_passes(q, 31);
    assert_int_equal(done_count, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(bio[i].status, -EIO);
    dev.silent = false;
    assert_int_equal(blkdev_read(found, 0, many_buf, 512), 0);
    free(many_buf);
}

/* The link goes: the disk is gone for good. */
static void test_pulled_out(void **state)
{
    (void)state;
    honest();
    start();
    struct blkdev *was = found;
    many_begin();
    dev.absent = dev.silent = true;
    *port_reg(PORT_SSTS) = 0;
    interrupt(1u << 22);
    thread_runs();
    assert_int_equal(done_count, MANY);
    assert_true(was->gone);
    assert_int_equal(blkdev_read(was, 0, many_buf, 512), -EIO);
    free(many_buf);
}

/* Bits of slots that are not in use, and interrupts for nothing. */
static void test_nonsense(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 4096);
    for (unsigned i = 0; i < 40; i++) {
        *port_reg(PORT_CI) = *port_reg(PORT_SACT) = 0xaaaaaaaa << i % 2;
        *reg(0x08) = UINT32_MAX;
        fake_interrupt(0);
        *port_reg(PORT_CI) = *port_reg(PORT_SACT) = 0;
        *reg(0x08) = UINT32_MAX;
        fake_interrupt(0);
    }
    *reg(0x08) = 0;
    assert_int_equal(blkdev_read(found, 512, buf, 512), 0);
    assert_memory_equal(buf, disk + 512, 512);
    free(buf);
}

static void test_optical(void **state)
{
    (void)state;
    optical();
    start();
    assert_int_equal(found_count, 1);
    assert_int_equal(found->block_size, 2048);
    assert_int_equal(found->sectors, BYTES / 512);
    assert_true(found->read_only);
    assert_int_equal(memcmp(found->name, "sr", 2), 0);
    uint8_t *buf = aligned_alloc(4096, 1 << 20);
    assert_int_equal(blkdev_read(found, 4096, buf, 1 << 20), 0);
    assert_memory_equal(buf, disk + 4096, 1 << 20);
    assert_int_equal(blkdev_read(found, 512, buf, 2048), -EINVAL);
    assert_int_equal(blkdev_write(found, 0, buf, 2048), -EROFS);
    assert_int_equal(blkdev_flush(found), 0);
    dev.bad = 16;
    assert_int_equal(blkdev_read(found, 16 * 2048, buf, 2048), -EIO);
    dev.attention = true; /* told once, and tried again */
    assert_int_equal(blkdev_read(found, 0, buf, 2048), 0);
    assert_memory_equal(buf, disk, 2048);
    free(buf);
    optical();
    dev.no_medium = true;
    start();
    assert_int_equal(found_count, 0);
    optical();
    dev.block = 0;
    start();
    assert_int_equal(found_count, 0);
    optical();
    dev.capacity = UINT32_MAX;
    start();
    assert_int_equal(found_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_queueing),     cmocka_unit_test(test_queued_error),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_trim),
        cmocka_unit_test(test_lost_command), cmocka_unit_test(test_silent_disk),
        cmocka_unit_test(test_pulled_out),   cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_optical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
