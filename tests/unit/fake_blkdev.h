/* SPDX-License-Identifier: Apache-2.0 */
/* A block device over an image in the test's memory, which can keep a log of what is written. */
#pragma once

#include "dev/blkdev.h"

extern unsigned fake_blk_reads;  /* bios submitted that read */
extern unsigned fake_blk_writes; /* and that write */
extern unsigned fake_blk_flushes;
extern uint64_t fake_blk_sectors;     /* sectors read */
extern uint64_t fake_blk_discarded;   /* bytes */
extern uint64_t fake_blk_bad;         /* this sector gives -EIO; UINT64_MAX: none */
extern int fake_blk_write_fail_after; /* the next write after this many fails; negative: none */

/* The image stays the caller's. */
void fake_blkdev_init(struct blkdev *dev, void *image, size_t bytes);
/* Reads a file whole; aborts when it cannot. */
void *fake_image_load(const char *path, size_t *bytes);

/* A write, or a flush (bytes 0): everything before it is on the disk. */
struct fake_blk_event {
    uint64_t sector;
    size_t bytes;
    void *data;
};
/* The log of what was written since fake_blk_log_start(); freed by fake_blk_log_end(). */
extern struct fake_blk_event *fake_blk_log;
extern size_t fake_blk_log_count;
void fake_blk_log_start(void);
void fake_blk_log_stop(void); /* keeps what is there */
void fake_blk_log_end(void);
