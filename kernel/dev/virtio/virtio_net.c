/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio network device (virtio 1.2 §5.1) under a struct netdev: a pair of queues
 * for each CPU as far as the device has them, checksum and segmentation offload,
 * received segments coalesced into several pages (mergeable buffers). Main struct:
 * nic (nic.h). No lock: netdev.h says who serialises. The interrupt handlers only
 * wake the stack; a device that wants a reset gets it at the next poll.
 */
#include <linux/errno.h>
#include <linux/if_ether.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "core/log.h"
#include "core/random.h"
#include "dev/topology.h"
#include "dev/virtio/nic.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define QUEUE_SIZE   256
#define BUFFER_ROOM  (PAGE_SIZE - sizeof(struct net_buffer)) /* bytes the device may write */
#define HEADER       sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define MEMORY_SHARE 64 /* at most this part of all memory waits in the receive ring */

#define RESTARTS_MAX 16 /* in a row without a frame: then the device is given up */

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
    if (nic->rx_count >= nic->rx_target * nic->pair_count) {
        page_put(page_of_address(buffer_start(b)));
        return;
    }
    b->next = nic->pool;
    nic->pool = b;
    nic->rx_count++;
}

static void refill(struct nic *nic, struct virtq *rx)
{
    while (rx->ring.num - rx->free_count < nic->rx_target) {
        struct net_buffer *b = buffer_new(nic);
        if (!b)
            break;
        struct virtq_seg seg = {virt_to_phys(buffer_start(b)), (uint32_t)BUFFER_ROOM};
        if (virtq_add(rx, &seg, 0, 1, b)) {
            page_put(page_of_address(buffer_start(b)));
            nic->rx_count--;
            break;
        }
    }
    virtio_kick(rx);
}

static bool nic_listen(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    bool more = false;
    for (unsigned i = 0; i < nic->pair_count; i++) {
        refill(nic, nic->pair[i].rx);
        more |= virtq_irq_enable(nic->pair[i].rx);
    }
    return more;
}

