/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data path of a virtio-console port. Main struct: console_port; locking in the
 * header. Virtio 1.2 §5.3.6.
 */
#include "dev/virtio/console_port.h"

#include <errno.h>
#include <asm/poll.h>

#include "arch/x86_64/layout.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define DRAIN_PATIENCE NSEC_PER_SEC
#define DRAIN_POLL     (NSEC_PER_SEC / 1000) /* a host that listens needs less */
#define DRAIN_NAP      (5 * NSEC_PER_SEC / 1000)

static irqflags_t port_lock(struct console_port *port)
{
    return stream_emergency() ? irq_save() : spin_lock_irq(&port->lock);
}

static void port_unlock(struct console_port *port, irqflags_t flags)
{
    bool broken = port->rx->broken || port->tx->broken;
    spin_unlock_irq(&port->lock, flags);
    if (broken)
        virtio_break(port->rx->vdev);
}

static void port_wake(struct waitq *q, uint32_t events)
{
    if (!stream_emergency())
        waitq_wake(q, events);
}

/* ---- receive ---- */

static void rx_post(struct console_port *port, unsigned i)
{
    struct virtq_seg seg = {virt_to_phys(port->rx_memory + i * PORT_RX_SIZE), PORT_RX_SIZE};
    virtq_add(port->rx, &seg, 0, 1, &port->rx_buffer[i]); /* fails only when broken */
}

/* Moves what the device filled to the queue of filled buffers. */
static void rx_collect(struct console_port *port)
{
    struct port_rx *b;
    uint32_t len;
    while ((b = virtq_pop(port->rx, &len)) != NULL) {
        b->len = len;
        port->rx_order[(port->rx_first + port->rx_filled++) % PORT_RX_BUFFERS] =
            (uint8_t)(b - port->rx_buffer);
    }
}

/* The first filled buffer that has unread bytes; gives empty ones back. */
static struct port_rx *rx_current(struct console_port *port)
{
    while (port->rx_filled) {
        unsigned i = port->rx_order[port->rx_first];
        if (port->rx_offset < port->rx_buffer[i].len)
            return &port->rx_buffer[i];
        port->rx_first = (port->rx_first + 1) % PORT_RX_BUFFERS;
        port->rx_filled--;
        port->rx_offset = 0;
        rx_post(port, i);
    }
    return NULL;
}

static size_t port_read(struct stream *s, void *buf, size_t n)
{
    struct console_port *port = CONTAINER_OF(s, struct console_port, stream);
    size_t done = 0;
    struct port_rx *b;
    irqflags_t flags = port_lock(port);
    rx_collect(port);
    while (done < n && (b = rx_current(port)) != NULL) {
        size_t k = MIN(n - done, b->len - port->rx_offset);
        const uint8_t *data = port->rx_memory + (b - port->rx_buffer) * PORT_RX_SIZE;
        memcpy((char *)buf + done, data + port->rx_offset, k);
        port->rx_offset += (uint32_t)k;
        done += k;
    }
    rx_current(port);
    virtio_kick(port->rx);
    port_unlock(port, flags);
    return done;
}

static bool port_can_read(struct stream *s)
{
    struct console_port *port = CONTAINER_OF(s, struct console_port, stream);
    irqflags_t flags = port_lock(port);
    rx_collect(port);
    bool yes = rx_current(port) != NULL;
    virtio_kick(port->rx);
    port_unlock(port, flags);
    return yes;
}

static void port_rx_done(struct virtq *vq)
{
    struct console_port *port = vq->owner;
    irqflags_t flags = port_lock(port);
    do
        rx_collect(port); /* ends: nothing is posted meanwhile */
    while (virtq_irq_enable(vq));
    bool some = port->rx_filled;
    port_unlock(port, flags);
    if (some)
        port_wake(&port->stream.readable, POLLIN | POLLRDNORM);
}

/* ---- transmit ---- */

static uint32_t tx_room(const struct console_port *port)
{
    return PORT_TX_SIZE - (port->tx_head - port->tx_tail);
}

