/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-9p transport against a fake device: tags, transfers, a device that misbehaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_9p.h>

#include "dev/p9_channel.h"
#include "fake_virtio.h"

#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX)
#define TAG      (1ull << VIRTIO_9P_MOUNT_TAG)

static struct fake_virtio devices[32], *dev = devices;

/* Devices that work stay for good, and so do their tags. */
static int start(const char *tag, size_t len, uint64_t features, unsigned queue_max)
{
    dev++;
    assert_true(dev < devices + ARRAY_SIZE(devices));
    fake_virtio_init(dev, VIRTIO_ID_9P, FEATURES | features, queue_max);
    dev->config[0] = (uint8_t)len;
    dev->config[1] = (uint8_t)(len >> 8);
    memcpy(dev->config + 2, tag, strlen(tag));
    return virtio_device_add(&dev->vdev);
}

static unsigned done_count;
static int last_status;

static void transfer_done(struct p9_transfer *t)
{
    done_count++;
    last_status = t->status;
}

static uint8_t bytes[3][16];
static const struct p9_piece pieces[] = {{bytes[0], 16}, {bytes[1], 4}, {bytes[2], 16}};

static void tags(void **state)
{
    (void)state;
    assert_int_equal(start("data", 4, TAG, 128), 0);
    assert_non_null(p9_channel_find("data"));
    assert_string_equal(p9_channel_find("data")->tag, "data");
    assert_null(p9_channel_find("dat"));
    assert_int_equal(start("data", 4, TAG, 128), -EINVAL); /* there is one */
    assert_int_equal(start("none", 4, 0, 128), -EINVAL);
    assert_int_equal(start("", 0, TAG, 128), -EINVAL);
    assert_int_equal(start("ab", 3, TAG, 128), -EINVAL); /* a NUL in it */
    assert_int_equal(start("long", P9_TAG_MAX, TAG, 128), -EINVAL);
    assert_int_equal(start("huge", 65535, TAG, 128), -EINVAL);
    assert_int_equal(start("queue", 5, TAG, 0), -ENOENT);
    assert_null(p9_channel_find("queue"));
}

static void transfer(void **state)
{
    struct fake_chain c;
    struct p9_transfer t = {.piece = pieces, .out = 1, .in = 2, .done = transfer_done};
    (void)state;
    assert_int_equal(start("transfer", 8, TAG, 128), 0);
    struct p9_channel *channel = p9_channel_find("transfer");
    assert_int_equal(channel->pieces, 128);
    done_count = 0;
    channel->ops->submit(channel, &t);
    assert_true(fake_queue_next(&dev->queue[0], &c));
    assert_int_equal(c.out, 1);
    assert_ptr_equal(c.seg[0].data, bytes[0]);
    assert_int_equal(done_count, 0);
    uint32_t room = 0;
    for (unsigned i = c.out; i < c.out + c.in; i++)
        room += c.seg[i].len;
    assert_int_equal(room, 20);
    fake_queue_use(&dev->queue[0], c.head, 13);
    fake_queue_interrupt(&dev->queue[0]);
    assert_int_equal(done_count, 1);
    assert_int_equal(t.written, 13);
    assert_int_equal(t.status, 0);
}

/* More than the ring takes wait for their turn. */
static void many(void **state)
{
    static struct p9_transfer all[40];
    struct fake_chain c;
    unsigned served = 0;
    (void)state;
    assert_int_equal(start("many", 4, TAG, 8), 0);
    struct p9_channel *channel = p9_channel_find("many");
    done_count = 0;
    for (unsigned i = 0; i < 40; i++) {
        all[i] = (struct p9_transfer){.piece = pieces, .out = 1, .in = 1, .done = transfer_done};
        channel->ops->submit(channel, &all[i]);
    }
    while (fake_queue_next(&dev->queue[0], &c)) {
        fake_queue_use(&dev->queue[0], c.head, 4);
        fake_queue_interrupt(&dev->queue[0]);
        served++;
    }
    assert_int_equal(served, 40);
    assert_int_equal(done_count, 40);
}

static void too_many_pieces(void **state)
{
    static uint8_t far[9][4096];
    struct p9_piece apart[9];
    struct p9_transfer t = {.piece = apart, .out = 1, .in = 8, .done = transfer_done};
    (void)state;
    assert_int_equal(start("pieces", 6, TAG, 8), 0);
    struct p9_channel *channel = p9_channel_find("pieces");
    for (unsigned i = 0; i < 9; i++)
        apart[i] = (struct p9_piece){far[i] + 1, 8};
    done_count = 0;
    channel->ops->submit(channel, &t);
    assert_int_equal(done_count, 1);
    assert_int_equal(last_status, -EIO);
}

static void device_lies(uint32_t id_off, uint32_t len)
{
    struct p9_transfer t[3];
    struct fake_chain c;
    static unsigned turn;
    char tag[16];
    snprintf(tag, sizeof tag, "liar%u", turn++);
    assert_int_equal(start(tag, strlen(tag), TAG, 4), 0);
    struct p9_channel *channel = p9_channel_find(tag);
    done_count = 0;
    for (unsigned i = 0; i < 3; i++) { /* two fit, one waits */
        t[i] = (struct p9_transfer){.piece = pieces, .out = 1, .in = 1, .done = transfer_done};
        channel->ops->submit(channel, &t[i]);
    }
    assert_true(fake_queue_next(&dev->queue[0], &c));
    fake_queue_use(&dev->queue[0], c.head + id_off, len);
    fake_queue_interrupt(&dev->queue[0]);
    assert_int_equal(done_count, 3);
    assert_int_equal(last_status, -EIO);
    assert_true(dev->vdev.broken);
    channel->ops->submit(channel, &t[0]); /* and what comes later */
    assert_int_equal(done_count, 4);
    assert_int_equal(last_status, -EIO);
}

static void misbehaving(void **state)
{
    (void)state;
    device_lies(100, 4);
    device_lies(1, 4);
    device_lies(0, 5);
    device_lies(0, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags),        cmocka_unit_test(transfer),
        cmocka_unit_test(many),        cmocka_unit_test(too_many_pieces),
        cmocka_unit_test(misbehaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
