/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk and the block layer above it, against a fake device with a disk in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>

#include "arch/x86_64/percpu.h"
#include "dev/blkdev.h"
#include "fake_virtio.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);

#define SECTORS  256
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX)
#define SEG_MAX  (1ull << VIRTIO_BLK_F_SEG_MAX)
#define FLUSH    (1ull << VIRTIO_BLK_F_FLUSH)

static struct fake_virtio *dev;
static uint8_t disk[SECTORS * 512];
static unsigned requests, flushes, max_segments, ranges, indirect;
static unsigned served[VIRTIO_QUEUES_MAX]; /* by queue */
static uint8_t answer;                     /* status given */
static struct blkdev *found;

/* A discard or zeroes: the range behind the header. */
static void serve_range(uint32_t type, const uint8_t *at)
{
    struct virtio_blk_discard_write_zeroes range;
    memcpy(&range, at, sizeof range);
    assert_true(range.sector + range.num_sectors <= SECTORS && !range.flags);
    memset(disk + range.sector * 512, type == VIRTIO_BLK_T_DISCARD ? 0xdd : 0,
           range.num_sectors * 512);
    ranges++;
}

/* The device serves one request of queue `n`. */
static bool serve_one(unsigned n)
{
    struct fake_queue *q = &dev->queue[n];
    struct fake_chain c;
    struct virtio_blk_outhdr h;
    uint32_t written = 1;
    if (!q->vq || !fake_queue_next(q, &c))
        return false;
    assert_true(c.seg[0].len >= sizeof h);
    memcpy(&h, c.seg[0].data, sizeof h);
    bool range = h.type == VIRTIO_BLK_T_DISCARD || h.type == VIRTIO_BLK_T_WRITE_ZEROES;
    assert_int_equal(c.seg[0].len, sizeof h + (range ? 16 : 0));
    unsigned last = c.out + c.in - 1;
    assert_int_equal(c.seg[last].len, 1);
    assert_true(last - 1 <= max_segments || h.type == VIRTIO_BLK_T_FLUSH);
    if (range)
        serve_range(h.type, c.seg[0].data + sizeof h);
    uint8_t *at = disk + h.sector * 512;
    for (unsigned i = 1; i < last; i++) {
        assert_true(at + c.seg[i].len <= disk + sizeof disk);
        if (h.type == VIRTIO_BLK_T_IN) {
            memcpy(c.seg[i].data, at, c.seg[i].len);
            written += c.seg[i].len;
        } else {
            memcpy(at, c.seg[i].data, c.seg[i].len);
        }
        at += c.seg[i].len;
    }
    indirect += c.indirect;
    served[n]++;
    requests++;
    flushes += h.type == VIRTIO_BLK_T_FLUSH;
    *c.seg[last].data = answer;
    fake_queue_use(q, c.head, written);
    return true;
}

static void serve_all(void)
{
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX && dev->queue[n].vq; n++)
        do
            while (serve_one(n))
                ;
        while (fake_queue_interrupt(&dev->queue[n]) ||
               dev->queue[n].avail_seen != dev->queue[n].vq->ring.avail->idx);
}

static int remember(struct blkdev *d, void *arg)
{
    (void)arg;
    found = d;
    return 0;
}

/* A probed disk; the caller may have changed `dev` by `change` before. */
static int disk_start(uint64_t features, unsigned queue_max, void (*change)(void))
{
    dev = calloc(1, sizeof *dev); /* the block layer keeps devices for good: so does the test */
    fake_virtio_init(dev, VIRTIO_ID_BLOCK, FEATURES | features, queue_max);
    struct virtio_blk_config cfg = {.capacity = SECTORS, .seg_max = 4, .blk_size = 512};
    memcpy(dev->config, &cfg, sizeof cfg < sizeof dev->config ? sizeof cfg : sizeof dev->config);
    if (change)
        change();
    for (unsigned i = 0; i < sizeof disk; i++)
        disk[i] = (uint8_t)(i / 512 + i);
    requests = flushes = ranges = indirect = 0;
    memset(served, 0, sizeof served);
    answer = VIRTIO_BLK_S_OK;
    max_segments = features & SEG_MAX ? 4 : 1;
    fake_block = serve_all;
    int err = virtio_device_add(&dev->vdev);
    if (!err)
        blkdev_for_each(remember, NULL);
    return err;
}