/*
 * When the host closes its end, QEMU forgets the piece that it could not hand on just then,
 * and never gives it back. The others come back in order: who is passed over is lost.
 */
static void tx_forget_lost(struct console_port *port)
{
    struct port_tx *first = &port->tx_piece[port->tx_first];
    if (!port->tx_pieces || first->done || first->closes == port->closes)
        return;
    for (unsigned i = 1; i < port->tx_pieces && !first->done; i++)
        first->done = port->tx_piece[(port->tx_first + i) % PORT_TX_PIECES].done;
    if (first->done)
        virtq_forget(port->tx, first);
}

/* Frees the pieces at the front that the device is done with. */
static void tx_reclaim(struct console_port *port)
{
    struct port_tx *p;
    uint32_t none;
    while ((p = virtq_pop(port->tx, &none)) != NULL)
        p->done = true;
    tx_forget_lost(port);
    while (port->tx_pieces && port->tx_piece[port->tx_first].done) {
        port->tx_tail += port->tx_piece[port->tx_first].len;
        port->tx_first = (port->tx_first + 1) % PORT_TX_PIECES;
        port->tx_pieces--;
    }
}

/* Gives everything written but not in flight to the device, as one piece. */
static void tx_post(struct console_port *port)
{
    uint32_t len = port->tx_head - port->tx_posted, at = port->tx_posted % PORT_TX_SIZE;
    if (!len || port->tx_pieces == PORT_TX_PIECES)
        return;
    uint32_t first = MIN(len, PORT_TX_SIZE - at);
    struct virtq_seg seg[2] = {{virt_to_phys(port->tx_memory + at), first},
                               {virt_to_phys(port->tx_memory), len - first}};
    struct port_tx *p = &port->tx_piece[(port->tx_first + port->tx_pieces) % PORT_TX_PIECES];
    *p = (struct port_tx){.len = len, .closes = port->closes};
    if (virtq_add(port->tx, seg, first < len ? 2 : 1, 0, p))
        return;
    port->tx_pieces++;
    port->tx_posted = port->tx_head;
    virtio_kick(port->tx);
}

/* Reclaims and posts; interrupts stay on only if something is left to do after one. */
static void tx_pump(struct console_port *port)
{
    do {
        virtq_irq_disable(port->tx);
        tx_reclaim(port);
        tx_post(port);
    } while ((port->tx_posted != port->tx_head || port->tx_wanted) && virtq_irq_enable(port->tx));
}

static size_t tx_copy(struct console_port *port, const char *buf, size_t n)
{
    size_t len = MIN(n, tx_room(port)), at = port->tx_head % PORT_TX_SIZE;
    size_t first = MIN(len, PORT_TX_SIZE - at);
    memcpy(port->tx_memory + at, buf, first);
    memcpy(port->tx_memory, buf + first, len - first);
    port->tx_head += (uint32_t)len;
    return len;
}

/* Unlocks, and wakes those who wait for room if there is some. */
static void tx_unlock(struct console_port *port, irqflags_t flags)
{
    bool wake = port->tx_wanted && (tx_room(port) || port->tx->broken);
    if (wake)
        port->tx_wanted = false;
    port_unlock(port, flags);
    if (wake)
        port_wake(&port->stream.writable, POLLOUT | POLLWRNORM);
}

static size_t port_write(struct stream *s, const void *buf, size_t n)
{
    struct console_port *port = CONTAINER_OF(s, struct console_port, stream);
    irqflags_t flags = port_lock(port);
    size_t done = port->tx->broken ? n : 0; /* nobody will ever take it: let nobody wait */
    while (done < n) {
        tx_reclaim(port);
        done += tx_copy(port, (const char *)buf + done, n - done);
        port->tx_wanted |= done < n;
        tx_pump(port);
        if (!tx_room(port))
            break;
    }
    tx_unlock(port, flags);
    return done;
}

