/* SPDX-License-Identifier: Apache-2.0 */
/* The NVMe driver against a fake controller with namespaces in memory, honest and not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "dev/blkdev.h"
#include "dev/nvme/nvme.h"
#include "dev/nvme/nvme_disk.h"
#include "fake_pci.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);
extern uint64_t fake_clock;
extern unsigned fake_cpus;

#define BYTES  (4u << 20)
#define RINGS  8
#define SECOND 1000000000ull

/* What the controller says of itself, and does. */
static struct {
    uint32_t cap_low, cap_high;
    uint8_t mdts, flbas, lbads, onocs, vwc, attributes;
    uint16_t metadata;
    uint64_t blocks;
    uint32_t ids[4];
    bool no_list;    /* an old controller: no list of active namespaces */
    unsigned queues; /* pairs it gives */
    bool dumb;       /* it does not answer at all */
    bool never_ready;
    bool silent;     /* takes commands of bios and does not complete them */
    unsigned forget; /* that many of them are lost */
    uint16_t answer; /* status of commands of bios */
    bool fail_admin;
} dev;

static char regs[0x1000 + 2 * RINGS * 4];
static uint8_t disk[BYTES];
static struct ring {
    struct nvme_command *sq;
    struct nvme_completion *cq;
    unsigned entries, head, tail, phase, vector, cq_entries;
} ring[RINGS];
static unsigned commands, flushes, durable, resets, most_pages, served[RINGS];
static uint8_t last_op;

static uint32_t *reg(unsigned offset)
{
    return (uint32_t *)(regs + offset);
}

static uint64_t reg64(unsigned offset)
{
    return *reg(offset) | (uint64_t)*reg(offset + 4) << 32;
}

static void complete(unsigned n, uint16_t id, uint16_t status, uint32_t result)
{
    struct ring *r = &ring[n];
    struct nvme_completion *c = &r->cq[r->tail];
    *c = (struct nvme_completion){.result = result, .sq_id = (uint16_t)n, .id = id};
    c->status = (uint16_t)(status << 1 | r->phase);
    if (++r->tail == r->cq_entries) {
        r->tail = 0;
        r->phase ^= 1;
    }
}

/* Copies between the disk and the pages of a command. */
static void transfer(const struct nvme_command *c, uint64_t at, uint32_t bytes)
{
    uint64_t page = c->prp1, *list = NULL;
    unsigned pages = 0;
    assert_true(at + bytes <= BYTES);
    while (bytes) {
        uint32_t n = 4096 - (page & 4095);
        n = n < bytes ? n : bytes;
        assert_true(!pages || !(page & 4095));
        if (c->opcode == 1)
            memcpy(disk + at, phys_to_virt(page), n);
        else
            memcpy(phys_to_virt(page), disk + at, n);
        at += n;
        bytes -= n;
        pages++;
        if (pages == 1 && bytes > 4096)
            list = phys_to_virt(c->prp2);
        page = list ? *list++ : c->prp2;
    }
    most_pages = pages > most_pages ? pages : most_pages;
}

static void range(const struct nvme_command *c)
{
    uint64_t first = c->dw10 | (uint64_t)c->dw11 << 32, blocks = (c->dw12 & 0xffff) + 1;
    if (c->opcode == 9) {
        const uint32_t *r = phys_to_virt(c->prp1);
        assert_int_equal(c->dw10, 0); /* one range */
        assert_int_equal(c->dw11, 4);
        blocks = r[1];
        memcpy(&first, r + 2, 8);
    }
    assert_true((first + blocks) << dev.lbads <= BYTES);
    memset(disk + (first << dev.lbads), c->opcode == 9 ? 0xdd : 0, blocks << dev.lbads);
}

static void serve_io(unsigned n, const struct nvme_command *c)
{
    commands++;
    served[n]++;
    last_op = c->opcode;
    if (dev.silent)
        return;
    if (dev.forget) {
        dev.forget--;
        return;
    }
    if (!dev.answer && (c->opcode == 1 || c->opcode == 2)) {
        uint64_t first = c->dw10 | (uint64_t)c->dw11 << 32;
        transfer(c, first << dev.lbads, ((c->dw12 & 0xffff) + 1) << dev.lbads);
    } else if (!dev.answer && c->opcode >= 8) {
        range(c);
    }
    flushes += c->opcode == 0;
    durable += c->opcode == 1 && c->dw12 >> 30 & 1;
    complete(n, c->id, dev.answer, 0);
}