static unsigned done_count;
static int done_status;

static void bio_done(struct bio *bio)
{
    done_count++;
    done_status = bio->status;
}

static void bio_go(struct bio *bio)
{
    bio->done = bio_done;
    done_count = 0;
    blkdev_submit(found, bio);
}

static void test_probe(void **state)
{
    (void)state;
    assert_int_equal(disk_start(SEG_MAX | FLUSH, 128, NULL), 0);
    assert_int_equal(found->sectors, SECTORS);
    assert_int_equal(found->block_size, 512);
    assert_false(found->read_only);
    assert_true(dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
    assert_int_equal(dev->accepted, FEATURES | SEG_MAX | FLUSH);
}

static void legacy(void)
{
    dev->offered = 0;
}

static void refuse(void)
{
    dev->refuse = true;
}

static void bad_block_size(void)
{
    uint32_t size = 1000;
    dev->offered |= 1ull << VIRTIO_BLK_F_BLK_SIZE;
    memcpy(dev->config + offsetof(struct virtio_blk_config, blk_size), &size, 4);
}

static void no_queue(void)
{
    dev->queue_max = 0;
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(disk_start(0, 128, legacy), -ENOTSUP);
    free(dev);
    assert_int_equal(disk_start(0, 128, refuse), -ENOTSUP);
    free(dev);
    assert_int_equal(disk_start(0, 128, bad_block_size), -EINVAL);
    assert_int_equal(dev->status, 0); /* reset */
    free(dev);
    assert_int_equal(disk_start(0, 128, no_queue), -ENOENT);
    free(dev);
    assert_int_equal(disk_start(0, 2, NULL), -EINVAL); /* no room for a request */
    free(dev);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        fake_mem_fail_after = -1;
        dev = calloc(1, sizeof *dev);
        fake_virtio_init(dev, VIRTIO_ID_BLOCK, FEATURES, 16);
        fake_mem_fail_after = i;
        assert_int_equal(virtio_device_add(&dev->vdev), -ENOMEM);
        free(dev);
    }
    fake_mem_fail_after = -1;
}

static void test_read_write(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, NULL);
    uint8_t *buf = malloc(8192);
    assert_int_equal(blkdev_read(found, 3 * 512, buf, 4096), 0);
    assert_memory_equal(buf, disk + 3 * 512, 4096);
    memset(buf, 0xee, 8192);
    assert_int_equal(blkdev_write(found, 100 * 512, buf, 8192), 0);
    assert_memory_equal(disk + 100 * 512, buf, 8192);
    assert_int_equal(disk[99 * 512], (uint8_t)(99 + 99 * 512));
    free(buf);
}

static void test_bounds(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, NULL);
    uint8_t buf[1024];
    unsigned before = requests;
    assert_int_equal(blkdev_read(found, (SECTORS - 1) * 512, buf, 1024), -EIO);
    assert_int_equal(blkdev_read(found, 1ull << 60, buf, 512), -EIO);
    assert_int_equal(blkdev_read(found, 100, buf, 512), -EINVAL);
    struct bio bio = {.op = BIO_READ, .count = BIO_VECS + 1};
    bio_go(&bio);
    assert_int_equal(bio.status, -EINVAL);
    assert_int_equal(requests, before);
}

static void read_only(void)
{
    dev->offered |= 1ull << VIRTIO_BLK_F_RO;
}

static void test_read_only(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, read_only);
    uint8_t buf[512] = {0};
    assert_int_equal(blkdev_write(found, 0, buf, 512), -EROFS);
    assert_int_equal(blkdev_read(found, 0, buf, 512), 0);
}

static void test_flush(void **state)
{
    (void)state;
    disk_start(FLUSH, 16, NULL);
    assert_int_equal(blkdev_flush(found), 0);
    assert_int_equal(flushes, 1);
    disk_start(0, 16, NULL);
    assert_int_equal(blkdev_flush(found), 0); /* the device has no cache */
    assert_int_equal(flushes, 0);
}

