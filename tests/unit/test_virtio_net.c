/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net against a fake device, sound and hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_net.h>

#include "dev/netdev.h"
#include "fake_virtio.h"

extern int fake_mem_fail_after;
extern size_t fake_mem_pages;

#define FEATURES                                                                                   \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_CSUM |           \
     1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |                            \
     1ull << VIRTIO_NET_F_HOST_TSO6)
#define MERGE  (1ull << VIRTIO_NET_F_MRG_RXBUF)
#define HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define QUEUE  32
#define RX     0
#define TX     1

static struct fake_virtio *dev;
static struct fake_virtio *all[64]; /* network devices are for ever: so is this */
static unsigned device_number;
static struct netdev *net;
static unsigned wakes;

static int last_found(struct netdev *d, void *arg)
{
    (void)arg;
    net = d;
    return 0;
}

static void wake(struct netdev *d)
{
    assert_ptr_equal(d, net);
    wakes++;
}

static void net_start(uint64_t features)
{
    dev = all[device_number++] = calloc(1, sizeof *dev);
    fake_virtio_init(dev, VIRTIO_ID_NET, features, QUEUE);
    memcpy(dev->config, "\x52\x54\x00\x01\x02\x03", 6);
    fake_mem_fail_after = -1;
    assert_int_equal(virtio_device_add(&dev->vdev), 0);
    netdev_for_each(last_found, NULL);
    net->wake = wake;
    wakes = 0;
    assert_false(net->ops->listen(net));
}

/* The device fills the next buffer: its header's words, then n bytes. Its number, -1: none there.
 */
static int fill(uint16_t buffers, uint8_t flags, uint8_t gso, size_t n)
{
    struct fake_chain c;
    struct virtio_net_hdr_mrg_rxbuf h = {.hdr = {.flags = flags, .gso_type = gso},
                                         .num_buffers = buffers};
    if (!fake_queue_next(&dev->queue[RX], &c))
        return -1;
    assert_int_equal(c.in, 1);
    assert_true(c.seg[0].len >= HEADER + 1514);
    h.hdr.gso_size = 0xffff;
    h.hdr.hdr_len = 0xffff;
    h.hdr.csum_start = 0xffff;
    h.hdr.csum_offset = 0xffff;
    memcpy(c.seg[0].data, &h, sizeof h);
    for (size_t i = 0; i < n && HEADER + i < c.seg[0].len; i++)
        c.seg[0].data[HEADER + i] = (uint8_t)i;
    return c.head;
}

static void used(int head, uint32_t len)
{
    fake_queue_use(&dev->queue[RX], (uint32_t)head, len);
}

/* The pieces of a received frame are given back; their bytes. */
static size_t frame_end(struct net_buffer *b)
{
    size_t n = 0;
    while (b) {
        struct net_buffer *next = b->next;
        uint8_t copy[b->len + 1]; /* ASan: every byte that is promised is there */
        memcpy(copy, b->data, b->len);
        n += b->len;
        net->ops->release(net, b);
        b = next;
    }
    return n;
}

/* The device still works: a frame of n bytes comes through. */
static void sound(size_t n)
{
    net->ops->listen(net);
    used(fill(1, 0, 0, n), (uint32_t)(HEADER + n));
    struct net_buffer *b = net->ops->receive(net);
    assert_non_null(b);
    assert_int_equal(b->len, n);
    assert_int_equal(b->data[13], 13);
    assert_int_equal(frame_end(b), n);
    assert_null(net->ops->receive(net));
}

static void test_receive(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    assert_memory_equal(net->mac, "\x52\x54\x00\x01\x02\x03", 6);
    assert_null(net->ops->receive(net));
    for (unsigned i = 0; i < 5 * QUEUE; i++)
        sound(14 + i * 9);
    assert_int_equal(net->received, 5 * QUEUE);
    assert_int_equal(net->dropped, 0);
}

static void test_interrupt(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    used(fill(1, 0, 0, 60), HEADER + 60);
    assert_true(fake_queue_interrupt(&dev->queue[RX]));
    assert_int_equal(wakes, 1);
    frame_end(net->ops->receive(net));
}

