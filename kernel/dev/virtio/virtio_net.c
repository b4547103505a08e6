/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio network device (virtio 1.2 §5.1) under a struct netdev: one receive and
 * one transmit queue, checksum and TCP segmentation offload, received segments
 * coalesced into several pages (mergeable buffers). Main struct: nic. No lock:
 * netdev.h says who serialises. The interrupt handlers only wake the stack.
 */
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "core/random.h"
#include "dev/netdev.h"
#include "dev/virtio/virtio.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define QUEUE_SIZE   256
#define BUFFER_ROOM  (PAGE_SIZE - sizeof(struct net_buffer)) /* bytes the device may write */
#define HEADER       sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define MEMORY_SHARE 64 /* at most this part of all memory waits in the receive ring */

enum { RECEIVE, TRANSMIT };

/* A frame in flight. */
struct nic_slot {
    struct virtio_net_hdr_mrg_rxbuf header; /* the device reads it */
    void *token;
    struct nic_slot *next; /* free list */
};

struct nic {
    struct netdev dev;
    struct virtio_device *vdev;
    struct virtq *rx, *tx;
    struct nic_slot *slots, *free;
    unsigned rx_target;      /* buffers to keep for receiving */
    unsigned rx_count;       /* in the ring and in the pool */
    struct net_buffer *pool; /* given back, not in the ring yet */
    bool merge;
};

static void nic_wake(struct virtq *vq)
{
    struct nic *nic = vq->owner;
    virtq_irq_disable(vq);
    nic->dev.wake(&nic->dev);
}

static void *buffer_start(struct net_buffer *b)
{
    return (void *)ALIGN_DOWN((uintptr_t)b, PAGE_SIZE);
}

/* From the pool or a new page; counted. */
static struct net_buffer *buffer_new(struct nic *nic)
{
    struct net_buffer *b = nic->pool;
    if (b) {
        nic->pool = b->next;
        return b;
    }
    struct page *p = page_alloc(0);
    if (!p)
        return NULL;
    b = (struct net_buffer *)((char *)page_address(p) + BUFFER_ROOM);
    b->dev = &nic->dev;
    nic->rx_count++;
    return b;
}

static void nic_release(struct netdev *d, struct net_buffer *b)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    if (nic->rx_count >= nic->rx_target) {
        page_put(page_of_address(buffer_start(b)));
        return;
    }
    b->next = nic->pool;
    nic->pool = b;
    nic->rx_count++;
}

static void nic_refill(struct nic *nic)
{
    while (nic->pool || nic->rx_count < nic->rx_target) {
        struct net_buffer *b = buffer_new(nic);
        if (!b)
            break;
        struct virtq_seg seg = {virt_to_phys(buffer_start(b)), (uint32_t)BUFFER_ROOM};
        if (virtq_add(nic->rx, &seg, 0, 1, b)) {
            page_put(page_of_address(buffer_start(b)));
            nic->rx_count--;
            break;
        }
    }
    virtio_kick(nic->rx);
}

static bool nic_listen(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    nic_refill(nic);
    return virtq_irq_enable(nic->rx);
}

/* The next used buffer; `skip` bytes of header are left out. */
static struct net_buffer *nic_pop(struct nic *nic, size_t skip)
{
    uint32_t written;
    struct net_buffer *b = virtq_pop(nic->rx, &written);
    if (!b)
        return NULL;
    nic->rx_count--;
    b->next = NULL;
    b->data = (uint8_t *)buffer_start(b) + skip;
    b->len = written > skip ? written - (uint32_t)skip : 0;
    return b;
}

static void frame_drop(struct nic *nic, struct net_buffer *b)
{
    while (b) {
        struct net_buffer *next = b->next;
        nic_release(&nic->dev, b);
        b = next;
    }
    nic->dev.dropped++;
}

static struct net_buffer *nic_receive(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    for (;;) {
        struct net_buffer *first = nic_pop(nic, HEADER), **end = first ? &first->next : NULL;
        if (!first) {
            if (nic->rx->broken)
                virtio_break(nic->vdev);
            return NULL;
        }
        const struct virtio_net_hdr_mrg_rxbuf *h = buffer_start(first);
        unsigned pieces = nic->merge ? h->num_buffers : 1;
        first->checked = h->hdr.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
        size_t total = first->len;
        bool sound = first->len >= ETH_HLEN;
        for (unsigned i = 1; i < pieces; i++) {
            struct net_buffer *b = nic_pop(nic, 0);
            if (!b) { /* fewer than it said */
                sound = false;
                break;
            }
            *end = b;
            end = &b->next;
            total += b->len;
        }
        if (sound && total <= UINT16_MAX) {
            d->received++;
            d->received_bytes += total;
            return first;
        }
        frame_drop(nic, first);
    }
}

static void header_fill(struct virtio_net_hdr_mrg_rxbuf *h, const struct net_offload *o)
{
    static const uint8_t type[] = {VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4,
                                   VIRTIO_NET_HDR_GSO_TCPV6};
    memset(h, 0, sizeof *h);
    if (o->checksum_start) {
        h->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        h->hdr.csum_start = o->checksum_start;
        h->hdr.csum_offset = o->checksum_offset;
    }
    h->hdr.gso_type = type[o->segmentation];
    if (o->segmentation != NET_WHOLE) {
        h->hdr.gso_size = o->segment;
        h->hdr.hdr_len = o->header;
    }
}