static void test_errors(void **state)
{
    (void)state;
    disk_start(FLUSH, 16, NULL);
    uint8_t buf[512];
    answer = VIRTIO_BLK_S_IOERR;
    assert_int_equal(blkdev_read(found, 0, buf, 512), -EIO);
    answer = VIRTIO_BLK_S_UNSUPP;
    assert_int_equal(blkdev_flush(found), -EOPNOTSUPP);
    answer = 0xff; /* never written */
    assert_int_equal(blkdev_read(found, 0, buf, 512), -EIO);
    answer = VIRTIO_BLK_S_OK;
    assert_int_equal(blkdev_read(found, 0, buf, 512), 0);
}

/* 20 separate pieces; the device takes 4 a request, or 1. */
static void test_split(void **state)
{
    (void)state;
    uint8_t *buf = calloc(40, 512);
    for (int i = 0; i < 2; i++) {
        disk_start(i ? 0 : SEG_MAX, 16, NULL);
        struct bio bio = {.op = BIO_READ, .sector = 50, .count = 20};
        for (unsigned k = 0; k < 20; k++)
            bio.vec[k] = (struct bio_vec){buf + k * 1024, 512};
        unsigned before = requests;
        bio_go(&bio);
        serve_all();
        assert_int_equal(done_count, 1);
        assert_int_equal(done_status, 0);
        assert_int_equal(requests - before, i ? 20 : 5);
        for (unsigned k = 0; k < 20; k++)
            assert_memory_equal(buf + k * 1024, disk + (50 + k) * 512, 512);
    }
    free(buf);
}

static void test_merge(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, NULL);
    uint8_t *buf = malloc(20 * 512);
    struct bio bio = {.op = BIO_READ, .sector = 7, .count = 20};
    for (unsigned k = 0; k < 20; k++)
        bio.vec[k] = (struct bio_vec){buf + k * 512, 512};
    unsigned before = requests;
    bio_go(&bio);
    serve_all();
    assert_int_equal(requests - before, 1);
    assert_memory_equal(buf, disk + 7 * 512, 20 * 512);
    free(buf);
}

/* More bios than the ring holds: they wait, and all come back. */
static void test_queueing(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 8, NULL);
    static struct bio bio[50];
    uint8_t *buf = malloc(50 * 512);
    for (unsigned i = 0; i < 50; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .sector = i * 2, .count = 1, .done = bio_done};
        bio[i].vec[0] = (struct bio_vec){buf + i * 512, 512};
    }
    done_count = 0;
    for (unsigned i = 0; i < 50; i++)
        blkdev_submit(found, &bio[i]);
    assert_int_equal(done_count, 0);
    serve_all();
    assert_int_equal(done_count, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_memory_equal(buf + i * 512, disk + i * 2 * 512, 512);
    free(buf);
}

static void test_hostile(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 8, NULL);
    static struct bio bio[20];
    static uint8_t buf[512];
    done_count = 0;
    for (unsigned i = 0; i < 20; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .count = 1, .done = bio_done};
        bio[i].vec[0] = (struct bio_vec){buf, 512};
        blkdev_submit(found, &bio[i]);
    }
    fake_queue_use(&dev->queue[0], 77, 1);
    fake_queue_interrupt(&dev->queue[0]);
    assert_int_equal(done_count, 20); /* those on the ring and those that waited */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(bio[i].status, -EIO);
    assert_int_equal(dev->status, 0);
    assert_int_equal(blkdev_read(found, 0, buf, 512), -EIO);
}

static void test_partition(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, NULL);
    struct blkdev part = {.ops = found->ops,
                          .sectors = 10,
                          .block_size = 512,
                          .priv = found->priv,
                          .parent = found,
                          .start = 60};
    uint8_t buf[1024];
    assert_int_equal(blkdev_read(&part, 8 * 512, buf, 1024), 0);
    assert_memory_equal(buf, disk + 68 * 512, 1024);
    assert_int_equal(blkdev_read(&part, 9 * 512, buf, 1024), -EIO);
}

static void many_queues(void)
{
    uint16_t queues = 3;
    dev->offered |= 1ull << VIRTIO_BLK_F_MQ;
    dev->queue_count = queues;
    memcpy(dev->config + offsetof(struct virtio_blk_config, num_queues), &queues, 2);
}