static void identify(const struct nvme_command *c)
{
    uint8_t *page = phys_to_virt(c->prp1);
    if (c->dw10 == 2) {
        memcpy(page, dev.ids, sizeof dev.ids);
    } else if (c->dw10 == 1) {
        uint32_t count = 3;
        page[77] = dev.mdts;
        memcpy(page + 516, &count, 4);
        page[520] = dev.onocs;
        page[525] = dev.vwc;
    } else if (c->nsid != 2 || !dev.no_list) {
        memcpy(page, &dev.blocks, 8);
        page[26] = dev.flbas;
        page[99] = dev.attributes;
        uint32_t format = (uint32_t)dev.lbads << 16 | dev.metadata;
        memcpy(page + 128 + 4 * (dev.flbas & 15), &format, 4);
    }
}

static void serve_admin(const struct nvme_command *c)
{
    unsigned id = c->dw10 & 0xffff;
    uint32_t result = 0;
    uint16_t status = dev.fail_admin ? 0x4006 : 0;
    switch (c->opcode) {
    case NVME_ADMIN_IDENTIFY:
        if (c->dw10 == 2 && dev.no_list)
            status = 0x4002;
        else
            identify(c);
        break;
    case NVME_ADMIN_SET_FEATURES:
        assert_int_equal(c->dw10, 7);
        result = (dev.queues - 1) << 16 | (dev.queues - 1);
        break;
    case NVME_ADMIN_CREATE_CQ:
        assert_true(id && id < RINGS && id <= dev.queues);
        ring[id] = (struct ring){.cq = phys_to_virt(c->prp1),
                                 .cq_entries = (c->dw10 >> 16) + 1,
                                 .phase = 1,
                                 .vector = c->dw11 >> 16};
        assert_true(ring[id].vector < (fake_msix_count ? fake_msix_count : 1));
        break;
    case NVME_ADMIN_CREATE_SQ:
        assert_int_equal(c->dw11, id << 16 | 1);
        ring[id].sq = phys_to_virt(c->prp1);
        ring[id].entries = (c->dw10 >> 16) + 1;
        break;
    default:
        status = 0x4001;
    }
    complete(0, c->id, status, result);
}

/* Serves ring `n` up to its doorbell; true if it did something. */
static bool serve(unsigned n)
{
    struct ring *r = &ring[n];
    unsigned bell = *reg(0x1000 + 2 * n * 4);
    bool any = false;
    while (r->sq && r->head != bell) {
        assert_true(bell < r->entries);
        struct nvme_command c = r->sq[r->head];
        r->head = (r->head + 1) % r->entries;
        if (n)
            serve_io(n, &c);
        else
            serve_admin(&c);
        any = true;
    }
    return any;
}

static void controller_enable(void)
{
    resets++;
    memset(ring, 0, sizeof ring);
    memset(regs + 0x1000, 0, sizeof regs - 0x1000);
    ring[0] = (struct ring){.sq = phys_to_virt(reg64(0x28)),
                            .cq = phys_to_virt(reg64(0x30)),
                            .entries = (*reg(0x24) & 0xffff) + 1,
                            .cq_entries = (*reg(0x24) >> 16) + 1,
                            .phase = 1};
    *reg(0x1c) = 1;
}

/* The controller runs, while somebody waits. */
static void device_run(void)
{
    fake_clock += SECOND / 100;
    if (dev.dumb)
        return;
    bool enabled = *reg(0x14) & 1, ready = *reg(0x1c) & 1;
    if (!enabled)
        *reg(0x1c) = 0;
    else if (!ready && !dev.never_ready)
        controller_enable();
    if (!(*reg(0x1c) & 1))
        return;
    serve(0);
    for (unsigned n = 1; n < RINGS; n++)
        while (serve(n))
            fake_interrupt(ring[n].vector);
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
    dev.cap_low = 1023 | 1 << 16 | 4 << 24;
    dev.cap_high = 1 << 5;
    dev.onocs = 12;
    dev.vwc = 1;
    dev.lbads = 9;
    dev.blocks = BYTES / 512;
    dev.ids[0] = 1;
    dev.queues = RINGS - 1;
    memset(regs, 0, sizeof regs);
    memset(ring, 0, sizeof ring);
    fake_msix_count = 8;
    fake_cpus = 1;
    fake_percpu.id = 0;
    for (unsigned i = 0; i < BYTES; i++)
        disk[i] = (uint8_t)(i / 512 + i);
}

