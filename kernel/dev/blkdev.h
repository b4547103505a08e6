/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices. A driver registers a `struct blkdev`; file systems read and
 * write through blkdev_read/blkdev_write, or submit a `struct bio` of their own.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct blkdev;
struct bio;

typedef void bio_done_fn(struct bio *bio);

enum bio_op { BIO_READ, BIO_WRITE, BIO_FLUSH };

struct bio_vec {
    void *data;   /* kernel memory of the direct map: physically contiguous, `len` bytes */
    uint32_t len; /* multiple of 512 */
};

#define BIO_VECS 32

struct bio {
    enum bio_op op;
    uint64_t sector; /* in units of 512 bytes, relative to the device */
    unsigned count;  /* pieces used */
    struct bio_vec vec[BIO_VECS];
    int status;        /* 0 or -errno, valid in `done` */
    bio_done_fn *done; /* called once, in any context */
    void *priv;        /* the submitter's */
    struct list link;  /* the driver's while in flight */
};

struct blkdev_ops {
    /* Takes the bio; always completes it by bio->done, maybe before returning. */
    void (*submit)(struct blkdev *dev, struct bio *bio);
};

struct blkdev {
    const struct blkdev_ops *ops;
    char name[16];       /* vda, vdb, ...; partitions vda1, ... */
    uint64_t sectors;    /* size in units of 512 bytes */
    uint32_t block_size; /* the device's logical block, bytes */
    bool read_only;
    void *priv;            /* the driver's */
    struct blkdev *parent; /* of a partition, else NULL */
    uint64_t start;        /* a partition's first sector on the parent */
    char label[37];        /* GPT partition name, "" if none */
    struct list link;
};

/*
 * Adds a device, reads its GPT if it has one and adds the partitions. The device
 * is there even if that fails. At boot, one at a time; never removed. Sleeps.
 */
int blkdev_register(struct blkdev *dev);
/* Calls fn for each device and partition in order of registration until it returns non-zero. */
int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg);
/*
 * -EIO beyond the end, -EROFS for a write to a read-only device, -EINVAL for
 * pieces that are not whole blocks; else goes to the driver. A partition's
 * `sector` is rewritten to the disk's.
 */
void blkdev_submit(struct blkdev *dev, struct bio *bio);
/* Bytes that all devices were asked to read, or to write (BIO_READ, BIO_WRITE), since boot. */
uint64_t blkdev_bytes(enum bio_op op);
/*
 * Reads or writes `n` bytes at byte offset `off`, both multiples of the block
 * size; `buf` is memory of the direct map (kmalloc, pages), not the stack.
 * Sleeps. 0 or -errno.
 */
int blkdev_read(struct blkdev *dev, uint64_t off, void *buf, size_t n);
int blkdev_write(struct blkdev *dev, uint64_t off, const void *buf, size_t n);
int blkdev_flush(struct blkdev *dev);