/* Each CPU has its queue, as far as the device has queues. */
static void test_queue_a_cpu(void **state)
{
    (void)state;
    static const unsigned wanted[][4] = {{4}, {2, 2}, {2, 1, 1}, {2, 1, 1}};
    uint8_t buf[512];
    for (unsigned cpus = 1; cpus <= 4; cpus++) {
        fake_cpus = cpus;
        fake_percpu.id = 0;
        assert_int_equal(disk_start(SEG_MAX, 16, many_queues), 0);
        memset(served, 0, sizeof served); /* of the partition table */
        for (unsigned i = 0; i < 4; i++) {
            fake_percpu.id = i % cpus;
            assert_int_equal(blkdev_read(found, i * 512, buf, 512), 0);
            assert_memory_equal(buf, disk + i * 512, 512);
        }
        for (unsigned n = 0; n < 4; n++)
            assert_int_equal(served[n], wanted[cpus - 1][n]);
    }
    fake_cpus = 1;
    fake_percpu.id = 0;
}

/* A device that promises queues which it does not have. */
static void lost_queues(void)
{
    many_queues();
    dev->queue_count = 1;
}

static void test_queues_missing(void **state)
{
    (void)state;
    fake_cpus = 2;
    assert_int_equal(disk_start(SEG_MAX, 16, lost_queues), -ENOENT);
    free(dev);
    fake_cpus = 1;
}

static void with_discard(void)
{
    uint32_t discard = 64, zeroes = 16;
    dev->offered |= 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
    memcpy(dev->config + offsetof(struct virtio_blk_config, max_discard_sectors), &discard, 4);
    memcpy(dev->config + offsetof(struct virtio_blk_config, max_write_zeroes_sectors), &zeroes, 4);
}

static bool all_are(unsigned first, unsigned count, uint8_t value)
{
    for (unsigned i = first * 512; i < (first + count) * 512; i++)
        if (disk[i] != value)
            return false;
    return true;
}

static void test_discard(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, NULL);
    assert_int_equal(blkdev_discard(found, 0, 4096), -EOPNOTSUPP);
    disk_start(SEG_MAX, 16, with_discard);
    assert_int_equal(blkdev_discard(found, 10 * 512 - 1, 150 * 512 + 2), 0);
    assert_int_equal(ranges, 3); /* 64 sectors at most */
    assert_true(all_are(10, 150, 0xdd));
    assert_int_equal(disk[10 * 512 - 1], (uint8_t)(9 + 10 * 512 - 1));
    assert_int_equal(disk[160 * 512], (uint8_t)(160 + 160 * 512));
    assert_int_equal(blkdev_discard(found, (SECTORS - 1) * 512, 1024), -EIO);
    assert_int_equal(blkdev_discard(found, 5, 100), 0); /* no whole block */
    assert_int_equal(ranges, 3);
}

static void test_zeroes(void **state)
{
    (void)state;
    disk_start(SEG_MAX, 16, with_discard);
    struct bio bio = {.op = BIO_ZEROES, .sector = 20, .sectors = 16};
    bio_go(&bio);
    serve_all();
    assert_int_equal(done_status, 0);
    assert_true(all_are(20, 16, 0));
    bio = (struct bio){.op = BIO_ZEROES, .sector = 20, .sectors = 17};
    bio_go(&bio);
    assert_int_equal(done_status, -EOPNOTSUPP);
    disk_start(SEG_MAX, 16, read_only);
    bio = (struct bio){.op = BIO_ZEROES, .sector = 20, .sectors = 1};
    bio_go(&bio);
    assert_int_equal(done_status, -EOPNOTSUPP);
}

static void capacity_becomes(uint64_t sectors)
{
    memcpy(dev->config, &sectors, 8);
    dev->generation++;
    virtio_config_irq(&dev->vdev);
}

static void test_resize(void **state)
{
    (void)state;
    uint8_t buf[512];
    disk_start(SEG_MAX, 16, NULL);
    struct blkdev part = {.ops = found->ops,
                          .sectors = 100,
                          .block_size = 512,
                          .priv = found->priv,
                          .parent = found,
                          .start = 60};
    capacity_becomes(100);
    assert_int_equal(found->sectors, 100);
    assert_int_equal(blkdev_read(found, 100 * 512, buf, 512), -EIO);
    assert_int_equal(blkdev_read(&part, 39 * 512, buf, 512), 0);
    unsigned before = requests;
    assert_int_equal(blkdev_read(&part, 40 * 512, buf, 512), -EIO); /* its disk ends there now */
    assert_int_equal(requests, before);
    capacity_becomes(UINT64_MAX); /* nonsense is not believed */
    assert_int_equal(found->sectors, 100);
    capacity_becomes(SECTORS);
    assert_int_equal(blkdev_read(&part, 40 * 512, buf, 512), 0);
    uint64_t other = 7; /* an interrupt for something else */
    memcpy(dev->config, &other, 8);
    virtio_config_irq(&dev->vdev);
    assert_int_equal(found->sectors, SECTORS);
}