/* The next used buffer; `skip` bytes of header are left out. */
static struct net_buffer *buffer_pop(struct nic *nic, struct virtq *rx, size_t skip)
{
    uint32_t written;
    struct net_buffer *b = virtq_pop(rx, &written);
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

/* Begins to work, at first or after a reset. */
static void nic_begin(struct nic *nic)
{
    for (unsigned i = 0; i < nic->pair_count; i++) {
        virtq_irq_disable(nic->pair[i].tx);
        virtq_irq_disable(nic->pair[i].rx);
    }
    virtio_ready(nic->vdev);
    nic_control_begin(nic);
}

/* What was in flight when the device was reset: buffers are filled again, frames are lost. */
static void chain_taken(struct virtq *vq, void *token)
{
    struct nic *nic = vq->owner;
    struct nic_slot *s = token;
    if (vq == nic->control.vq)
        return;
    if (vq == nic->pair[vq->index / 2].rx) {
        struct net_buffer *b = token;
        b->next = nic->pool;
        nic->pool = b;
        return;
    }
    s->next = nic->lost;
    nic->lost = s;
}

static void status_read(struct nic *nic)
{
    uint16_t status = VIRTIO_NET_S_LINK_UP;
    if (virtio_has(nic->vdev, VIRTIO_NET_F_STATUS))
        status = virtio_config_u16(nic->vdev, offsetof(struct virtio_net_config, status));
    nic->dev.link = status & VIRTIO_NET_S_LINK_UP && !nic->vdev->broken;
    if (virtio_has(nic->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE) && status & VIRTIO_NET_S_ANNOUNCE)
        nic->dev.announce = true;
}

static void nic_restart(struct nic *nic)
{
    nic->failed = false;
    if (nic->vdev->broken)
        return;
    if (++nic->restarts > RESTARTS_MAX || virtio_restart(nic->vdev, chain_taken)) {
        virtio_break(nic->vdev);
        return;
    }
    nic_begin(nic);
    status_read(nic);
    log_info("%s: %s was reset and works again", nic->vdev->name, nic->dev.name);
}

/* The rest of a frame of `pieces` buffers; 0: it is not sound, or longer than any packet. */
static size_t frame_gather(struct nic *nic, struct virtq *rx, struct net_buffer *first,
                           unsigned pieces)
{
    struct net_buffer **end = &first->next;
    size_t total = first->len;
    for (unsigned i = 1; i < pieces; i++) {
        struct net_buffer *b = buffer_pop(nic, rx, 0);
        if (!b) /* fewer than it said */
            return 0;
        *end = b;
        end = &b->next;
        total += b->len;
    }
    return first->len >= ETH_HLEN && total <= UINT16_MAX ? total : 0;
}

/* The next frame of one queue. */
static struct net_buffer *queue_receive(struct nic *nic, struct virtq *rx)
{
    struct net_buffer *first;
    while ((first = buffer_pop(nic, rx, nic->header)) != NULL) {
        const struct virtio_net_hdr_mrg_rxbuf *h = buffer_start(first);
        unsigned pieces = nic->merge ? h->num_buffers : 1;
        first->checked = h->hdr.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
        size_t total = frame_gather(nic, rx, first, pieces);
        if (total) {
            nic->dev.received++;
            nic->dev.received_bytes += total;
            nic->restarts = 0;
            return first;
        }
        frame_drop(nic, first);
    }
    if (rx->broken)
        virtio_break(nic->vdev);
    return NULL;
}

static struct net_buffer *nic_receive(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    if (nic->failed)
        nic_restart(nic);
    for (unsigned i = 0; i < nic->pair_count; i++) {
        struct net_buffer *b = queue_receive(nic, nic->pair[nic->turn].rx);
        if (b)
            return b;
        if (++nic->turn == nic->pair_count)
            nic->turn = 0;
    }
    nic_control_poll(nic);
    return NULL;
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

/* The queue of the CPU that we are on, unless frames of the flow are on their way by another. */
static struct nic_pair *pair_choose(struct nic *nic, struct nic_flow *flow)
{
    if (nic->pairs == 1)
        flow->pair = 0;
    else if (!flow->flying)
        flow->pair = (uint8_t)(percpu()->id % nic->pairs); /* any is right */
    return &nic->pair[flow->pair];
}

/* No room now: the stack hears of it when something was sent. */
static int room_await(struct nic *nic, struct virtq *tx)
{
    if (virtq_irq_enable(tx))
        nic->dev.wake(&nic->dev);
    return -EAGAIN;
}

static int nic_send(struct netdev *d, const struct net_piece *piece, unsigned count,
                    const struct net_offload *offload, void *token)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    struct nic_flow *flow = &nic->flow[offload->flow];
    struct nic_pair *pair = pair_choose(nic, flow);
    struct virtq_seg seg[NET_PIECES + 1];
    struct nic_slot *s = pair->free;
    uint64_t bytes = 0;
    if (count > NET_PIECES)
        return -EMSGSIZE;
    if (!s)
        return room_await(nic, pair->tx);
    header_fill(&s->header, offload);
    seg[0] = (struct virtq_seg){virt_to_phys(&s->header), nic->header};
    for (unsigned i = 0; i < count; i++) {
        seg[i + 1] = (struct virtq_seg){virt_to_phys(piece[i].data), piece[i].len};
        bytes += piece[i].len;
    }
    int err = virtq_add(pair->tx, seg, count + 1, 0, s);
    if (err)
        return err == -EAGAIN ? room_await(nic, pair->tx) : err;
    pair->free = s->next;
    s->token = token;
    s->flow = offload->flow;
    flow->flying++;
    d->sent++;
    d->sent_bytes += bytes;
    return 0;
}

static void nic_flush(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    for (unsigned i = 0; i < nic->pair_count; i++)
        virtio_kick(nic->pair[i].tx);
}

/* A slot of this pair that is out; a broken queue has given everything up: so do we. */
static struct nic_slot *slot_sent(struct nic *nic, struct nic_pair *pair)
{
    uint32_t written;
    bool given_up = pair->tx->broken && nic->vdev->broken;
    struct nic_slot *s = given_up ? virtq_take(pair->tx) : virtq_pop(pair->tx, &written);
    if (!s && pair->tx->broken)
        virtio_break(nic->vdev);
    return s;
}

static struct nic_pair *pair_of(struct nic *nic, const struct nic_slot *s)
{
    struct nic_pair *pair = nic->pair;
    while (s < pair->slots || s >= pair->slots + pair->tx->ring.num)
        pair++;
    return pair;
}

static void *nic_sent(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    struct nic_slot *s = nic->lost;
    struct nic_pair *pair = nic->pair;
    if (s) {
        nic->lost = s->next;
        pair = pair_of(nic, s);
        d->dropped++;
    } else {
        while (!(s = slot_sent(nic, pair)))
            if (++pair == nic->pair + nic->pair_count)
                return NULL;
    }
    nic->flow[s->flow].flying--;
    s->next = pair->free;
    pair->free = s;
    return s->token;
}

static void nic_announced(struct netdev *d)
{
    struct nic *nic = CONTAINER_OF(d, struct nic, dev);
    if (nic_control_announced(nic) != -EAGAIN)
        d->announce = false;
}

static const struct netdev_ops nic_ops = {
    .send = nic_send,
    .flush = nic_flush,
    .sent = nic_sent,
    .receive = nic_receive,
    .release = nic_release,
    .listen = nic_listen,
    .announced = nic_announced,
};

/* Received segments are coalesced only into mergeable buffers; commands need their queue. */
static uint64_t nic_accept(uint64_t offered)
{
    const uint64_t coalesced = 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
                               1ull << VIRTIO_NET_F_GUEST_ECN;
    const uint64_t commanded = 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE;
    if (!(offered & 1ull << VIRTIO_NET_F_MRG_RXBUF))
        offered &= ~coalesced;
    if (!(offered & 1ull << VIRTIO_NET_F_CTRL_VQ))
        offered &= ~commanded;
    return offered;
}

static void mac_read(struct nic *nic)
{
    for (unsigned i = 0; i < 6; i++)
        nic->dev.mac[i] = virtio_config_u8(nic->vdev, i);
}

static int pair_create(struct nic *nic, unsigned index)
{
    struct nic_pair *pair = &nic->pair[index];
    int err = virtio_queue_create(nic->vdev, 2 * index, QUEUE_SIZE, nic_wake, nic, &pair->rx);
    if (!err)
        err = virtio_queue_create(nic->vdev, 2 * index + 1, QUEUE_SIZE, nic_wake, nic, &pair->tx);
    if (err)
        return err;
    unsigned count = pair->tx->ring.num;
    pair->slots = kzalloc(count * sizeof *pair->slots);
    if (!pair->slots)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        pair->slots[i].next = pair->free;
        pair->free = &pair->slots[i];
    }
    return 0;
}

