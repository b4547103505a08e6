/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch of reads or writes on one device: pieces that follow each other on the
 * disk become one bio; all bios are in flight together. Lives on the caller's
 * stack. Without memory for a bio the pieces go one after the other.
 */
#pragma once

#include "core/spinlock.h"
#include "dev/blkdev.h"
#include "sched/waitq.h"

struct io_bio {
    struct bio bio;
    struct io_bio *next;
    uint64_t end; /* byte offset behind the last piece */
};

struct io_batch {
    struct blkdev *dev;
    struct io_bio spare;     /* for when there is no memory */
    struct io_bio *building; /* not submitted yet */
    struct io_bio *all;      /* everything made, to be freed */
    struct spinlock lock;    /* guards pending and err; interrupts off */
    unsigned pending;
    int err;      /* the first failure */
    bool durable; /* writes are on the medium when they are done, where the device knows that */
    struct waitq done;
};

void io_batch_init(struct io_batch *b, struct blkdev *dev);
/* Reads len bytes at byte offset off into kernel memory; both multiples of 512. */
void io_batch_read(struct io_batch *b, uint64_t off, void *mem, uint32_t len);
/* The same for writing. Reads and writes are not mixed in one batch. */
void io_batch_write(struct io_batch *b, uint64_t off, void *mem, uint32_t len);
/* Waits for all; 0 or the first error. Must be called once. */
int io_batch_finish(struct io_batch *b);