static void test_merged(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    used(fill(3, VIRTIO_NET_HDR_F_DATA_VALID, 1, 1500), HEADER + 1500);
    used(fill(0, 0, 0, 1), 1000);
    used(fill(0, 0, 0, 1), 7);
    struct net_buffer *b = net->ops->receive(net);
    assert_non_null(b);
    assert_true(b->checked);
    assert_int_equal(frame_end(b), 2507);
    sound(60);
}

/* num_buffers says more than there are, none, or 65535: dropped, and nothing is lost. */
static void test_merged_lies(void **state)
{
    (void)state;
    const uint16_t counts[] = {2, 0x7fff, 0xffff};
    net_start(FEATURES | MERGE);
    for (unsigned i = 0; i < 3; i++) {
        used(fill(counts[i], 0, 0, 60), HEADER + 60);
        assert_null(net->ops->receive(net));
        assert_int_equal(net->dropped, i + 1);
        sound(60);
    }
    size_t pages = fake_mem_pages;
    for (unsigned i = 0; i < 100; i++) {
        used(fill(9, 0, 0, 60), HEADER + 60);
        assert_null(net->ops->receive(net));
        net->ops->listen(net);
    }
    assert_int_equal(fake_mem_pages, pages);
    used(fill(0, 0, 0, 60), HEADER + 60); /* 0: as 1 */
    struct net_buffer *b = net->ops->receive(net);
    assert_int_equal(frame_end(b), 60);
}

/* A whole ring in one frame: longer than any packet. */
static void test_merged_too_long(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    used(fill(QUEUE, 0, 0, 60), HEADER + 3000);
    for (unsigned i = 1; i < QUEUE; i++) {
        int head = fill(0, 0, 0, 1);
        if (head < 0) /* the ring keeps fewer buffers than it has room for */
            break;
        used(head, 3900);
    }
    assert_null(net->ops->receive(net));
    assert_int_equal(net->dropped, 1);
    sound(60);
}

/* Shorter than the header, or than Ethernet's: dropped. */
static void test_short(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    for (uint32_t len = 0; len < HEADER + 14; len++) {
        used(fill(1, 0, 0, 60), len);
        assert_null(net->ops->receive(net));
        net->ops->listen(net);
    }
    assert_int_equal(net->dropped, HEADER + 14);
    sound(14);
}

/* More bytes than the buffer has: the queue is broken, the device is given up, nothing is read. */
static void test_too_much(void **state)
{
    (void)state;
    const uint32_t lengths[] = {4097, 65536, 0x7fffffff, 0xffffffff};
    for (unsigned i = 0; i < 4; i++) {
        net_start(FEATURES | MERGE);
        used(fill(1, 0, 0, 60), lengths[i]);
        assert_null(net->ops->receive(net));
        assert_true(dev->vdev.broken);
    }
}

/* Numbers that are no buffer, one that is free, one twice: broken, not followed. */
static void test_numbers(void **state)
{
    (void)state;
    const uint32_t ids[] = {QUEUE, QUEUE + 1, 0xffff, 0x10000, 0xffffffff};
    for (unsigned i = 0; i < 5; i++) {
        net_start(FEATURES | MERGE);
        used((int)ids[i], 100);
        assert_null(net->ops->receive(net));
        assert_true(dev->vdev.broken);
        assert_false(net->link);
        assert_int_not_equal(wakes, 0);
        assert_null(net->ops->receive(net));
    }
    net_start(FEATURES | MERGE);
    int head = fill(1, 0, 0, 60);
    used(head, HEADER + 60);
    used(head, HEADER + 60);
    frame_end(net->ops->receive(net));
    assert_null(net->ops->receive(net));
    assert_true(dev->vdev.broken);
}

/* The used index runs ahead of what was given. */
static void test_index(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    dev->queue[RX].vq->ring.used->idx = 0x8000;
    for (unsigned i = 0; i < 2 * QUEUE; i++) {
        struct net_buffer *b = net->ops->receive(net);
        if (!b)
            break;
        frame_end(b);
    }
    assert_null(net->ops->receive(net));
    assert_true(dev->vdev.broken);
}