/* Finds what there is; `found` is the last disk, found_count how many are new. */
static void start(void)
{
    fake_pci_reset();
    fake_bar = regs;
    fake_bar_size = sizeof regs;
    fake_block = device_run;
    memcpy(regs, &dev.cap_low, 4);
    memcpy(regs + 4, &dev.cap_high, 4);
    found_count = 0;
    blkdev_for_each(remember, NULL);
    unsigned before = found_count;
    found = NULL;
    found_count = 0;
    struct pci_device pci = {.vendor = 0x1b36};
    nvme_probe(&pci);
    blkdev_for_each(remember, NULL);
    found_count -= before;
    commands = flushes = durable = most_pages = 0;
    memset(served, 0, sizeof served);
}

static struct nvme *controller(void)
{
    return ((struct nvme_disk *)found->priv)->nvme;
}

static unsigned done_count;
static int done_status;

static void bio_done(struct bio *bio)
{
    done_count++;
    done_status = bio->status;
}

static void test_probe(void **state)
{
    (void)state;
    honest();
    start();
    assert_int_equal(found_count, 1);
    assert_int_equal(found->sectors, BYTES / 512);
    assert_int_equal(found->block_size, 512);
    assert_int_equal(found->transfer_max, NVME_TRANSFER);
    assert_true(found->durable);
    assert_false(found->read_only);
    assert_non_null(strstr(found->name, "n1"));
}

static void test_namespaces(void **state)
{
    (void)state;
    honest();
    dev.ids[1] = 7;
    dev.attributes = 1;
    start();
    assert_int_equal(found_count, 2);
    assert_non_null(strstr(found->name, "n2"));
    assert_int_equal(((struct nvme_disk *)found->priv)->nsid, 7);
    uint8_t *buf = calloc(1, 512);
    assert_int_equal(blkdev_write(found, 0, buf, 512), -EROFS);
    free(buf);
    honest();
    dev.no_list = true; /* ids 1 to 3, of which 2 has no namespace */
    start();
    assert_int_equal(found_count, 2);
    honest();
    dev.ids[1] = 1; /* does not ascend */
    start();
    assert_int_equal(found_count, 1);
}

/* Impossible namespaces are left out, impossible controllers do not start. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t blocks;
        uint8_t lbads, metadata;
    } bad[] = {{0, 9, 0},   {UINT64_MAX, 9, 0}, {100, 0, 0},
               {100, 8, 0}, {100, 13, 0},       {100, 255, 0},
               {100, 9, 8}, {1ull << 54, 9, 0}, {1ull << 51, 12, 0}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        honest();
        dev.blocks = bad[i].blocks;
        dev.lbads = bad[i].lbads;
        dev.metadata = bad[i].metadata;
        dev.flbas = (uint8_t)(i | 0x10);
        start();
        assert_int_equal(found_count, 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        honest();
        if (i == 0)
            dev.cap_high |= 1 << 16; /* pages of 8 KiB at least */
        else if (i == 1)
            dev.cap_high = 0; /* no NVM command set */
        else if (i == 2)
            dev.cap_low = 0; /* queues of one entry */
        else if (i == 3)
            dev.cap_high |= 15; /* doorbells outside the BAR */
        else if (i == 4)
            dev.never_ready = true;
        else
            dev.fail_admin = true;
        start();
        assert_int_equal(found_count, 0);
        assert_true(fake_pci_stopped);
    }
    honest();
    dev.dumb = true;
    start();
    assert_int_equal(found_count, 0);
    honest();
    memset(regs, 0xff, sizeof regs);
    dev.cap_low = dev.cap_high = UINT32_MAX; /* no device behind the registers */
    start();
    assert_int_equal(found_count, 0);
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
    assert_true(i >= 6 && i < 40);
}

