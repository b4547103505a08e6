/* SPDX-License-Identifier: Apache-2.0 */
/* A block device over an image in the test's memory. */
#pragma once

#include "dev/blkdev.h"

extern unsigned fake_blk_reads;   /* bios submitted */
extern uint64_t fake_blk_sectors; /* sectors read */
extern uint64_t fake_blk_bad;     /* this sector gives -EIO; UINT64_MAX: none */

/* The image stays the caller's. */
void fake_blkdev_init(struct blkdev *dev, void *image, size_t bytes);
/* Reads a file whole; aborts when it cannot. */
void *fake_image_load(const char *path, size_t *bytes);
