/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in for dev/blkdev.c: requests are answered at once from memory. */
#include "fake_blkdev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned fake_blk_reads;
uint64_t fake_blk_sectors;
uint64_t fake_blk_bad = UINT64_MAX;
static struct blkdev *only;

void fake_blkdev_init(struct blkdev *dev, void *image, size_t bytes)
{
    *dev =
        (struct blkdev){.name = "fake", .sectors = bytes / 512, .block_size = 512, .priv = image};
    only = dev;
    fake_blk_reads = 0;
    fake_blk_sectors = 0;
    fake_blk_bad = UINT64_MAX;
}

void *fake_image_load(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        abort();
    }
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    void *image = malloc(*bytes);
    if (!image || fread(image, 1, *bytes, f) != *bytes)
        abort();
    fclose(f);
    return image;
}

int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg)
{
    return only ? fn(only, arg) : 0;
}

void blkdev_submit(struct blkdev *dev, struct bio *bio)
{
    uint64_t at = bio->sector;
    bio->status = 0;
    fake_blk_reads++;
    for (unsigned i = 0; i < bio->count && !bio->status; i++) {
        uint64_t n = bio->vec[i].len / 512;
        if (at + n > dev->sectors || (fake_blk_bad >= at && fake_blk_bad < at + n))
            bio->status = -EIO;
        else
            memcpy(bio->vec[i].data, (char *)dev->priv + at * 512, bio->vec[i].len);
        fake_blk_sectors += n;
        at += n;
    }
    bio->done(bio);
}

int blkdev_read(struct blkdev *dev, uint64_t off, void *buf, size_t n)
{
    if (off + n > dev->sectors * 512)
        return -EIO;
    memcpy(buf, (char *)dev->priv + off, n);
    return 0;
}