static int nic_send(struct netdev *d, const struct net_piece *piece, unsigned count,
                    const struct net_offload *offload, void *token)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    struct virtq_seg seg[NET_PIECES + 1];
    struct nic_slot *s = nic->free;
    uint64_t bytes = 0;
    if (count > NET_PIECES)
        return -EMSGSIZE;
    if (!s) {
        virtq_irq_enable(nic->tx);
        return -EAGAIN;
    }
    header_fill(&s->header, offload);
    seg[0] = (struct virtq_seg){virt_to_phys(&s->header), HEADER};
    for (unsigned i = 0; i < count; i++) {
        seg[i + 1] = (struct virtq_seg){virt_to_phys(piece[i].data), piece[i].len};
        bytes += piece[i].len;
    }
    int err = virtq_add(nic->tx, seg, count + 1, 0, s);
    if (err) {
        if (err == -EAGAIN)
            virtq_irq_enable(nic->tx);
        return err;
    }
    nic->free = s->next;
    s->token = token;
    d->sent++;
    d->sent_bytes += bytes;
    return 0;
}

static void nic_flush(struct netdev *d)
{
    virtio_kick(CONTAINER_OF(d, struct nic, dev)->tx);
}

static void *nic_sent(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    uint32_t written;
    /* A broken queue has given everything up: so do we, one after the other. */
    struct nic_slot *s =
        nic->tx->broken && nic->vdev->broken ? virtq_take(nic->tx) : virtq_pop(nic->tx, &written);
    if (!s) {
        if (nic->tx->broken)
            virtio_break(nic->vdev);
        return NULL;
    }
    s->next = nic->free;
    nic->free = s;
    return s->token;
}

static const struct netdev_ops nic_ops = {
    .send = nic_send,
    .flush = nic_flush,
    .sent = nic_sent,
    .receive = nic_receive,
    .release = nic_release,
    .listen = nic_listen,
};

/* Received segments are coalesced only into mergeable buffers. */
static uint64_t nic_accept(uint64_t offered)
{
    const uint64_t coalesced = 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
                               1ull << VIRTIO_NET_F_GUEST_ECN;
    return offered & 1ull << VIRTIO_NET_F_MRG_RXBUF ? offered : offered & ~coalesced;
}

static void mac_read(struct nic *nic)
{
    for (unsigned i = 0; i < 6; i++)
        nic->dev.mac[i] = virtio_config_u8(nic->vdev, i);
}

static int nic_prepare(struct nic *nic)
{
    struct virtio_device *vdev = nic->vdev;
    int err = virtio_queue_create(vdev, RECEIVE, QUEUE_SIZE, nic_wake, nic, &nic->rx);
    if (!err)
        err = virtio_queue_create(vdev, TRANSMIT, QUEUE_SIZE, nic_wake, nic, &nic->tx);
    if (err)
        return err;
    unsigned count = nic->tx->ring.num;
    nic->slots = kzalloc(count * sizeof *nic->slots);
    if (!nic->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        nic->slots[i].next = nic->free;
        nic->free = &nic->slots[i];
    }
    size_t most = page_count_total() / MEMORY_SHARE;
    nic->rx_target = (unsigned)MAX(MIN((size_t)nic->rx->ring.num, most), (size_t)16);
    virtq_irq_disable(nic->tx);
    virtq_irq_disable(nic->rx);
    return 0;
}

static int nic_probe(struct virtio_device *vdev)
{
    struct nic *nic = kzalloc(sizeof *nic);
    if (!nic)
        return -ENOMEM;
    nic->vdev = vdev;
    nic->merge = virtio_has(vdev, VIRTIO_NET_F_MRG_RXBUF);
    int err = nic_prepare(nic);
    if (err) {
        kfree(nic->slots);
        kfree(nic);
        return err;
    }
    struct netdev *d = &nic->dev;
    d->ops = &nic_ops;
    if (virtio_has(vdev, VIRTIO_NET_F_MAC)) {
        mac_read(nic);
    } else {
        random_bytes(d->mac, sizeof d->mac);
        d->mac[0] = (uint8_t)((d->mac[0] & 0xfc) | 2); /* locally administered, one station */
    }
    d->mtu = virtio_has(vdev, VIRTIO_NET_F_MTU)
                 ? virtio_config_u16(vdev, offsetof(struct virtio_net_config, mtu))
                 : ETH_DATA_LEN;
    d->mtu = MIN(d->mtu, 65000);
    if (!nic->merge)
        d->mtu = (uint16_t)MIN((size_t)d->mtu, BUFFER_ROOM - HEADER - ETH_HLEN);
    d->checksum = virtio_has(vdev, VIRTIO_NET_F_CSUM);
    d->segment4 = d->checksum && virtio_has(vdev, VIRTIO_NET_F_HOST_TSO4);
    d->segment6 = d->checksum && virtio_has(vdev, VIRTIO_NET_F_HOST_TSO6);
    d->link = true;
    vdev->priv = nic;
    virtio_ready(vdev);
    netdev_register(d);
    return 0;
}

static void nic_broken(struct virtio_device *vdev)
{
    struct nic *nic = vdev->priv;
    if (!nic)
        return;
    nic->dev.link = false;
    nic->dev.wake(&nic->dev);
}

const struct virtio_driver virtio_net_driver = {
    .id = VIRTIO_ID_NET,
    .features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |
                1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_MAC |
                1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
                1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_MRG_RXBUF,
    .accept = nic_accept,
    .probe = nic_probe,
    .broken = nic_broken,
};
