/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request queues of a virtio disk controller: what virtio-blk and virtio-scsi
 * share. A bio waits in `waiting` until a request and descriptors are free; one
 * with more pieces, or more bytes, than the device takes is done in several
 * requests, one after the other. There may be a queue for each CPU: a bio goes
 * into the queue of the CPU that submits it.
 *
 * Lock: diskq.lock (interrupts off) for everything of one queue; bios are completed
 * outside it.
 */
#pragma once

#include "core/spinlock.h"
#include "dev/bio_part.h"
#include "dev/virtio/virtio.h"

struct diskq_request {
    struct bio_part part;   /* of the bio that it is for */
    struct virtq_seg extra; /* set by `prepare`: the device reads this too; len 0: nothing */
    uint8_t *answer;        /* type->answer_size bytes that the device writes */
    struct diskq_request *free;
    uint8_t head[] __attribute__((aligned(8))); /* type->head_size bytes that it reads */
};

/* What differs between kinds of devices. */
struct diskq_type {
    unsigned head_size, answer_size;
    bool answer_first; /* it stands before the data that is read, else behind */
    /* Fills head for the request's sector and bytes, and answer: its length. */
    unsigned (*prepare)(struct diskq_request *r);
    /* What the answer says: 0 or -errno; -EAGAIN: to be tried again. */
    int (*result)(struct diskq_request *r, uint32_t written);
};

struct diskq {
    const struct diskq_type *type;
    struct virtq *vq;
    struct spinlock lock;
    struct list waiting; /* bios */
    unsigned seg_max;    /* pieces of data a request may have */
    struct diskq_request *free;
    void *requests; /* an array; the first `fresh` of them were never used */
    size_t stride;
    unsigned fresh;
};

struct diskqs {
    unsigned count;
    struct diskq q[];
};

/*
 * Makes a queue for each CPU, at most `offered`, from the device's queue `first` on;
 * `size`: descriptors; `seg_max`: as the device says. -EINVAL: queues too short for
 * a request; else as virtio_queue_create(). What failed is left to the caller's
 * reset of the device, and *out to diskqs_destroy().
 */
int diskqs_create(struct virtio_device *vdev, unsigned first, unsigned offered, unsigned size,
                  unsigned seg_max, const struct diskq_type *type, struct diskqs **out);
/* NULL is fine. */
void diskqs_destroy(struct diskqs *qs);
/* Completes the bio by bio_complete() some time. Any context. */
void diskqs_submit(struct diskqs *qs, struct bio *bio);
/* blkdev_ops.emergency by the first queue whose lock is free. -EBUSY: none is; -ETIMEDOUT, -EIO. */
int diskqs_emergency(struct diskqs *qs, struct bio *bio);
/* The device was given up: all bios end with -EIO. */
void diskqs_broken(struct diskqs *qs);
