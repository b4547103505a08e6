/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio 9p transport (virtio device id 9): one request queue under a struct
 * p9_channel. A transfer is a chain: what the server reads, then room for its
 * answer; it waits in `waiting` until descriptors are free. Main struct: p9_port.
 * Lock: p9_port.lock (interrupts off); transfers are completed outside it.
 */
#include <errno.h>
#include <linux/virtio_9p.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "core/spinlock.h"
#include "dev/p9_channel.h"
#include "dev/virtio/virtio.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define QUEUE_SIZE 128

struct p9_port {
    struct p9_channel channel;
    struct virtio_device *vdev;
    struct virtq *vq;
    struct spinlock lock;
    struct list waiting;              /* transfers */
    struct virtq_seg seg[QUEUE_SIZE]; /* of the transfer that is being started */
};

static void transfer_finish(struct p9_transfer *t, int status, uint32_t written, struct list *done)
{
    t->status = status;
    t->written = written;
    list_add_tail(done, &t->link);
}

static void complete_all(struct list *done)
{
    for (struct list *l; (l = list_pop_head(done)) != NULL;) {
        struct p9_transfer *t = LIST_ENTRY(l, struct p9_transfer, link);
        t->done(t);
    }
}

/* Adds n pieces to the segments from `at` on, neighbours merged; the new end, 0: too many. */
static unsigned segments_add(struct p9_port *port, unsigned at, const struct p9_piece *piece,
                             unsigned n)
{
    unsigned first = at;
    for (unsigned i = 0; i < n; i++) {
        paddr_t pa = virt_to_phys(piece[i].data);
        struct virtq_seg *last = at > first ? &port->seg[at - 1] : NULL;
        if (last && last->addr + last->len == pa && last->len + piece[i].len > last->len) {
            last->len += piece[i].len;
            continue;
        }
        if (at == QUEUE_SIZE)
            return 0;
        port->seg[at++] = (struct virtq_seg){pa, piece[i].len};
    }
    return at;
}

static int transfer_start(struct p9_port *port, struct p9_transfer *t)
{
    unsigned out = segments_add(port, 0, t->piece, t->out);
    unsigned end = out ? segments_add(port, out, t->piece + t->out, t->in) : 0;
    return end ? virtq_add(port->vq, port->seg, out, end - out, t) : -EMSGSIZE;
}

/* Starts waiting transfers as far as there is room. */
static void dispatch(struct p9_port *port, struct list *done)
{
    while (!list_empty(&port->waiting)) {
        struct p9_transfer *t = LIST_ENTRY(port->waiting.next, struct p9_transfer, link);
        int err = transfer_start(port, t);
        if (err == -EAGAIN)
            break;
        list_remove(&t->link);
        if (err)
            transfer_finish(t, -EIO, 0, done);
    }
    virtio_kick(port->vq);
}

static void port_broken(struct virtio_device *vdev)
{
    struct p9_port *port = vdev->priv;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&port->lock);
    for (struct p9_transfer *t; (t = virtq_take(port->vq)) != NULL;)
        transfer_finish(t, -EIO, 0, &done);
    for (struct list *l; (l = list_pop_head(&port->waiting)) != NULL;)
        transfer_finish(LIST_ENTRY(l, struct p9_transfer, link), -EIO, 0, &done);
    spin_unlock_irq(&port->lock, flags);
    complete_all(&done);
}

static void port_done(struct virtq *vq)
{
    struct p9_port *port = vq->owner;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&port->lock);
    do { /* ends: nobody adds to `waiting` meanwhile */
        struct p9_transfer *t;
        uint32_t written;
        while ((t = virtq_pop(vq, &written)) != NULL)
            transfer_finish(t, 0, written, &done);
        dispatch(port, &done);
    } while (virtq_irq_enable(vq));
    bool broken = vq->broken;
    spin_unlock_irq(&port->lock, flags);
    complete_all(&done);
    if (broken)
        virtio_break(port->vdev);
}

static void port_submit(struct p9_channel *c, struct p9_transfer *t)
{
    struct p9_port *port = c->priv;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&port->lock);
    list_add_tail(&port->waiting, &t->link);
    dispatch(port, &done);
    spin_unlock_irq(&port->lock, flags);
    complete_all(&done);
}

static const struct p9_channel_ops port_ops = {.submit = port_submit};

/* The channel's name from the device's configuration; it must be one that can be looked for. */
static int tag_read(struct p9_port *port)
{
    struct virtio_device *vdev = port->vdev;
    unsigned n = virtio_config_u16(vdev, offsetof(struct virtio_9p_config, tag_len));
    if (!virtio_has(vdev, VIRTIO_9P_MOUNT_TAG) || n == 0 || n >= P9_TAG_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < n; i++)
        port->channel.tag[i] =
            (char)virtio_config_u8(vdev, (unsigned)offsetof(struct virtio_9p_config, tag) + i);
    if (strlen(port->channel.tag) != n || p9_channel_find(port->channel.tag))
        return -EINVAL;
    return 0;
}

static int port_probe(struct virtio_device *vdev)
{
    struct p9_port *port = kzalloc(sizeof *port);
    if (!port)
        return -ENOMEM;
    port->vdev = vdev;
    list_init(&port->waiting);
    int err = tag_read(port);
    if (err)
        log_error("%s: a 9p device without a usable mount tag", vdev->name);
    if (!err)
        err = virtio_queue_create(vdev, 0, QUEUE_SIZE, port_done, port, &port->vq);
    if (err) {
        kfree(port);
        return err;
    }
    port->channel.ops = &port_ops;
    port->channel.priv = port;
    port->channel.pieces = port->vq->ring.num;
    vdev->priv = port;
    virtio_ready(vdev);
    p9_channel_register(&port->channel);
    return 0;
}

const struct virtio_driver virtio_9p_driver = {
    .id = VIRTIO_ID_9P,
    .features = 1ull << VIRTIO_9P_MOUNT_TAG,
    .probe = port_probe,
    .broken = port_broken,
};
