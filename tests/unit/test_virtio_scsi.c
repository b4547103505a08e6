/* SPDX-License-Identifier: Apache-2.0 */
/* The SCSI driver against a fake controller (fake_scsi.h). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_scsi.h>

#include "dev/blkdev.h"
#include "dev/scsi.h"
#include "fake_scsi.h"
#include "sched/thread.h"
#include "sched/waitq.h"

extern void (*fake_block)(void);

static struct blkdev *found;

static int remember(struct blkdev *d, void *arg)
{
    (void)arg;
    if (!strncmp(d->name, "sd", 2))
        found = d;
    return 0;
}

static void look(void)
{
    found = NULL;
    blkdev_for_each(remember, NULL);
}

static void forget(void)
{
    look();
    if (found)
        blkdev_unregister(found); /* frees it: the host's list is given up with the host */
    look();
    assert_null(found);
}

extern void (*fake_thread_fn)(void *);
extern void *fake_thread_arg;
extern struct waiter *fake_last_waiter;

static int host_start(void)
{
    static struct fake_virtio *kept[64]; /* drivers keep devices for good: so does the test */
    static unsigned count;
    dev = kept[count++] = calloc(1, sizeof *dev);
    fake_virtio_init(dev, VIRTIO_ID_SCSI,
                     1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |
                         1ull << VIRTIO_SCSI_F_HOTPLUG | 1ull << VIRTIO_SCSI_F_CHANGE,
                     64);
    struct virtio_scsi_config cfg = {.num_queues = 1,
                                     .seg_max = 4,
                                     .max_sectors = 0xffff,
                                     .sense_size = VIRTIO_SCSI_SENSE_DEFAULT_SIZE,
                                     .cdb_size = VIRTIO_SCSI_CDB_DEFAULT_SIZE,
                                     .max_target = 70};
    memcpy(dev->config, &cfg, sizeof cfg);
    for (unsigned i = 0; i < sizeof disk; i++)
        disk[i] = (uint8_t)(i / BLOCK + i);
    fake_block = serve_all;
    return virtio_device_add(&dev->vdev);
}

static void prepare(void)
{
    memset(&unit, 0, sizeof unit);
    unit.short_answer = -1;
    unit.cache = true;
    unit.blocks = BLOCKS;
    unit.present = true;
    memset(commands, 0, sizeof commands);
    durable = largest = 0;
}

static int teardown(void **state)
{
    (void)state;
    forget();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    prepare();
    return 0;
}

static void test_probe(void **state)
{
    (void)state;
    unit.key = 6, unit.code = 0x29, unit.senses = 1; /* "power on": told once */
    assert_int_equal(host_start(), 0);
    look();
    assert_non_null(found);
    assert_string_equal(found->name, "sda");
    assert_int_equal(found->sectors, BLOCKS * 8);
    assert_int_equal(found->block_size, BLOCK);
    assert_false(found->read_only);
    assert_false(found->durable);
    assert_int_equal(found->discard_max, 0);
    assert_int_equal(commands[0xa0], 2); /* the target was asked twice, no other answered */
}

static void test_nothing_there(void **state)
{
    (void)state;
    unit.present = false;
    assert_int_equal(host_start(), 0);
    look();
    assert_null(found);
}

static void test_read_write(void **state)
{
    (void)state;
    host_start();
    look();
    uint8_t *buf = malloc(4 * BLOCK);
    assert_int_equal(blkdev_read(found, 5 * BLOCK, buf, 4 * BLOCK), 0);
    assert_memory_equal(buf, disk + 5 * BLOCK, 4 * BLOCK);
    memset(buf, 0xee, 4 * BLOCK);
    assert_int_equal(blkdev_write(found, 9 * BLOCK, buf, 2 * BLOCK), 0);
    assert_memory_equal(disk + 9 * BLOCK, buf, 2 * BLOCK);
    assert_int_equal(disk[11 * BLOCK], 11);
    assert_int_equal(commands[0x8a], 1);
    assert_int_equal(commands[0x28] + commands[0x2a], 0);
    assert_int_equal(blkdev_read(found, 512, buf, 512), -EINVAL); /* no whole block */
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(commands[0x35], 1);
    free(buf);
}

