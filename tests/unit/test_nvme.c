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
#include "dev/nvme/nvme_disk.h"
#include "fake_nvme.h"
#include "fake_pci.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);
extern uint64_t fake_clock;
extern unsigned fake_cpus;

#define SECOND 1000000000ull

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
    memset(&fake_nvme, 0, sizeof fake_nvme);
    fake_nvme.cap_low = 1023 | 1 << 16 | 4 << 24;
    fake_nvme.cap_high = 1 << 5;
    fake_nvme.onocs = 12;
    fake_nvme.vwc = 1;
    fake_nvme.lbads = 9;
    fake_nvme.blocks = FAKE_NVME_BYTES / 512;
    fake_nvme.ids[0] = 1;
    fake_nvme.queues = FAKE_NVME_RINGS - 1;
    memset(fake_nvme_regs, 0, sizeof fake_nvme_regs);
    memset(fake_nvme_ring, 0, sizeof fake_nvme_ring);
    fake_msix_count = 8;
    fake_cpus = 1;
    fake_percpu.id = 0;
    for (unsigned i = 0; i < FAKE_NVME_BYTES; i++)
        fake_nvme_disk[i] = (uint8_t)(i / 512 + i);
}

/* Finds what there is; `found` is the last disk, found_count how many are new. */
static void start(void)
{
    fake_pci_reset();
    fake_bar = fake_nvme_regs;
    fake_bar_size = sizeof fake_nvme_regs;
    fake_block = fake_nvme_run;
    memcpy(fake_nvme_regs, &fake_nvme.cap_low, 4);
    memcpy(fake_nvme_regs + 4, &fake_nvme.cap_high, 4);
    found_count = 0;
    blkdev_for_each(remember, NULL);
    unsigned before = found_count;
    found = NULL;
    found_count = 0;
    struct pci_device pci = {.vendor = 0x1b36};
    nvme_probe(&pci);
    blkdev_for_each(remember, NULL);
    found_count -= before;
    fake_nvme.commands = fake_nvme.flushes = fake_nvme.durable = fake_nvme.most_pages = 0;
    memset(fake_nvme.served, 0, sizeof fake_nvme.served);
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
    assert_int_equal(found->sectors, FAKE_NVME_BYTES / 512);
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
    fake_nvme.ids[1] = 7;
    fake_nvme.attributes = 1;
    start();
    assert_int_equal(found_count, 2);
    assert_non_null(strstr(found->name, "n2"));
    assert_int_equal(((struct nvme_disk *)found->priv)->nsid, 7);
    uint8_t *buf = calloc(1, 512);
    assert_int_equal(blkdev_write(found, 0, buf, 512), -EROFS);
    free(buf);
    honest();
    fake_nvme.no_list = true; /* ids 1 to 3, of which 2 has no namespace */
    start();
    assert_int_equal(found_count, 2);
    honest();
    fake_nvme.ids[1] = 1; /* does not ascend */
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
        fake_nvme.blocks = bad[i].blocks;
        fake_nvme.lbads = bad[i].lbads;
        fake_nvme.metadata = bad[i].metadata;
        fake_nvme.flbas = (uint8_t)(i | 0x10);
        start();
        assert_int_equal(found_count, 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        honest();
        if (i == 0)
            fake_nvme.cap_high |= 1 << 16; /* pages of 8 KiB at least */
        else if (i == 1)
            fake_nvme.cap_high = 0; /* no NVM command set */
        else if (i == 2)
            fake_nvme.cap_low = 0; /* queues of one entry */
        else if (i == 3)
            fake_nvme.cap_high |= 15; /* doorbells outside the BAR */
        else if (i == 4)
            fake_nvme.never_ready = true;
        else
            fake_nvme.fail_admin = true;
        start();
        assert_int_equal(found_count, 0);
        assert_true(fake_pci_stopped);
    }
    honest();
    fake_nvme.dumb = true;
    start();
    assert_int_equal(found_count, 0);
    honest();
    memset(fake_nvme_regs, 0xff, sizeof fake_nvme_regs);
    fake_nvme.cap_low = fake_nvme.cap_high = UINT32_MAX; /* no device behind the registers */
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
            assert_memory_equal(buf + skip, fake_nvme_disk + 3 * 512, sizes[i]);
            memset(buf + skip, (int)(0x30 + i), sizes[i]);
            assert_int_equal(blkdev_write(found, (1 << 20) + 512, buf + skip, sizes[i]), 0);
            assert_memory_equal(fake_nvme_disk + (1 << 20) + 512, buf + skip, sizes[i]);
        }
    assert_int_equal(fake_nvme.most_pages, NVME_LIST + 1);
    assert_int_equal(blkdev_read(found, 0, buf, 1 << 20), 0); /* more than a command carries */
    assert_memory_equal(buf, fake_nvme_disk, 1 << 20);
    free(buf);
}

