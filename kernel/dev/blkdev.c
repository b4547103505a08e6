/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: the list, bounds and partition remapping in front of drivers,
 * and the synchronous helpers. Main struct: blkdev. Lock: devices_lock, a mutex,
 * around the list; it may be held while devices are read. Drivers lock themselves.
 */
#include "dev/blkdev.h"

#include <errno.h>

#include "core/log.h"
#include "dev/gpt.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/mutex.h"
#include "sched/thread.h"
#include "sched/waitq.h"

#define SECTOR     512u
#define SYNC_CHUNK (1u << 20) /* bytes a synchronous bio carries at most */

#define ERRORS_LOGGED 10 /* of a device */

static struct list devices = LIST_INIT(devices);
static struct mutex devices_lock = MUTEX_INIT(devices_lock);
static unsigned arrivals; /* atomic */
static struct waitq arrived = WAITQ_INIT(arrived);
static uint64_t transferred[2]; /* bytes, by BIO_READ and BIO_WRITE; atomic */

static void list_enter(struct blkdev *dev)
{
    dev->refs = 1;
    mutex_lock(&devices_lock);
    list_add_tail(&devices, &dev->link);
    mutex_unlock(&devices_lock);
}

static int partition_add(struct blkdev *disk, const struct gpt_partition *p)
{
    struct blkdev *part = kzalloc(sizeof *part);
    if (!part)
        return -ENOMEM;
    *part = (struct blkdev){.ops = disk->ops,
                            .sectors = p->sectors,
                            .block_size = disk->block_size,
                            .read_only = disk->read_only,
                            .durable = disk->durable,
                            .discard_max = disk->discard_max,
                            .zeroes_max = disk->zeroes_max,
                            .priv = disk->priv,
                            .parent = disk,
                            .start = p->start};
    size_t n = strlen(disk->name);
    bool digit = disk->name[n - 1] >= '0' && disk->name[n - 1] <= '9';
    snprintf(part->name, sizeof part->name, "%.11s%s%u", disk->name, digit ? "p" : "", p->number);
    memcpy(part->label, p->label, sizeof part->label);
    blkdev_get(disk);
    list_enter(part);
    return 0;
}

void blkdev_set_name(struct blkdev *dev, const char *prefix, unsigned index)
{
    char first[2] = {index < 26 ? '\0' : (char)('a' + index / 26 % 27 - 1), '\0'};
    snprintf(dev->name, sizeof dev->name, "%.4s%s%c", prefix, first, 'a' + (int)(index % 26));
}

int blkdev_register(struct blkdev *dev)
{
    struct gpt_partition *p;
    unsigned count;
    list_enter(dev);
    int err = gpt_read(dev, &p, &count);
    if (!err) {
        for (unsigned i = 0; i < count && !err; i++)
            err = partition_add(dev, &p[i]);
        kfree(p);
    }
    __atomic_add_fetch(&arrivals, 1, __ATOMIC_RELEASE);
    waitq_wake(&arrived, 0);
    return err;
}

void blkdev_unregister(struct blkdev *dev)
{
    struct list out;
    list_init(&out);
    mutex_lock(&devices_lock);
    LIST_FOR_EACH_SAFE(l, &devices)
    {
        struct blkdev *d = LIST_ENTRY(l, struct blkdev, link);
        if (d != dev && d->parent != dev)
            continue;
        d->gone = true;
        list_remove(l);
        list_add_tail(&out, l);
    }
    mutex_unlock(&devices_lock);
    for (struct list *l; (l = list_pop_head(&out)) != NULL;)
        blkdev_put(LIST_ENTRY(l, struct blkdev, link));
}

void blkdev_get(struct blkdev *dev)
{
    __atomic_add_fetch(&dev->refs, 1, __ATOMIC_RELAXED);
}

void blkdev_put(struct blkdev *dev)
{
    struct blkdev *parent = dev->parent;
    if (__atomic_sub_fetch(&dev->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (parent) {
        kfree(dev);
        blkdev_put(parent);
    } else if (dev->ops->release) {
        dev->ops->release(dev);
    }
}

void blkdev_resize(struct blkdev *dev, uint64_t sectors)
{
    uint64_t old = __atomic_exchange_n(&dev->sectors, sectors, __ATOMIC_ACQ_REL);
    if (old != sectors)
        log_info("%s: %llu sectors now, %llu before", dev->name, (unsigned long long)sectors,
                 (unsigned long long)old);
}

int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg)
{
    int r = 0;
    mutex_lock(&devices_lock);
    for (struct list *l = devices.next; l != &devices && !r; l = l->next)
        r = fn(LIST_ENTRY(l, struct blkdev, link), arg);
    mutex_unlock(&devices_lock);
    return r;
}

unsigned blkdev_arrivals(void)
{
    return __atomic_load_n(&arrivals, __ATOMIC_ACQUIRE);
}

int blkdev_wait(unsigned seen, uint64_t deadline)
{
    struct waiter w;
    int err = 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&arrived, &w);
        if (blkdev_arrivals() != seen || err)
            break;
        err = thread_block(deadline, false);
    }
    waitq_remove(&w);
    return blkdev_arrivals() != seen ? 0 : err;
}