static void test_narrow(void **state)
{
    (void)state;
    unit.narrow = true;
    host_start();
    look();
    uint8_t *buf = malloc(BLOCK);
    memset(buf, 1, BLOCK);
    assert_int_equal(blkdev_write(found, 7 * BLOCK, buf, BLOCK), 0);
    assert_int_equal(blkdev_read(found, 7 * BLOCK, buf, BLOCK), 0);
    assert_int_equal(commands[0x88] + commands[0x8a], 0);
    assert_int_equal(commands[0x2a], 1);
    assert_int_equal(disk[7 * BLOCK], 1);
    free(buf);
}

static void test_modes(void **state)
{
    (void)state;
    uint8_t *buf = calloc(1, BLOCK);
    unit.protect = true;
    unit.cache = false;
    host_start();
    look();
    assert_int_equal(blkdev_write(found, 0, buf, BLOCK), -EROFS);
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(commands[0x35], 0); /* nothing to be flushed */
    free(buf);
}

static int bio_go(struct bio *bio)
{
    return bio_wait(bio, blkdev_submit, found);
}

static void test_durable(void **state)
{
    (void)state;
    uint8_t *buf = calloc(1, BLOCK);
    unit.fua = true;
    host_start();
    look();
    assert_true(found->durable);
    struct bio bio = {.op = BIO_WRITE, .count = 1, .vec = {{buf, BLOCK}}};
    assert_int_equal(bio_go(&bio), 0);
    assert_int_equal(durable, 0);
    bio.durable = true;
    assert_int_equal(bio_go(&bio), 0);
    assert_int_equal(durable, 1);
    free(buf);
}

static void test_discard(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        prepare();
        unit.unmap = !same;
        unit.write_same = true;
        host_start();
        look();
        assert_int_equal(blkdev_discard(found, 10 * BLOCK - 1, 40 * BLOCK + 2), 0);
        assert_int_equal(commands[0x42], same ? 0 : 3); /* 16 blocks at most */
        assert_int_equal(commands[0x93], same ? 1 : 0);
        assert_int_equal(disk[10 * BLOCK], same ? 0 : 0xdd);
        assert_int_equal(disk[50 * BLOCK - 1], same ? 0 : 0xdd);
        assert_int_equal(disk[50 * BLOCK], 50);
        struct bio bio = {.op = BIO_ZEROES, .sector = 60 * 8, .sectors = 2 * 8};
        assert_int_equal(bio_go(&bio), 0);
        assert_int_equal(disk[60 * BLOCK + 1], 0);
        assert_int_equal(disk[62 * BLOCK + 1], 63);
        forget();
    }
}

/* At most 3 blocks a command, and 4 pieces. */
static void test_limits(void **state)
{
    (void)state;
    unit.transfer_max = 3;
    host_start();
    look();
    uint8_t *buf = malloc(10 * BLOCK);
    largest = 0;
    assert_int_equal(blkdev_read(found, 100 * BLOCK, buf, 10 * BLOCK), 0);
    assert_memory_equal(buf, disk + 100 * BLOCK, 10 * BLOCK);
    assert_int_equal(largest, 3 * BLOCK);
    free(buf);
}

static void test_impossible(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 256, 520, 8192, 0x80000000};
    for (unsigned i = 0; i < 5; i++) {
        unit.block_size = sizes[i];
        assert_int_equal(host_start(), 0);
        look();
        assert_null(found);
    }
    unit.block_size = 0;
    unit.blocks = 0; /* 2^64 of them, it says */
    assert_int_equal(host_start(), 0);
    look();
    assert_null(found);
}

static int read_with_sense(uint8_t key, uint8_t code, uint8_t qualifier, unsigned times)
{
    uint8_t *buf = malloc(BLOCK);
    unit.key = key, unit.code = code, unit.qualifier = qualifier, unit.senses = times;
    int err = blkdev_read(found, 0, buf, BLOCK);
    unit.senses = 0;
    free(buf);
    return err;
}