static void test_send(void **state)
{
    (void)state;
    static uint8_t bytes[2][1000];
    const struct net_piece piece[2] = {{bytes[0], 54}, {bytes[1], 1000}};
    struct net_offload o = {.checksum_start = 34,
                            .checksum_offset = 16,
                            .segmentation = NET_TCP4,
                            .segment = 500,
                            .header = 54};
    struct fake_chain c;
    net_start(FEATURES | MERGE);
    assert_int_equal(net->ops->send(net, piece, 2, &o, bytes), 0);
    net->ops->flush(net);
    assert_null(net->ops->sent(net));
    assert_true(fake_queue_next(&dev->queue[TX], &c));
    assert_int_equal(c.out, 3);
    const struct virtio_net_hdr_mrg_rxbuf *h = (void *)c.seg[0].data;
    assert_int_equal(h->hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(h->hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(h->hdr.gso_size, 500);
    assert_int_equal(h->hdr.hdr_len, 54);
    assert_int_equal(h->hdr.csum_start, 34);
    assert_ptr_equal(c.seg[2].data, bytes[1]);
    fake_queue_use(&dev->queue[TX], c.head, 0);
    assert_ptr_equal(net->ops->sent(net), bytes);
    assert_null(net->ops->sent(net));
    const struct net_piece many[NET_PIECES + 1] = {0};
    assert_int_equal(net->ops->send(net, many, NET_PIECES + 1, &o, bytes), -EMSGSIZE);
}

/* A full ring says so, and takes frames again once some are out. */
static void test_send_full(void **state)
{
    (void)state;
    static uint8_t byte[64];
    const struct net_piece piece = {byte, sizeof byte};
    const struct net_offload none = {0};
    struct fake_chain c;
    unsigned n = 0;
    net_start(FEATURES | MERGE);
    while (!net->ops->send(net, &piece, 1, &none, byte + n % 64))
        n++;
    assert_in_range(n, 1, QUEUE);
    assert_int_equal(net->ops->send(net, &piece, 1, &none, byte), -EAGAIN);
    net->ops->flush(net);
    assert_true(fake_queue_next(&dev->queue[TX], &c));
    fake_queue_use(&dev->queue[TX], c.head, 0);
    assert_ptr_equal(net->ops->sent(net), byte);
    assert_int_equal(net->ops->send(net, &piece, 1, &none, byte), 0);
}

/* The transmit queue lies: every frame that was under way is given back all the same, once. */
static void test_send_broken(void **state)
{
    (void)state;
    static uint8_t byte[64];
    const struct net_piece piece = {byte, sizeof byte};
    const struct net_offload none = {0};
    net_start(FEATURES | MERGE);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(net->ops->send(net, &piece, 1, &none, byte + i), 0);
    fake_queue_use(&dev->queue[TX], 0xfffffff0, 0);
    unsigned seen = 0;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *token = net->ops->sent(net);
        if (!token)
            continue;
        assert_in_range(token - byte, 0, 4);
        assert_false(seen & 1u << (token - byte));
        seen |= 1u << (token - byte);
    }
    assert_int_equal(seen, 31);
    assert_int_equal(net->ops->send(net, &piece, 1, &none, byte), -EIO);
}

/* Without mergeable buffers num_buffers means nothing, and nothing is coalesced. */
static void test_unmerged(void **state)
{
    (void)state;
    net_start(FEATURES | 1ull << VIRTIO_NET_F_GUEST_TSO4);
    assert_false(dev->accepted & 1ull << VIRTIO_NET_F_GUEST_TSO4);
    used(fill(0xffff, 0, 4, 60), HEADER + 60);
    assert_int_equal(frame_end(net->ops->receive(net)), 60);
    sound(60);
}

/* No memory for buffers: fewer of them wait, and they come back. */
static void test_no_memory(void **state)
{
    (void)state;
    net_start(FEATURES | MERGE);
    for (unsigned i = 0; i < 3 * QUEUE; i++) {
        int head = fill(1, 0, 0, 60);
        if (head < 0)
            break;
        used(head, HEADER + 60);
        struct net_buffer *b = net->ops->receive(net);
        fake_mem_fail_after = 0;
        net->ops->listen(net);
        fake_mem_fail_after = -1;
        assert_int_equal(frame_end(b), 60);
    }
    sound(60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receive),         cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_merged),          cmocka_unit_test(test_merged_lies),
        cmocka_unit_test(test_merged_too_long), cmocka_unit_test(test_short),
        cmocka_unit_test(test_too_much),        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_index),           cmocka_unit_test(test_send),
        cmocka_unit_test(test_send_full),       cmocka_unit_test(test_send_broken),
        cmocka_unit_test(test_unmerged),        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