static void test_read_write(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 1 << 20);
    static const unsigned sizes[] = {512, 4096, 4608, 8192, 12288, 65536, 524288};
    for (unsigned skip = 0; skip <= 2048; skip += 512)
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            assert_int_equal(blkdev_read(found, 3 * 512, buf + skip, sizes[i]), 0);
            assert_memory_equal(buf + skip, disk + 3 * 512, sizes[i]);
            memset(buf + skip, (int)(0x30 + i), sizes[i]);
            assert_int_equal(blkdev_write(found, (1 << 20) + 512, buf + skip, sizes[i]), 0);
            assert_memory_equal(disk + (1 << 20) + 512, buf + skip, sizes[i]);
        }
    assert_int_equal(most_pages, NVME_LIST + 1);
    assert_int_equal(blkdev_read(found, 0, buf, 1 << 20), 0); /* more than a command carries */
    assert_memory_equal(buf, disk, 1 << 20);
    free(buf);
}

static void test_small_transfers(void **state)
{
    (void)state;
    honest();
    dev.mdts = 1;
    start();
    assert_int_equal(found->transfer_max, 8192);
    uint8_t *buf = aligned_alloc(4096, 65536);
    assert_int_equal(blkdev_read(found, 512, buf, 65536), 0);
    assert_memory_equal(buf, disk + 512, 65536);
    assert_int_equal(commands, 8);
    assert_int_equal(most_pages, 2);
    free(buf);
}

/* Pieces that do not fill pages need a command each; those that do share one. */
static void test_pieces(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 40 * 8192);
    for (unsigned kind = 0; kind < 2; kind++) {
        uint32_t len = kind ? 4096 : 1024;
        struct bio bio = {.op = BIO_READ, .sector = 50, .count = 20, .done = bio_done};
        for (unsigned k = 0; k < 20; k++)
            bio.vec[k] = (struct bio_vec){buf + k * 8192, len};
        commands = done_count = 0;
        blkdev_submit(found, &bio);
        while (!done_count)
            device_run();
        assert_int_equal(done_status, 0);
        assert_int_equal(commands, kind ? 1 : 20);
        for (unsigned k = 0; k < 20; k++)
            assert_memory_equal(buf + k * 8192, disk + 50 * 512 + k * len, len);
    }
    struct bio odd = {.op = BIO_READ, .count = 1, .done = bio_done};
    odd.vec[0] = (struct bio_vec){buf + 2, 512}; /* no address that a command can have */
    blkdev_submit(found, &odd);
    assert_int_equal(odd.status, -EINVAL);
    free(buf);
}

static void test_large_blocks(void **state)
{
    (void)state;
    honest();
    dev.lbads = 12;
    dev.blocks = BYTES / 4096;
    start();
    assert_int_equal(found->block_size, 4096);
    assert_int_equal(found->sectors, BYTES / 512);
    uint8_t *buf = aligned_alloc(4096, 16384);
    assert_int_equal(blkdev_read(found, 40960, buf, 16384), 0);
    assert_memory_equal(buf, disk + 40960, 16384);
    assert_int_equal(blkdev_read(found, 512, buf, 4096), -EINVAL);
    assert_int_equal(blkdev_discard(found, 8192, 8192), 0);
    assert_int_equal(disk[8191], (uint8_t)(8191 / 512 + 8191));
    assert_int_equal(disk[8192], 0xdd);
    assert_int_equal(disk[16383], 0xdd);
    free(buf);
}

static void run_bio(struct bio *bio)
{
    bio->done = bio_done;
    done_count = 0;
    blkdev_submit(found, bio);
    for (unsigned i = 0; i < 100 && !done_count; i++)
        device_run();
    assert_int_equal(done_count, 1);
}

static void test_flush_and_durable(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 4096);
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(flushes, 1);
    struct bio bio = {.op = BIO_WRITE, .durable = true, .count = 1};
    bio.vec[0] = (struct bio_vec){buf, 4096};
    memset(buf, 1, 4096);
    run_bio(&bio);
    assert_int_equal(durable, 1);
    honest();
    dev.vwc = 0;
    start();
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(flushes, 0);
    assert_false(found->durable);
    free(buf);
}