/* A pair for each CPU, if the device has as many and takes commands. */
static unsigned pairs_wanted(const struct nic *nic)
{
    if (!nic->control.vq)
        return 1;
    return MIN(MIN(nic_pairs_offered(nic->vdev), cpu_present()), (unsigned)NIC_PAIRS);
}

static int nic_prepare(struct nic *nic)
{
    int err = nic_control_create(nic, nic_wake);
    unsigned wanted = err ? 0 : pairs_wanted(nic);
    for (; !err && nic->pair_count < wanted; nic->pair_count++)
        err = pair_create(nic, nic->pair_count);
    if (err)
        return err;
    size_t most = page_count_total() / MEMORY_SHARE / wanted;
    nic->rx_target = (unsigned)MAX(MIN((size_t)nic->pair[0].rx->ring.num, most), (size_t)16);
    return 0;
}

static int nic_probe(struct virtio_device *vdev)
{
    struct nic *nic = kzalloc(sizeof *nic);
    if (!nic)
        return -ENOMEM;
    nic->vdev = vdev;
    nic->merge = virtio_has(vdev, VIRTIO_NET_F_MRG_RXBUF);
    nic->header = nic->merge || virtio_has(vdev, VIRTIO_F_VERSION_1)
                      ? HEADER
                      : sizeof(struct virtio_net_hdr); /* §5.1.6.1 */
    int err = nic_prepare(nic);
    if (err) {
        for (unsigned i = 0; i < NIC_PAIRS; i++)
            kfree(nic->pair[i].slots);
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
    d->queues = nic->pair_count;
    vdev->priv = nic;
    netdev_register(d);
    nic_begin(nic);
    status_read(nic);
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

static void nic_config_changed(struct virtio_device *vdev)
{
    struct nic *nic = vdev->priv;
    status_read(nic);
    nic->dev.wake(&nic->dev);
}

static void nic_needs_reset(struct virtio_device *vdev)
{
    struct nic *nic = vdev->priv;
    nic->failed = true;
    nic->dev.wake(&nic->dev);
}

const struct virtio_driver virtio_net_driver = {
    .id = VIRTIO_ID_NET,
    .features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |
                1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_MAC |
                1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
                1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_MRG_RXBUF |
                1ull << VIRTIO_NET_F_STATUS | 1ull << VIRTIO_NET_F_CTRL_VQ |
                1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE,
    .accept = nic_accept,
    .probe = nic_probe,
    .broken = nic_broken,
    .config_changed = nic_config_changed,
    .needs_reset = nic_needs_reset,
};