/* Many pieces go through an indirect table where the device knows those. */
static void test_indirect(void **state)
{
    (void)state;
    uint8_t *buf = malloc(8 * 1024);
    for (int i = 0; i < 2; i++) {
        disk_start(SEG_MAX | (i ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0), 16, NULL);
        struct bio bio = {.op = BIO_READ, .sector = 3, .count = 4};
        for (unsigned k = 0; k < 4; k++)
            bio.vec[k] = (struct bio_vec){buf + k * 2048, 1024};
        unsigned before = indirect;
        bio_go(&bio);
        serve_all();
        assert_int_equal(done_status, 0);
        assert_int_equal(indirect - before, i);
        for (unsigned k = 0; k < 4; k++)
            assert_memory_equal(buf + k * 2048, disk + (3 + 2 * k) * 512, 1024);
    }
    free(buf);
}

/* More bytes than a request may carry: cut also within a piece. */
static void test_transfer_max(void **state)
{
    (void)state;
    uint8_t *buf = malloc(20 * 512);
    disk_start(SEG_MAX, 16, NULL);
    found->transfer_max = 3 * 512;
    struct bio bio = {.op = BIO_READ, .sector = 5, .count = 3};
    bio.vec[0] = (struct bio_vec){buf, 4 * 512};
    bio.vec[1] = (struct bio_vec){buf + 5 * 512, 512};
    bio.vec[2] = (struct bio_vec){buf + 8 * 512, 5 * 512};
    unsigned before = requests;
    bio_go(&bio);
    serve_all();
    assert_int_equal(done_count, 1);
    assert_int_equal(done_status, 0);
    assert_int_equal(requests - before, 4);
    assert_memory_equal(buf, disk + 5 * 512, 4 * 512);
    assert_memory_equal(buf + 5 * 512, disk + 9 * 512, 512);
    assert_memory_equal(buf + 8 * 512, disk + 10 * 512, 5 * 512);
    free(buf);
}

/* With event indices the device is kicked only when it asks to be. */
static void test_kicks(void **state)
{
    (void)state;
    static struct bio bio[6];
    static uint8_t buf[512];
    disk_start(SEG_MAX, 16, NULL);
    fake_queue_want_kick(&dev->queue[0]);
    unsigned before = dev->queue[0].kicks;
    for (unsigned i = 0; i < 6; i++) {
        bio[i] = (struct bio){.op = BIO_READ, .count = 1, .vec[0] = {buf, 512}, .done = bio_done};
        blkdev_submit(found, &bio[i]);
    }
    assert_int_equal(dev->queue[0].kicks - before, 1);
    serve_all();
}

static void test_unregister(void **state)
{
    (void)state;
    uint8_t buf[512];
    disk_start(SEG_MAX, 16, NULL);
    struct blkdev *d = found;
    blkdev_get(d); /* as a filesystem does */
    blkdev_unregister(d);
    found = NULL;
    blkdev_for_each(remember, NULL);
    assert_ptr_not_equal(found, d);
    assert_int_equal(blkdev_read(d, 0, buf, 512), -EIO);
    blkdev_put(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_read_write),
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_flush),          cmocka_unit_test(test_errors),
        cmocka_unit_test(test_split),          cmocka_unit_test(test_merge),
        cmocka_unit_test(test_queueing),       cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_partition),      cmocka_unit_test(test_queue_a_cpu),
        cmocka_unit_test(test_queues_missing), cmocka_unit_test(test_discard),
        cmocka_unit_test(test_zeroes),         cmocka_unit_test(test_resize),
        cmocka_unit_test(test_indirect),       cmocka_unit_test(test_transfer_max),
        cmocka_unit_test(test_kicks),          cmocka_unit_test(test_unregister),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
