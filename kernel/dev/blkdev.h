/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices. A driver registers a `struct blkdev`; file systems read and
 * write through blkdev_read/blkdev_write, or submit a `struct bio` of their own.
 * Devices may come and go: who keeps a pointer holds a reference. One that has
 * gone answers -EIO.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct blkdev;
struct bio;

typedef void bio_done_fn(struct bio *bio);

enum bio_op {
    BIO_READ,
    BIO_WRITE,
    BIO_FLUSH,
    BIO_DISCARD, /* the content of the sectors is not needed any more */
    BIO_ZEROES,  /* they become zero */
    BIO_COMMAND, /* between a driver and its device only; reads into the pieces */
};

struct bio_vec {
    void *data;   /* kernel memory of the direct map: physically contiguous, `len` bytes */
    uint32_t len; /* multiple of 512 */
};

#define BIO_VECS 32

struct bio {
    enum bio_op op;
    bool durable;     /* BIO_WRITE where blkdev.durable says so: done when it is on the medium */
    uint64_t sector;  /* in units of 512 bytes, relative to the device */
    uint64_t sectors; /* BIO_DISCARD, BIO_ZEROES: how many */
    unsigned count;   /* pieces used */
    struct bio_vec vec[BIO_VECS];
    int status;         /* 0 or -errno, valid in `done` */
    bio_done_fn *done;  /* called once, in any context */
    void *priv;         /* the submitter's */
    struct blkdev *dev; /* set by blkdev_submit(): the disk */
    struct list link;   /* the driver's while in flight */
};

struct blkdev_ops {
    /* Takes the bio; always completes it by bio_complete(), maybe before returning. */
    void (*submit)(struct blkdev *dev, struct bio *bio);
    /*
     * At a panic, other CPUs stand still and interrupts are off: does a BIO_WRITE of one piece or
     * a BIO_FLUSH by polling, for a bounded time, and takes no lock that somebody holds. Nobody is
     * told by bio_complete(). 0 or -errno. NULL: it cannot.
     */
    int (*emergency)(struct blkdev *dev, struct bio *bio);
    /* Unregistered, and the last reference is gone: frees it. NULL: it stays. May sleep. */
    void (*release)(struct blkdev *dev);
};

struct blkdev {
    const struct blkdev_ops *ops;
    char name[16];         /* vda, sda, nvme0n1, ...; partitions vda1, nvme0n1p1, ... */
    uint64_t sectors;      /* size in units of 512 bytes; may change */
    uint32_t block_size;   /* the device's logical block, bytes */
    uint32_t transfer_max; /* bytes a request may carry, whole blocks; 0: any number */
    uint64_t discard_max;  /* sectors that a BIO_DISCARD may have; 0: it knows none */
    uint64_t zeroes_max;   /* the same of BIO_ZEROES */
    bool read_only;
    bool durable;          /* it knows bio.durable */
    bool gone;             /* unregistered */
    void *priv;            /* the driver's */
    struct blkdev *parent; /* of a partition, else NULL */
    uint64_t start;        /* a partition's first sector on the parent */
    char label[37];        /* GPT partition name, "" if none */
    unsigned refs;         /* atomic; the registration has one */
    unsigned errors;       /* logged so far */
    struct list link;
};

/* Names the disk: `prefix` and a letter, from 27 on two. */
void blkdev_set_name(struct blkdev *dev, const char *prefix, unsigned index);
/*
 * Adds a device, reads its GPT if it has one and adds the partitions. The device
 * is there even if that fails. Sleeps.
 */
int blkdev_register(struct blkdev *dev);
/* It is gone, with its partitions: what is submitted from now on fails. Sleeps. */
void blkdev_unregister(struct blkdev *dev);
void blkdev_get(struct blkdev *dev);
void blkdev_put(struct blkdev *dev); /* may sleep */
/*
 * The disk has another size now; logged. Partitions stay what they are, and what
 * lies behind the disk's end fails. Any context.
 */
void blkdev_resize(struct blkdev *dev, uint64_t sectors);
/*
 * Calls fn for each device and partition in order of registration until it returns
 * non-zero; none is removed meanwhile. Sleeps.
 */
int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg);
/*
 * Sleeps until blkdev_arrivals() is not `seen` any more, or till `deadline`
 * (clock_now() based): then -ETIMEDOUT.
 */
int blkdev_wait(unsigned seen, uint64_t deadline);
/* How many devices have come so far. */
unsigned blkdev_arrivals(void);
/*
 * -EIO beyond the end, -EROFS for a write to a read-only device, -EINVAL for
 * pieces that are not whole blocks, -EOPNOTSUPP for what the device does not know
 * or more of it than it takes; else goes to the driver. A partition's `sector` is
 * rewritten to the disk's.
 */
void blkdev_submit(struct blkdev *dev, struct bio *bio);
/*
 * For drivers: `status` is set, and `sector` is where it failed. Tells the submitter;
 * -EIO is logged, for the first times. Any context.
 */
void bio_complete(struct bio *bio);
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
/* At a panic, by blkdev_ops.emergency: writes and flushes, or an error and nothing is written. */
int blkdev_write_emergency(struct blkdev *dev, uint64_t off, const void *buf, size_t n);
/*
 * The bytes are not needed any more; parts of blocks at the ends are left alone.
 * -EOPNOTSUPP where the device knows no such thing. Sleeps.
 */
int blkdev_discard(struct blkdev *dev, uint64_t off, uint64_t n);
/* For BIO_COMMAND and others that know their driver: submits by `submit` and waits. */
int bio_wait(struct bio *bio, void (*submit)(struct blkdev *dev, struct bio *bio),
             struct blkdev *dev);
