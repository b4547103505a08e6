/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of virtio for tests: a transport without registers, and
 * queues walked from the ring memory alone, as a device would.
 */
#pragma once

#include "dev/virtio/virtio.h"

struct fake_queue {
    struct virtq *vq; /* only its ring's addresses are used */
    uint16_t avail_seen, used_idx, used_signalled;
    unsigned kicks;
};

extern unsigned fake_cpus; /* that the machine has; 1 at first */

struct fake_virtio {
    struct virtio_device vdev;
    uint8_t status;
    uint64_t offered, accepted;
    bool refuse; /* FEATURES_OK does not stick */
    uint8_t config[64];
    uint32_t generation;
    unsigned queue_max, queue_count; /* descriptors; queues, 0: any number */
    struct fake_queue queue[VIRTIO_QUEUES_MAX];
};

struct fake_chain {
    uint16_t head;
    unsigned out, in;
    bool indirect;
    struct {
        uint8_t *data;
        uint32_t len;
    } seg[80]; /* what we read, then what we write */
};

void fake_virtio_init(struct fake_virtio *f, uint32_t id, uint64_t features, unsigned queue_max);
void fake_queue_attach(struct fake_queue *q, struct virtq *vq);
/* The next available chain; false if there is none. */
bool fake_queue_next(struct fake_queue *q, struct fake_chain *c);
/* Puts an entry on the used ring, whatever it says. */
void fake_queue_use(struct fake_queue *q, uint32_t id, uint32_t len);
/* Tells the driver if it wants to be told; true if it did. */
bool fake_queue_interrupt(struct fake_queue *q);
/* Asks for a kick at the next chain. */
void fake_queue_want_kick(struct fake_queue *q);
