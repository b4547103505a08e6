/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueue (virtio 1.2 §2.7): a ring of buffers shared with a device.
 * The owner adds chains with a token, kicks, and pops the tokens of the chains
 * that the device has used. The device is not trusted: an id that is not in
 * flight, a length beyond the buffer or an impossible index sets `broken`, after
 * which nothing can be added or popped.
 *
 * Locking: none here; the owner serialises all calls on one queue.
 */
#pragma once

#include <linux/virtio_ring.h>

#include "lib/types.h"

#define VIRTQ_SIZE_MAX     1024
#define VIRTQ_LEGACY_ALIGN PAGE_SIZE /* of an old queue, and of its used ring (§2.7.2) */

struct virtio_device;
struct virtq;

/* One physically contiguous piece of a buffer. */
struct virtq_seg {
    paddr_t addr;
    uint32_t len;
};

/* What we know about a descriptor; the device can change the table itself. */
struct virtq_slot {
    void *token;                 /* of the chain that starts here, NULL if none does */
    struct vring_desc *indirect; /* its table, or NULL */
    uint32_t in_len;             /* bytes the device may write */
    uint16_t count;              /* descriptors of the ring it takes */
    uint16_t next;               /* the next of the chain, or of the free list */
};

struct virtq {
    struct vring ring;
    struct virtq_slot *slot;
    uint16_t free_head, free_count;
    uint16_t avail_idx;  /* ours: chains made available so far */
    uint16_t kicked_idx; /* avail_idx at the last kick */
    uint16_t used_idx;   /* chains popped so far */
    uint16_t index;      /* number of the queue on its device */
    bool event_idx, indirect;
    bool len_with_out; /* the owner's: the device also counts what it read (QEMU's SCSI) */
    volatile bool broken;
    void (*done)(struct virtq *vq); /* the owner's: chains were used; interrupt context */
    void *owner;
    struct virtio_device *vdev;
    volatile void *doorbell; /* the transport's */
    bool own_vector;         /* the transport's */
};

/*
 * A queue of the largest power of two up to `size`; `features` as negotiated: without
 * VIRTIO_F_VERSION_1 in the old layout. NULL: no memory.
 */
struct virtq *virtq_create(unsigned size, uint64_t features);
/* The device must have been reset. */
void virtq_destroy(struct virtq *vq);
/* The same, and no chain in flight (virtq_take()): as when it was created. */
void virtq_restart(struct virtq *vq);

/*
 * Makes a chain available: `out` pieces the device reads, then `in` pieces it
 * writes. -EAGAIN: no descriptors left now; -EMSGSIZE: more pieces than the
 * queue has descriptors; -EIO: broken. `token` is not NULL.
 */
int virtq_add(struct virtq *vq, const struct virtq_seg *seg, unsigned out, unsigned in,
              void *token);
/* True if the device wants to be told of what was added since the last call. */
bool virtq_kick_wanted(struct virtq *vq);
/* The token of the next used chain and the bytes the device wrote; NULL if none. */
void *virtq_pop(struct virtq *vq, uint32_t *written);
/* The device will not give the chain with this token back: its descriptors are free. */
void virtq_forget(struct virtq *vq, const void *token);
/* After the device was reset: the token of any chain in flight, NULL when none is left. */
void *virtq_take(struct virtq *vq);

/* Asks for an interrupt at the next used chain. True: there is one already, pop again. */
bool virtq_irq_enable(struct virtq *vq);
/* Asks for none; to be repeated at least every 65535 chains. */
void virtq_irq_disable(struct virtq *vq);