static void test_sense(void **state)
{
    (void)state;
    host_start();
    look();
    for (int i = 0; i < 2; i++) {
        unit.descriptor = i;
        assert_int_equal(read_with_sense(3, 0x11, 0, 1), -EIO);    /* medium error */
        assert_int_equal(read_with_sense(6, 0x29, 0, 3), 0);       /* attention: again */
        assert_int_equal(read_with_sense(6, 0x29, 0, 1000), -EIO); /* for ever */
        assert_int_equal(read_with_sense(7, 0x27, 0, 1), -EROFS);
        assert_int_equal(read_with_sense(7, 0x27, 7, 1), -ENOSPC);
        assert_int_equal(read_with_sense(5, 0x20, 0, 1), -EOPNOTSUPP);
        assert_int_equal(read_with_sense(5, 0x21, 0, 1), -EIO);
        assert_int_equal(read_with_sense(2, 4, 1, 2), 0); /* becoming ready */
        assert_int_equal(read_with_sense(2, 0x3a, 0, 1), -EIO);
        assert_int_equal(read_with_sense(0xb, 0, 0, 2), 0);
        assert_int_equal(read_with_sense(0, 0, 0, 1), -EIO);
    }
}

static int plain_read(void)
{
    uint8_t *buf = malloc(BLOCK);
    int err = blkdev_read(found, 0, buf, BLOCK);
    free(buf);
    return err;
}

/* Answers that are no answers. */
static void test_hostile_answers(void **state)
{
    (void)state;
    host_start();
    look();
    unit.resid = 512;
    assert_int_equal(plain_read(), -EIO); /* not all came */
    unit.resid = 0xffffffff;
    assert_int_equal(plain_read(), -EIO);
    unit.resid = 0;
    static const uint8_t responses[] = {VIRTIO_SCSI_S_OVERRUN, VIRTIO_SCSI_S_ABORTED,
                                        VIRTIO_SCSI_S_BAD_TARGET, VIRTIO_SCSI_S_BUSY, 200};
    for (unsigned i = 0; i < sizeof responses; i++) {
        unit.response = responses[i];
        assert_int_equal(plain_read(), -EIO);
    }
    unit.response = 0;
    unit.status = 0x18; /* reservation conflict */
    assert_int_equal(plain_read(), -EIO);
    unit.status = 8; /* busy, for ever */
    assert_int_equal(plain_read(), -EIO);
    unit.status = 2; /* sense data that were not written */
    assert_int_equal(plain_read(), -EIO);
    unit.status = 0;
    for (unit.short_answer = 0; unit.short_answer < 12; unit.short_answer++)
        assert_int_equal(plain_read(), -EIO);
    unit.short_answer = -1;
    assert_int_equal(plain_read(), 0);
}

static void test_hostile_ring(void **state)
{
    (void)state;
    static struct bio bio;
    static uint8_t buf[BLOCK];
    host_start();
    look();
    fake_block = NULL;
    fake_queue_use(&dev->queue[REQUEST], 99, 1);
    fake_queue_interrupt(&dev->queue[REQUEST]);
    assert_true(dev->vdev.broken);
    bio = (struct bio){.op = BIO_READ, .count = 1, .vec = {{buf, BLOCK}}};
    assert_int_equal(bio_go(&bio), -EIO);
}

/* The controller tells an event; the driver's thread acts on it. */
static void event(uint32_t what, uint8_t target, uint8_t lun, uint32_t reason, uint32_t written)
{
    struct fake_queue *q = &dev->queue[EVENTS];
    struct fake_chain c;
    struct virtio_scsi_event e = {.event = what, .lun = {1, target, 0x40, lun}, .reason = reason};
    assert_true(fake_queue_next(q, &c));
    assert_int_equal(c.seg[0].len, sizeof e);
    memcpy(c.seg[0].data, &e, sizeof e);
    fake_queue_use(q, c.head, written);
    fake_queue_interrupt(q);
}

static jmp_buf idle;

static void serve_or_idle(void)
{
    if (dev->queue[REQUEST].avail_seen == dev->queue[REQUEST].vq->ring.avail->idx) {
        waitq_remove(fake_last_waiter); /* the thread waits for events, not for a command */
        longjmp(idle, 1);
    }
    serve_all();
}

static void thread_runs(void)
{
    fake_block = serve_or_idle;
    if (!setjmp(idle))
        fake_thread_fn(fake_thread_arg);
    fake_block = serve_all;
    look();
}