static bool port_can_write(struct stream *s)
{
    struct console_port *port = CONTAINER_OF(s, struct console_port, stream);
    irqflags_t flags = port_lock(port);
    tx_reclaim(port);
    if (!tx_room(port)) {
        port->tx_wanted = true;
        tx_pump(port);
    }
    bool yes = tx_room(port) || port->tx->broken;
    tx_unlock(port, flags);
    return yes;
}

static void port_tx_done(struct virtq *vq)
{
    struct console_port *port = vq->owner;
    irqflags_t flags = port_lock(port);
    tx_pump(port);
    tx_unlock(port, flags);
}

/* Bytes that have not left yet. */
static uint32_t tx_left(struct console_port *port)
{
    irqflags_t flags = port_lock(port);
    tx_reclaim(port);
    tx_pump(port);
    uint32_t left = port->tx->broken ? 0 : port->tx_head - port->tx_tail;
    tx_unlock(port, flags);
    return left;
}

/* True once all has left, false after `patience` ns without progress. */
static bool drain_poll(struct console_port *port, uint64_t patience)
{
    uint32_t left, before = UINT32_MAX;
    uint64_t until = 0;
    while ((left = tx_left(port)) != 0) {
        uint64_t now = clock_now();
        if (left != before)
            until = now + patience;
        else if (now > until)
            return false;
        before = left;
        cpu_relax();
    }
    return true;
}

static void port_drain(struct stream *s)
{
    struct console_port *port = CONTAINER_OF(s, struct console_port, stream);
    bool may_sleep = irq_enabled() && !stream_emergency();
    while (!drain_poll(port, may_sleep ? DRAIN_POLL : DRAIN_PATIENCE) && may_sleep)
        thread_sleep_until(clock_now() + DRAIN_NAP);
}

static const struct stream_ops port_ops = {
    .write = port_write,
    .read = port_read,
    .can_read = port_can_read,
    .can_write = port_can_write,
    .drain = port_drain,
};

/* ---- life ---- */

int console_port_init(struct console_port *port, struct virtio_device *vdev, unsigned rx_queue)
{
    int err = virtio_queue_create(vdev, rx_queue, PORT_RX_QUEUE, port_rx_done, port, &port->rx);
    if (err)
        return err;
    err = virtio_queue_create(vdev, rx_queue + 1, PORT_TX_QUEUE, port_tx_done, port, &port->tx);
    if (err)
        return err;
    return port->rx->ring.num < PORT_RX_QUEUE || port->tx->ring.num < PORT_TX_QUEUE ? -EINVAL : 0;
}

int console_port_add(struct console_port *port)
{
    port->rx_memory = kmalloc(PORT_RX_BUFFERS * PORT_RX_SIZE);
    port->tx_memory = kmalloc(PORT_TX_SIZE);
    if (!port->rx_memory || !port->tx_memory) {
        kfree(port->rx_memory);
        kfree(port->tx_memory);
        return -ENOMEM;
    }
    port->stream.ops = &port_ops;
    port->stream.name = port->name;
    waitq_init(&port->stream.readable);
    waitq_init(&port->stream.writable);
    port->added = true;
    return 0;
}

void console_port_open(struct console_port *port)
{
    irqflags_t flags = port_lock(port);
    for (unsigned i = 0; i < PORT_RX_BUFFERS; i++)
        rx_post(port, i);
    virtio_kick(port->rx);
    virtq_irq_disable(port->tx);
    port->opened = true;
    port_unlock(port, flags);
    stream_register(&port->stream);
}

void console_port_host(struct console_port *port, bool open)
{
    if (!port->opened)
        return;
    irqflags_t flags = port_lock(port);
    rx_collect(port); /* what came before the end is there before `eof` says so */
    port->stream.eof = !open;
    port->closes += !open;
    port_unlock(port, flags);
    if (!open)
        port_wake(&port->stream.readable, POLLIN | POLLRDNORM | POLLRDHUP);
}

void console_port_broken(struct console_port *port)
{
    if (!port->opened)
        return;
    port->stream.eof = true;
    port_wake(&port->stream.readable, POLLIN | POLLRDNORM | POLLRDHUP);
    port_wake(&port->stream.writable, POLLOUT | POLLWRNORM);
}
