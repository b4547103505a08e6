/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio console with several ports (virtio 1.2 §5.3, F_MULTIPORT): the control
 * queues. The device announces ports and names them; each named port becomes a
 * stream (console_port.h), asynchronously: see stream_wait().
 * Main struct: console. Lock: console.lock (interrupts off) around the control
 * queues; messages are handled outside it, in the receive interrupt.
 */
#include <errno.h>
#include <linux/virtio_console.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/virtio/console_port.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define PORTS_MAX     8 /* ports used; memory is taken when one is announced */
#define CONTROL_RX    2 /* queue numbers (§5.3.2) */
#define CONTROL_TX    3
#define MESSAGES      32
#define MESSAGE_SIZE  64   /* control structure and name */
#define MESSAGE_LIMIT 1024 /* in one interrupt; beyond that it is a flood */

typedef struct virtio_console_control control_t;

struct console {
    struct virtio_device *vdev;
    struct spinlock lock;
    struct virtq *rx, *tx;
    uint8_t received[MESSAGES][MESSAGE_SIZE]; /* the device writes them */
    control_t sent[MESSAGES];                 /* the device reads them */
    uint32_t sending;                         /* bit per message in flight */
    unsigned port_count;
    struct console_port port[PORTS_MAX];
};

static void control_post(struct console *con, void *message)
{
    struct virtq_seg seg = {virt_to_phys(message), MESSAGE_SIZE};
    virtq_add(con->rx, &seg, 0, 1, message);
}

static void control_send(struct console *con, uint32_t id, uint16_t event, uint16_t value)
{
    control_t *m;
    uint32_t none;
    bool lost = true;
    irqflags_t flags = spin_lock_irq(&con->lock);
    while ((m = virtq_pop(con->tx, &none)) != NULL)
        con->sending &= ~(1u << (m - con->sent));
    virtq_irq_disable(con->tx);
    if (~con->sending) {
        unsigned i = (unsigned)__builtin_ctz(~con->sending);
        con->sent[i] = (control_t){.id = id, .event = event, .value = value};
        struct virtq_seg seg = {virt_to_phys(&con->sent[i]), sizeof(control_t)};
        lost = virtq_add(con->tx, &seg, 1, 0, &con->sent[i]) != 0;
        if (!lost)
            con->sending |= 1u << i;
        virtio_kick(con->tx);
    }
    spin_unlock_irq(&con->lock, flags);
    if (lost && !con->vdev->broken)
        log_warn("%s: console message %u for port %u lost", con->vdev->name, event, id);
}

static void port_announced(struct console *con, struct console_port *port, uint32_t id)
{
    if (port->added)
        return;
    int err = console_port_add(port);
    if (err)
        log_error("%s: no memory for port %u", con->vdev->name, id);
    control_send(con, id, VIRTIO_CONSOLE_PORT_READY, !err);
}

/* The name follows the control structure; QEMU ends it with a NUL, others need not. */
static void port_named(struct console *con, struct console_port *port, uint32_t id,
                       const uint8_t *name, size_t len)
{
    if (!port->added || port->opened)
        return;
    len = strnlen((const char *)name, MIN(len, sizeof port->name - 1));
    memcpy(port->name, name, len);
    port->name[len] = '\0';
    control_send(con, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
    console_port_open(port);
}

static void message_handle(struct console *con, const uint8_t *message, size_t len)
{
    control_t c;
    if (len < sizeof c)
        return;
    memcpy(&c, message, sizeof c);
    if (c.id >= con->port_count) {
        if (c.event == VIRTIO_CONSOLE_PORT_ADD)
            log_warn("%s: console port %u is beyond the %u that are used", con->vdev->name, c.id,
                     con->port_count);
        return;
    }
    struct console_port *port = &con->port[c.id];
    switch (c.event) {
    case VIRTIO_CONSOLE_PORT_ADD:
        port_announced(con, port, c.id);
        break;
    case VIRTIO_CONSOLE_PORT_NAME:
        port_named(con, port, c.id, message + sizeof c, len - sizeof c);
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        console_port_host(port, c.value != 0);
        break;
    case VIRTIO_CONSOLE_PORT_REMOVE:
        console_port_host(port, false);
        break;
    default: /* CONSOLE_PORT, RESIZE: not for us, the control stream has the size */
        break;
    }
}

/* Copies the next message out and gives its buffer back. False: there is none. */
static bool message_take(struct console *con, uint8_t *out, uint32_t *len)
{
    irqflags_t flags = spin_lock_irq(&con->lock);
    uint8_t *message = virtq_pop(con->rx, len);
    if (!message && virtq_irq_enable(con->rx))
        message = virtq_pop(con->rx, len);
    if (message) {
        memcpy(out, message, MESSAGE_SIZE);
        control_post(con, message);
        virtio_kick(con->rx);
    }
    spin_unlock_irq(&con->lock, flags);
    return message != NULL;
}

static void control_rx_done(struct virtq *vq)
{
    struct console *con = vq->owner;
    uint8_t message[MESSAGE_SIZE];
    uint32_t len;
    unsigned n = 0;
    while (n < MESSAGE_LIMIT && message_take(con, message, &len)) {
        message_handle(con, message, len);
        n++;
    }
    if (n == MESSAGE_LIMIT || vq->broken)
        virtio_break(con->vdev);
}

/* Queues for control and for every port that can come, before the device starts (§3.1.1). */
static int queues_create(struct console *con)
{
    struct virtio_device *vdev = con->vdev;
    int err = virtio_queue_create(vdev, CONTROL_RX, MESSAGES, control_rx_done, con, &con->rx);
    if (!err)
        err = virtio_queue_create(vdev, CONTROL_TX, MESSAGES, NULL, con, &con->tx);
    for (unsigned i = 0; !err && i < con->port_count; i++)
        err = console_port_init(&con->port[i], vdev, i ? 2 * i + 2 : 0);
    return err;
}

static int console_probe(struct virtio_device *vdev)
{
    if (!virtio_has(vdev, VIRTIO_CONSOLE_F_MULTIPORT)) {
        log_warn("%s: a console without named ports is not used", vdev->name);
        return -ENOTSUP;
    }
    struct console *con = kzalloc(sizeof *con);
    if (!con)
        return -ENOMEM;
    con->vdev = vdev;
    uint32_t ports = virtio_config_u32(vdev, offsetof(struct virtio_console_config, max_nr_ports));
    con->port_count = MIN(ports, (uint32_t)PORTS_MAX);
    int err = queues_create(con);
    if (err) {
        kfree(con);
        return err;
    }
    vdev->priv = con;
    for (unsigned i = 0; i < con->rx->ring.num; i++)
        control_post(con, con->received[i]);
    stream_expect();
    virtio_ready(vdev);
    virtio_kick(con->rx);
    control_send(con, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    return 0;
}

static void console_broken(struct virtio_device *vdev)
{
    struct console *con = vdev->priv;
    for (unsigned i = 0; i < con->port_count; i++)
        console_port_broken(&con->port[i]);
}

const struct virtio_driver virtio_console_driver = {
    .id = VIRTIO_ID_CONSOLE,
    .features = 1ull << VIRTIO_CONSOLE_F_MULTIPORT,
    .probe = console_probe,
    .broken = console_broken,
};