static void test_discard_and_zeroes(void **state)
{
    (void)state;
    honest();
    start();
    assert_int_equal(blkdev_discard(found, 5120, 10240), 0);
    assert_int_equal(disk[5119], (uint8_t)(9 + 5119));
    assert_int_equal(disk[5120], 0xdd);
    assert_int_equal(disk[15359], 0xdd);
    struct bio bio = {.op = BIO_ZEROES, .sector = 12, .sectors = 4};
    run_bio(&bio);
    assert_int_equal(bio.status, 0);
    assert_int_equal(disk[12 * 512], 0);
    assert_int_equal(disk[16 * 512 - 1], 0);
    assert_int_equal(disk[16 * 512], 0xdd);
    honest();
    dev.onocs = 0;
    start();
    assert_int_equal(blkdev_discard(found, 5120, 10240), -EOPNOTSUPP);
    bio.status = 0;
    run_bio(&bio);
    assert_int_equal(bio.status, -EOPNOTSUPP);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        int err;
        unsigned tries;
    } cases[] = {{0x4080, -EIO, 1}, {0x281, -EIO, 1},   {0x81, -ENOSPC, 1},
                 {0x20, -EROFS, 1}, {0x182, -EROFS, 1}, {0x4001, -EOPNOTSUPP, 1},
                 {0x82, -EIO, 6},   {0x371, -EIO, 6},   {0x7fff, -EIO, 1}};
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 4096);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        commands = 0;
        dev.answer = cases[i].status;
        assert_int_equal(blkdev_read(found, 0, buf, 512), cases[i].err);
        assert_int_equal(commands, cases[i].tries);
    }
    dev.answer = 0;
    assert_int_equal(blkdev_read(found, 0, buf, 512), 0);
    free(buf);
}

#define MANY 200

/* More bios than slots: they wait, and all come back. */
static void test_queueing(void **state)
{
    (void)state;
    static struct bio bio[MANY];
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, MANY * 512);
    done_count = 0;
    for (unsigned i = 0; i < MANY; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .sector = i * 2, .count = 1, .done = bio_done};
        bio[i].vec[0] = (struct bio_vec){buf + i * 512, 512};
        blkdev_submit(found, &bio[i]);
    }
    assert_int_equal(done_count, 0);
    while (done_count < MANY)
        device_run();
    for (unsigned i = 0; i < MANY; i++)
        assert_memory_equal(buf + i * 512, disk + i * 1024, 512);
    free(buf);
}

static void test_queue_a_cpu(void **state)
{
    (void)state;
    static const struct {
        unsigned cpus, queues, vectors, used;
    } cases[] = {{3, 7, 8, 3}, {3, 2, 8, 2}, {3, 7, 3, 2},
                 {3, 7, 1, 1}, {3, 7, 0, 1}, {1, 7, 8, 1}};
    uint8_t *buf = aligned_alloc(4096, 4096);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        honest();
        fake_cpus = cases[i].cpus;
        dev.queues = cases[i].queues;
        fake_msix_count = cases[i].vectors;
        start();
        assert_int_equal(controller()->queue_count, cases[i].used);
        for (unsigned cpu = 0; cpu < cases[i].cpus; cpu++) {
            fake_percpu.id = cpu;
            assert_int_equal(blkdev_read(found, cpu * 512, buf, 512), 0);
            assert_memory_equal(buf, disk + cpu * 512, 512);
        }
        for (unsigned n = 1; n < RINGS; n++)
            assert_int_equal(served[n] != 0, n <= cases[i].used);
    }
    fake_percpu.id = 0;
    fake_cpus = 1;
    free(buf);
}

/* Completions of commands that are not under way are left alone. */
static void test_unknown_completions(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 4096);
    for (unsigned i = 0; i < 200; i++) {
        complete(1, (uint16_t)(i * 331), 0, 0);
        fake_interrupt(ring[1].vector);
    }
    assert_int_equal(blkdev_read(found, 512, buf, 512), 0);
    assert_memory_equal(buf, disk + 512, 512);
    for (unsigned i = 0; i < ring[1].cq_entries * 3; i++) /* a full ring of nonsense */
        complete(1, 0xffff, 0x7fff, 0);
    fake_interrupt(ring[1].vector);
    free(buf);
}