static void test_small_transfers(void **state)
{
    (void)state;
    honest();
    fake_nvme.mdts = 1;
    start();
    assert_int_equal(found->transfer_max, 8192);
    uint8_t *buf = aligned_alloc(4096, 65536);
    assert_int_equal(blkdev_read(found, 512, buf, 65536), 0);
    assert_memory_equal(buf, fake_nvme_disk + 512, 65536);
    assert_int_equal(fake_nvme.commands, 8);
    assert_int_equal(fake_nvme.most_pages, 2);
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
        fake_nvme.commands = done_count = 0;
        blkdev_submit(found, &bio);
        while (!done_count)
            fake_nvme_run();
        assert_int_equal(done_status, 0);
        assert_int_equal(fake_nvme.commands, kind ? 1 : 20);
        for (unsigned k = 0; k < 20; k++)
            assert_memory_equal(buf + k * 8192, fake_nvme_disk + 50 * 512 + k * len, len);
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
    fake_nvme.lbads = 12;
    fake_nvme.blocks = FAKE_NVME_BYTES / 4096;
    start();
    assert_int_equal(found->block_size, 4096);
    assert_int_equal(found->sectors, FAKE_NVME_BYTES / 512);
    uint8_t *buf = aligned_alloc(4096, 16384);
    assert_int_equal(blkdev_read(found, 40960, buf, 16384), 0);
    assert_memory_equal(buf, fake_nvme_disk + 40960, 16384);
    assert_int_equal(blkdev_read(found, 512, buf, 4096), -EINVAL);
    assert_int_equal(blkdev_discard(found, 8192, 8192), 0);
    assert_int_equal(fake_nvme_disk[8191], (uint8_t)(8191 / 512 + 8191));
    assert_int_equal(fake_nvme_disk[8192], 0xdd);
    assert_int_equal(fake_nvme_disk[16383], 0xdd);
    free(buf);
}

static void run_bio(struct bio *bio)
{
    bio->done = bio_done;
    done_count = 0;
    blkdev_submit(found, bio);
    for (unsigned i = 0; i < 100 && !done_count; i++)
        fake_nvme_run();
    assert_int_equal(done_count, 1);
}

static void test_flush_and_durable(void **state)
{
    (void)state;
    honest();
    start();
    uint8_t *buf = aligned_alloc(4096, 4096);
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(fake_nvme.flushes, 1);
    struct bio bio = {.op = BIO_WRITE, .durable = true, .count = 1};
    bio.vec[0] = (struct bio_vec){buf, 4096};
    memset(buf, 1, 4096);
    run_bio(&bio);
    assert_int_equal(fake_nvme.durable, 1);
    honest();
    fake_nvme.vwc = 0;
    start();
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(fake_nvme.flushes, 0);
    assert_false(found->durable);
    free(buf);
}

static void test_discard_and_zeroes(void **state)
{
    (void)state;
    honest();
    start();
    assert_int_equal(blkdev_discard(found, 5120, 10240), 0);
    assert_int_equal(fake_nvme_disk[5119], (uint8_t)(9 + 5119));
    assert_int_equal(fake_nvme_disk[5120], 0xdd);
    assert_int_equal(fake_nvme_disk[15359], 0xdd);
    struct bio bio = {.op = BIO_ZEROES, .sector = 12, .sectors = 4};
    run_bio(&bio);
    assert_int_equal(bio.status, 0);
    assert_int_equal(fake_nvme_disk[12 * 512], 0);
    assert_int_equal(fake_nvme_disk[16 * 512 - 1], 0);
    assert_int_equal(fake_nvme_disk[16 * 512], 0xdd);
    honest();
    fake_nvme.onocs = 0;
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
        fake_nvme.commands = 0;
        fake_nvme.answer = cases[i].status;
        assert_int_equal(blkdev_read(found, 0, buf, 512), cases[i].err);
        assert_int_equal(fake_nvme.commands, cases[i].tries);
    }
    fake_nvme.answer = 0;
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
        fake_nvme_run();
    for (unsigned i = 0; i < MANY; i++)
        assert_memory_equal(buf + i * 512, fake_nvme_disk + i * 1024, 512);
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
        fake_nvme.queues = cases[i].queues;
        fake_msix_count = cases[i].vectors;
        start();
        assert_int_equal(controller()->queue_count, cases[i].used);
        for (unsigned cpu = 0; cpu < cases[i].cpus; cpu++) {
            fake_percpu.id = cpu;
            assert_int_equal(blkdev_read(found, cpu * 512, buf, 512), 0);
            assert_memory_equal(buf, fake_nvme_disk + cpu * 512, 512);
        }
        for (unsigned n = 1; n < FAKE_NVME_RINGS; n++)
            assert_int_equal(fake_nvme.served[n] != 0, n <= cases[i].used);
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
        fake_nvme_complete(1, (uint16_t)(i * 331), 0, 0);
        fake_interrupt(fake_nvme_ring[1].vector);
    }
    assert_int_equal(blkdev_read(found, 512, buf, 512), 0);
    assert_memory_equal(buf, fake_nvme_disk + 512, 512);
    for (unsigned i = 0; i < fake_nvme_ring[1].cq_entries * 3; i++) /* a full ring of nonsense */
        fake_nvme_complete(1, 0xffff, 0x7fff, 0);
    fake_interrupt(fake_nvme_ring[1].vector);
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
    fake_nvme.resets = done_count = 0;
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
    fake_nvme.forget = 1;
    fake_nvme_run();
    assert_int_equal(done_count, 2);
    time_passes(20); /* not yet */
    assert_int_equal(fake_nvme.resets, 0);
    time_passes(20);
    assert_int_equal(fake_nvme.resets, 1);
    fake_nvme_run();
    assert_int_equal(done_count, 3);
    assert_int_equal(done_status, 0);
    assert_memory_equal(slow_buf, fake_nvme_disk, 1536);
    free(slow_buf);
}

