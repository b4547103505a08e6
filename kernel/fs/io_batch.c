/* SPDX-License-Identifier: Apache-2.0 */
/* Batched I/O: see io_batch.h. Completions come in any context and only count. */
#include "fs/io_batch.h"

#include <linux/errno.h>

#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define SECTOR_SHIFT 9

void io_batch_init(struct io_batch *b, struct blkdev *dev)
{
    b->dev = dev;
    b->building = b->all = NULL;
    b->lock = (struct spinlock)SPINLOCK_INIT;
    b->pending = 0;
    b->err = 0;
    b->durable = false;
    waitq_init(&b->done);
}

static void batch_done(struct bio *bio)
{
    struct io_batch *b = bio->priv;
    irqflags_t flags = spin_lock_irq(&b->lock);
    if (bio->status && !b->err)
        b->err = bio->status;
    /* The waiter may go on only after it has had the lock: the batch is on its stack. */
    if (--b->pending == 0)
        waitq_wake(&b->done, 0);
    spin_unlock_irq(&b->lock, flags);
}

static void batch_submit(struct io_batch *b)
{
    struct io_bio *io = b->building;
    if (!io)
        return;
    b->building = NULL;
    irqflags_t flags = spin_lock_irq(&b->lock);
    b->pending++;
    spin_unlock_irq(&b->lock, flags);
    blkdev_submit(b->dev, &io->bio);
}

/* Adds the piece to the bio being built if it continues it. */
static bool batch_extend(struct io_bio *io, uint64_t off, void *mem, uint32_t len)
{
    if (!io || io->end != off)
        return false;
    struct bio_vec *last = &io->bio.vec[io->bio.count - 1];
    if ((char *)last->data + last->len == (char *)mem) {
        last->len += len;
    } else {
        if (io->bio.count == BIO_VECS)
            return false;
        io->bio.vec[io->bio.count++] = (struct bio_vec){mem, len};
    }
    io->end += len;
    return true;
}

static void batch_wait(struct io_batch *b)
{
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        waitq_add(&b->done, &w);
        irqflags_t flags = spin_lock_irq(&b->lock);
        bool done = b->pending == 0;
        spin_unlock_irq(&b->lock, flags);
        if (done)
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

static void batch_add(struct io_batch *b, enum bio_op op, uint64_t off, void *mem, uint32_t len)
{
    if (batch_extend(b->building, off, mem, len))
        return;
    batch_submit(b);
    struct io_bio *io = kzalloc_io(sizeof *io);
    if (io) {
        io->next = b->all;
        b->all = io;
    } else {
        batch_wait(b);
        io = &b->spare;
    }
    io->bio = (struct bio){.op = op,
                           .durable = b->durable,
                           .sector = off >> SECTOR_SHIFT,
                           .count = 1,
                           .done = batch_done,
                           .priv = b};
    io->bio.vec[0] = (struct bio_vec){mem, len};
    list_init(&io->bio.link);
    io->end = off + len;
    b->building = io;
}

void io_batch_read(struct io_batch *b, uint64_t off, void *mem, uint32_t len)
{
    batch_add(b, BIO_READ, off, mem, len);
}

void io_batch_write(struct io_batch *b, uint64_t off, void *mem, uint32_t len)
{
    batch_add(b, BIO_WRITE, off, mem, len);
}

int io_batch_finish(struct io_batch *b)
{
    batch_submit(b);
    batch_wait(b);
    while (b->all) {
        struct io_bio *io = b->all;
        b->all = io->next;
        kfree(io);
    }
    return b->err;
}
