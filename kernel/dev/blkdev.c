/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: the list, bounds and partition remapping in front of drivers,
 * and the synchronous helpers. Main struct: blkdev. No lock: devices register
 * one after the other at boot and stay; drivers lock themselves.
 */
#include "dev/blkdev.h"

#include <errno.h>

#include "core/log.h"
#include "dev/gpt.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/thread.h"
#include "sched/waitq.h"

#define SECTOR     512u
#define SYNC_CHUNK (1u << 20) /* bytes a synchronous bio carries at most */

static struct list devices = LIST_INIT(devices);
static uint64_t transferred[2]; /* bytes, by BIO_READ and BIO_WRITE; atomic */

static int partition_add(struct blkdev *disk, const struct gpt_partition *p)
{
    struct blkdev *part = kzalloc(sizeof *part);
    if (!part)
        return -ENOMEM;
    *part = (struct blkdev){.ops = disk->ops,
                            .sectors = p->sectors,
                            .block_size = disk->block_size,
                            .read_only = disk->read_only,
                            .priv = disk->priv,
                            .parent = disk,
                            .start = p->start};
    snprintf(part->name, sizeof part->name, "%.8s%u", disk->name, p->number);
    memcpy(part->label, p->label, sizeof part->label);
    list_add_tail(&devices, &part->link);
    return 0;
}

int blkdev_register(struct blkdev *dev)
{
    struct gpt_partition *p;
    unsigned count;
    list_add_tail(&devices, &dev->link);
    int err = gpt_read(dev, &p, &count);
    if (err)
        return err;
    for (unsigned i = 0; i < count && !err; i++)
        err = partition_add(dev, &p[i]);
    kfree(p);
    return err;
}

int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg)
{
    LIST_FOR_EACH(l, &devices)
    {
        int r = fn(LIST_ENTRY(l, struct blkdev, link), arg);
        if (r)
            return r;
    }
    return 0;
}

static uint64_t bio_sectors(const struct bio *bio)
{
    uint64_t sectors = 0;
    for (unsigned i = 0; i < bio->count; i++)
        sectors += bio->vec[i].len / SECTOR;
    return sectors;
}

/* 0 if the device can do it: pieces of whole blocks, within the device, writable. */
static int bio_check(const struct blkdev *dev, const struct bio *bio)
{
    if (bio->op == BIO_FLUSH)
        return 0;
    uint64_t sectors, per_block = dev->block_size / SECTOR;
    if (!bio->count || bio->count > BIO_VECS)
        return -EINVAL;
    for (unsigned i = 0; i < bio->count; i++)
        if (!bio->vec[i].len || bio->vec[i].len % SECTOR)
            return -EINVAL;
    sectors = bio_sectors(bio);
    if (bio->sector > dev->sectors || sectors > dev->sectors - bio->sector)
        return -EIO;
    if (bio->sector % per_block || sectors % per_block)
        return -EINVAL;
    return bio->op == BIO_WRITE && dev->read_only ? -EROFS : 0;
}

void blkdev_submit(struct blkdev *dev, struct bio *bio)
{
    bio->status = bio_check(dev, bio);
    if (bio->status) {
        bio->done(bio);
        return;
    }
    for (; dev->parent; dev = dev->parent)
        bio->sector += dev->start;
    if (bio->op != BIO_FLUSH)
        __atomic_add_fetch(&transferred[bio->op], bio_sectors(bio) * SECTOR, __ATOMIC_RELAXED);
    dev->ops->submit(dev, bio);
}

uint64_t blkdev_bytes(enum bio_op op)
{
    return transferred[op];
}

/* One queue for all waiters: a bio's own would live on a stack that may be gone at the wake-up. */
static struct waitq sync_waiters = WAITQ_INIT(sync_waiters);

static void sync_done(struct bio *bio)
{
    bool *finished = bio->priv;
    __atomic_store_n(finished, true, __ATOMIC_RELEASE); /* the last touch of the waiter's frame */
    waitq_wake(&sync_waiters, 0);
}

static int sync_io(struct blkdev *dev, struct bio *bio)
{
    bool finished = false;
    struct waiter w;
    waiter_init(&w);
    bio->done = sync_done;
    bio->priv = &finished;
    blkdev_submit(dev, bio);
    for (;;) {
        waitq_add(&sync_waiters, &w);
        if (__atomic_load_n(&finished, __ATOMIC_ACQUIRE))
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
    return bio->status;
}

static int sync_transfer(struct blkdev *dev, enum bio_op op, uint64_t off, void *buf, size_t n)
{
    if (off % SECTOR || n % SECTOR)
        return -EINVAL;
    for (size_t done = 0; done < n;) {
        uint32_t len = (uint32_t)MIN(n - done, SYNC_CHUNK);
        struct bio bio = {.op = op, .sector = (off + done) / SECTOR, .count = 1};
        bio.vec[0] = (struct bio_vec){(char *)buf + done, len};
        int err = sync_io(dev, &bio);
        if (err)
            return err;
        done += len;
    }
    return 0;
}

int blkdev_read(struct blkdev *dev, uint64_t off, void *buf, size_t n)
{
    return sync_transfer(dev, BIO_READ, off, buf, n);
}

int blkdev_write(struct blkdev *dev, uint64_t off, const void *buf, size_t n)
{
    return sync_transfer(dev, BIO_WRITE, off, (void *)(uintptr_t)buf, n);
}

int blkdev_flush(struct blkdev *dev)
{
    struct bio bio = {.op = BIO_FLUSH};
    return sync_io(dev, &bio);
}