static bool bio_has_pieces(const struct bio *bio)
{
    return bio->op == BIO_READ || bio->op == BIO_WRITE;
}

static uint64_t bio_sectors(const struct bio *bio)
{
    uint64_t sectors = 0;
    if (!bio_has_pieces(bio))
        return bio->sectors;
    for (unsigned i = 0; i < bio->count; i++)
        sectors += bio->vec[i].len / SECTOR;
    return sectors;
}

static int pieces_check(const struct bio *bio)
{
    if (!bio->count || bio->count > BIO_VECS)
        return -EINVAL;
    for (unsigned i = 0; i < bio->count; i++)
        if (!bio->vec[i].len || bio->vec[i].len % SECTOR)
            return -EINVAL;
    return 0;
}

/* 0 if the device can do it: whole blocks, within the device, writable. */
static int bio_check(const struct blkdev *dev, const struct bio *bio)
{
    if (dev->gone)
        return -EIO;
    if (bio->op == BIO_FLUSH)
        return 0;
    uint64_t per_block = dev->block_size / SECTOR;
    if (bio_has_pieces(bio)) {
        int err = pieces_check(bio);
        if (err)
            return err;
    } else if (!bio->sectors ||
               bio->sectors > (bio->op == BIO_DISCARD ? dev->discard_max : dev->zeroes_max)) {
        return -EOPNOTSUPP;
    }
    uint64_t sectors = bio_sectors(bio), size = __atomic_load_n(&dev->sectors, __ATOMIC_ACQUIRE);
    if (bio->sector > size || sectors > size - bio->sector)
        return -EIO;
    if (bio->sector % per_block || sectors % per_block)
        return -EINVAL;
    return bio->op != BIO_READ && dev->read_only ? -EROFS : 0;
}

void blkdev_submit(struct blkdev *dev, struct bio *bio)
{
    bio->status = bio_check(dev, bio);
    for (; dev->parent && !bio->status; dev = dev->parent) {
        bio->sector += dev->start;
        bio->status = bio_check(dev->parent, bio); /* it may have shrunk */
    }
    bio->dev = dev;
    if (bio->status) {
        bio->done(bio);
        return;
    }
    if (bio_has_pieces(bio))
        __atomic_add_fetch(&transferred[bio->op], bio_sectors(bio) * SECTOR, __ATOMIC_RELAXED);
    dev->ops->submit(dev, bio);
}

void bio_complete(struct bio *bio)
{
    static const char *const verbs[] = {"read", "write", "flush", "discard", "clearing"};
    struct blkdev *dev = bio->dev;
    if (bio->status == -EIO && dev && dev->errors <= ERRORS_LOGGED) {
        unsigned n = __atomic_fetch_add(&dev->errors, 1, __ATOMIC_RELAXED);
        if (n < ERRORS_LOGGED)
            log_error("%s: I/O error: %s at sector %llu", dev->name, verbs[bio->op],
                      (unsigned long long)bio->sector);
        else if (n == ERRORS_LOGGED)
            log_error("%s: further I/O errors are not told", dev->name);
    }
    bio->done(bio);
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

int bio_wait(struct bio *bio, void (*submit)(struct blkdev *dev, struct bio *bio),
             struct blkdev *dev)
{
    bool finished = false;
    struct waiter w;
    waiter_init(&w);
    bio->done = sync_done;
    bio->priv = &finished;
    submit(dev, bio);
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
        int err = bio_wait(&bio, blkdev_submit, dev);
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
    return bio_wait(&bio, blkdev_submit, dev);
}

int blkdev_write_emergency(struct blkdev *dev, uint64_t off, const void *buf, size_t n)
{
    struct bio bio = {.op = BIO_WRITE, .sector = off / SECTOR, .count = 1};
    struct bio flush = {.op = BIO_FLUSH};
    bio.vec[0] = (struct bio_vec){(void *)(uintptr_t)buf, (uint32_t)n};
    int err = bio_check(dev, &bio);
    for (; dev->parent && !err; dev = dev->parent) {
        bio.sector += dev->start;
        err = bio_check(dev->parent, &bio);
    }
    bio.dev = flush.dev = dev;
    if (!err && !dev->ops->emergency)
        err = -EOPNOTSUPP;
    if (!err)
        err = dev->ops->emergency(dev, &bio);
    return err ? err : dev->ops->emergency(dev, &flush);
}

int blkdev_discard(struct blkdev *dev, uint64_t off, uint64_t n)
{
    uint64_t block = dev->block_size, at = ALIGN_UP(off, block) / SECTOR;
    uint64_t end = (off + n) / block * block / SECTOR, most = dev->discard_max;
    most -= most % (block / SECTOR);
    if (!most)
        return -EOPNOTSUPP;
    for (uint64_t count; at < end; at += count) {
        count = MIN(end - at, most);
        struct bio bio = {.op = BIO_DISCARD, .sector = at, .sectors = count};
        int err = bio_wait(&bio, blkdev_submit, dev);
        if (err)
            return err;
    }
    return 0;
}