/* Time passes; what the timer and the controller's thread do then. */
static void time_passes(uint64_t seconds)
{
    struct nvme *nvme = controller();
    fake_clock += seconds * SECOND;
    for (unsigned i = 0; i < nvme->queue_count; i++)
        if (nvme->queue[i]->q.timer.armed) {
            nvme->queue[i]->q.timer.armed = false;
            nvme->queue[i]->q.timer.fn(&nvme->queue[i]->q.timer);
        }
    if (nvme->host.wanted) {
        nvme->host.wanted = false;
        nvme->host.attend(&nvme->host);
    }
}

static uint8_t *slow_buf;
static struct bio slow_bio[3];

/* Some reads, which the controller does not complete. */
static void slow_reads(void)
{
    honest();
    start();
    resets = done_count = 0;
    slow_buf = aligned_alloc(4096, 4096);
    for (unsigned i = 0; i < 3; i++) {
        slow_bio[i] = (struct bio){.op = BIO_READ, .sector = i, .count = 1, .done = bio_done};
        slow_bio[i].vec[0] = (struct bio_vec){slow_buf + i * 512, 512};
        blkdev_submit(found, &slow_bio[i]);
    }
}

static void test_lost_command(void **state)
{
    (void)state;
    slow_reads();
    dev.forget = 1;
    device_run();
    assert_int_equal(done_count, 2);
    time_passes(20); /* not yet */
    assert_int_equal(resets, 0);
    time_passes(20);
    assert_int_equal(resets, 1);
    device_run();
    assert_int_equal(done_count, 3);
    assert_int_equal(done_status, 0);
    assert_memory_equal(slow_buf, disk, 1536);
    free(slow_buf);
}

static void test_silent_controller(void **state)
{
    (void)state;
    slow_reads();
    dev.silent = true;
    for (unsigned i = 0; i < 2; i++) {
        device_run();
        assert_int_equal(done_count, 0);
        time_passes(40);
    }
    assert_int_equal(resets, 2);
    assert_int_equal(done_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(slow_bio[i].status, -EIO);
    dev.silent = false; /* it came to its senses */
    assert_int_equal(blkdev_read(found, 0, slow_buf, 512), 0);
    free(slow_buf);
}

/* A completion whose interrupt was lost needs no reset. */
static void test_lost_interrupt(void **state)
{
    (void)state;
    slow_reads();
    serve(1);
    assert_int_equal(done_count, 0);
    time_passes(40);
    assert_int_equal(done_count, 3);
    assert_int_equal(resets, 0);
    free(slow_buf);
}

static void test_fatal_status(void **state)
{
    (void)state;
    slow_reads();
    *reg(0x1c) |= 2;
    time_passes(3);
    assert_int_equal(resets, 1);
    device_run();
    assert_int_equal(done_count, 3);
    assert_int_equal(done_status, 0);
    free(slow_buf);
}

static void test_death(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        slow_reads();
        dev.dumb = kind == 0;
        if (kind == 0)
            memset(regs, 0xff, sizeof regs); /* pulled out */
        else if (kind == 1)
            dev.never_ready = true;
        else
            dev.fail_admin = true;
        dev.silent = true;
        device_run();
        time_passes(40);
        assert_int_equal(done_count, 3);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(slow_bio[i].status, -EIO);
        assert_true(fake_pci_stopped);
        assert_true(found->gone);
        assert_int_equal(blkdev_read(found, 0, slow_buf, 512), -EIO);
        time_passes(40);
        free(slow_buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_small_transfers),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_flush_and_durable),
        cmocka_unit_test(test_discard_and_zeroes),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_queueing),
        cmocka_unit_test(test_queue_a_cpu),
        cmocka_unit_test(test_unknown_completions),
        cmocka_unit_test(test_lost_command),
        cmocka_unit_test(test_silent_controller),
        cmocka_unit_test(test_lost_interrupt),
        cmocka_unit_test(test_fatal_status),
        cmocka_unit_test(test_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