static void test_hotplug(void **state)
{
    (void)state;
    unit.present = false;
    host_start();
    thread_runs();
    assert_null(found);
    unit.present = true;
    event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, LUN, VIRTIO_SCSI_EVT_RESET_RESCAN, 16);
    thread_runs();
    assert_non_null(found);
    assert_int_equal(plain_read(), 0);
    struct blkdev *held = found;
    blkdev_get(held);
    unit.present = false;
    event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, LUN, VIRTIO_SCSI_EVT_RESET_REMOVED, 16);
    thread_runs();
    assert_null(found);
    found = held;
    assert_int_equal(plain_read(), -EIO);
    blkdev_put(held);
    found = NULL;
}

/* Events were lost: all targets are looked at again. */
static void test_missed_events(void **state)
{
    (void)state;
    unit.present = false;
    host_start();
    thread_runs();
    unit.present = true;
    event(VIRTIO_SCSI_T_EVENTS_MISSED, 0, 0, 0, 16);
    thread_runs();
    assert_non_null(found);
    unit.present = false;
    event(VIRTIO_SCSI_T_EVENTS_MISSED, 0, 0, 0, 16);
    thread_runs();
    assert_null(found);
}

static void test_more_events_than_kept(void **state)
{
    (void)state;
    unit.present = false;
    host_start();
    thread_runs();
    for (unsigned i = 0; i < 40; i++)
        event(VIRTIO_SCSI_T_TRANSPORT_RESET, 60, 0, VIRTIO_SCSI_EVT_RESET_RESCAN, 16);
    unit.present = true;
    thread_runs();
    assert_non_null(found); /* by the scan */
}

static void test_hostile_events(void **state)
{
    (void)state;
    host_start();
    thread_runs();
    struct blkdev *d = found;
    event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, LUN, VIRTIO_SCSI_EVT_RESET_REMOVED, 3); /* cut */
    event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, 9, VIRTIO_SCSI_EVT_RESET_REMOVED, 16);
    event(VIRTIO_SCSI_T_PARAM_CHANGE, 255, 255, 0x092a, 16);
    event(77, TARGET, LUN, 5, 16);
    thread_runs();
    assert_ptr_equal(found, d);
    assert_int_equal(plain_read(), 0);
}

static void test_resize(void **state)
{
    (void)state;
    unit.blocks = 100;
    host_start();
    thread_runs();
    assert_int_equal(found->sectors, 800);
    unit.blocks = 200;
    event(VIRTIO_SCSI_T_PARAM_CHANGE, TARGET, LUN, 0x092a, 16);
    thread_runs();
    assert_int_equal(found->sectors, 1600);
    unit.blocks = 300; /* told by a command's sense data */
    assert_int_equal(read_with_sense(6, 0x2a, 9, 1), 0);
    thread_runs();
    assert_int_equal(found->sectors, 2400);
}

/* A disk that is taken away and comes again has its name again. */
static void test_names(void **state)
{
    (void)state;
    host_start();
    thread_runs();
    for (unsigned i = 0; i < 300; i++) {
        assert_string_equal(found->name, "sda");
        event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, LUN, VIRTIO_SCSI_EVT_RESET_REMOVED, 16);
        event(VIRTIO_SCSI_T_TRANSPORT_RESET, TARGET, LUN, VIRTIO_SCSI_EVT_RESET_RESCAN, 16);
        thread_runs();
        assert_non_null(found);
    }
    struct blkdev d = {0};
    blkdev_set_name(&d, "sd", 25);
    assert_string_equal(d.name, "sdz");
    blkdev_set_name(&d, "sd", 26);
    assert_string_equal(d.name, "sdaa");
    blkdev_set_name(&d, "sd", 255);
    assert_string_equal(d.name, "sdiv");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_probe),           CASE(test_nothing_there),
        CASE(test_read_write),      CASE(test_narrow),
        CASE(test_modes),           CASE(test_durable),
        CASE(test_discard),         CASE(test_limits),
        CASE(test_impossible),      CASE(test_sense),
        CASE(test_hostile_answers), CASE(test_hostile_ring),
        CASE(test_hotplug),         CASE(test_missed_events),
        CASE(test_hostile_events),  CASE(test_more_events_than_kept),
        CASE(test_resize),          CASE(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