static void test_silent_controller(void **state)
{
    (void)state;
    slow_reads();
    fake_nvme.silent = true;
    for (unsigned i = 0; i < 2; i++) {
        fake_nvme_run();
        assert_int_equal(done_count, 0);
        time_passes(40);
    }
    assert_int_equal(fake_nvme.resets, 2);
    assert_int_equal(done_count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(slow_bio[i].status, -EIO);
    fake_nvme.silent = false; /* it came to its senses */
    assert_int_equal(blkdev_read(found, 0, slow_buf, 512), 0);
    free(slow_buf);
}

/* A completion whose interrupt was lost needs no reset. */
static void test_lost_interrupt(void **state)
{
    (void)state;
    slow_reads();
    fake_nvme_serve(1);
    assert_int_equal(done_count, 0);
    time_passes(40);
    assert_int_equal(done_count, 3);
    assert_int_equal(fake_nvme.resets, 0);
    free(slow_buf);
}

static void test_fatal_status(void **state)
{
    (void)state;
    slow_reads();
    *fake_nvme_reg(0x1c) |= 2;
    time_passes(3);
    assert_int_equal(fake_nvme.resets, 1);
    fake_nvme_run();
    assert_int_equal(done_count, 3);
    assert_int_equal(done_status, 0);
    free(slow_buf);
}

static void test_death(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        slow_reads();
        fake_nvme.dumb = kind == 0;
        if (kind == 0)
            memset(fake_nvme_regs, 0xff, sizeof fake_nvme_regs); /* pulled out */
        else if (kind == 1)
            fake_nvme.never_ready = true;
        else
            fake_nvme.fail_admin = true;
        fake_nvme.silent = true;
        fake_nvme_run();
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

/* The controller tells of a change, and the threads of the driver act. */
static void change(void)
{
    extern void (*fake_thread_fn)(void *arg);
    extern void *fake_thread_arg;
    struct nvme *nvme = controller();
    assert_int_equal(fake_nvme.asked, 1);
    fake_nvme.asked = 0;
    fake_nvme_complete(0, 0xffff, 0, 0x0002);
    fake_interrupt(0);
    fake_thread_fn = NULL;
    time_passes(0);
    assert_non_null(fake_thread_fn);
    assert_ptr_equal(fake_thread_arg, nvme);
    nvme_disks_settle(nvme);
    found_count = 0;
    blkdev_for_each(remember, NULL);
}

static void test_namespaces_change(void **state)
{
    (void)state;
    honest();
    fake_nvme.tells = true;
    start();
    struct blkdev *first = found;
    unsigned all;
    found_count = 0;
    blkdev_for_each(remember, NULL);
    all = found_count;
    fake_nvme.blocks /= 2;
    change(); /* another size */
    assert_int_equal(found_count, all);
    assert_int_equal(first->sectors, FAKE_NVME_BYTES / 1024);
    fake_nvme.ids[1] = 9;
    change(); /* one more */
    assert_int_equal(found_count, all + 1);
    assert_non_null(strstr(found->name, "n2"));
    fake_nvme.ids[0] = 9;
    fake_nvme.ids[1] = 0;
    change(); /* the first one goes */
    assert_int_equal(found_count, all);
    assert_true(first->gone);
    free(first->priv); /* in the kernel it stays, as somebody may have it mounted */
    uint8_t *buf = aligned_alloc(4096, 4096);
    assert_int_equal(blkdev_read(found, 0, buf, 512), 0);
    free(buf);
    time_passes(0);                  /* nothing new */
    fake_nvme_complete(0, 77, 0, 0); /* of no command */
    fake_interrupt(0);
    time_passes(0);
    assert_int_equal(fake_nvme.asked, 1);
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
        cmocka_unit_test(test_namespaces_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
