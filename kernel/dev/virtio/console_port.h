/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One port of a virtio-console: its two queues under a `struct stream`.
 * Received data waits in a few buffers that go back to the device once read.
 * Written data goes into a byte ring: a write copies and returns; while a few
 * pieces are in flight already, what is written meanwhile leaves as one piece.
 * Transmit interrupts are on only while something waits for room.
 *
 * Lock: `lock` (interrupts off) around everything but `stream`'s wait queues,
 * which are woken outside it.
 */
#pragma once

#include "dev/stream.h"
#include "dev/virtio/virtio.h"

#define PORT_RX_BUFFERS 4
#define PORT_RX_SIZE    1024u
#define PORT_TX_PIECES  4
#define PORT_TX_SIZE    8192u /* power of two */
#define PORT_RX_QUEUE   PORT_RX_BUFFERS
#define PORT_TX_QUEUE   (2 * PORT_TX_PIECES) /* a piece may wrap around the ring's end */

struct port_rx {
    uint32_t len; /* bytes received */
};

struct port_tx {
    uint32_t len;
    bool done;       /* the device has used it */
    unsigned closes; /* the port's when it was sent */
};

struct console_port {
    struct stream stream;
    struct spinlock lock;
    struct virtq *rx, *tx;
    bool added;           /* the device announced it */
    volatile bool opened; /* we may use it: it is a stream */
    char name[32];
    uint8_t *rx_memory, *tx_memory;
    struct port_rx rx_buffer[PORT_RX_BUFFERS];
    uint8_t rx_order[PORT_RX_BUFFERS]; /* filled buffers, a ring from rx_first */
    unsigned rx_first, rx_filled;
    uint32_t rx_offset; /* read so far of the first filled one */
    struct port_tx tx_piece[PORT_TX_PIECES];
    unsigned tx_first, tx_pieces;         /* pieces in flight, a ring */
    uint32_t tx_tail, tx_posted, tx_head; /* free-running: sent, in flight up to, written up to */
    bool tx_wanted;                       /* somebody waits for room */
    unsigned closes;                      /* by the host, so far */
};

/* Its queues; before virtio_ready(). */
int console_port_init(struct console_port *port, struct virtio_device *vdev, unsigned rx_queue);
/* The device announced it: memory for its buffers. -ENOMEM. */
int console_port_add(struct console_port *port);
/* It has its name and the device was told it is open: becomes a stream. */
void console_port_open(struct console_port *port);
/* The host opened or closed its end. */
void console_port_host(struct console_port *port, bool open);
/* The device is gone: end of file, and writes are swallowed. */
void console_port_broken(struct console_port *port);
