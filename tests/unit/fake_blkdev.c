/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in for dev/blkdev.c: requests are answered at once from memory. */
#include "fake_blkdev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned fake_blk_reads, fake_blk_writes, fake_blk_flushes;
uint64_t fake_blk_sectors, fake_blk_discarded;
uint64_t fake_blk_bad = UINT64_MAX;
int fake_blk_write_fail_after = -1;
struct fake_blk_event *fake_blk_log;
size_t fake_blk_log_count;
static size_t log_room;
static bool logging;
static struct blkdev *only;

void fake_blkdev_init(struct blkdev *dev, void *image, size_t bytes)
{
    *dev =
        (struct blkdev){.name = "fake", .sectors = bytes / 512, .block_size = 512, .priv = image};
    only = dev;
    fake_blk_reads = fake_blk_writes = fake_blk_flushes = 0;
    fake_blk_sectors = fake_blk_discarded = 0;
    fake_blk_bad = UINT64_MAX;
    fake_blk_write_fail_after = -1;
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

static void log_add(uint64_t sector, const void *data, size_t bytes)
{
    if (!logging)
        return;
    if (fake_blk_log_count == log_room) {
        log_room = log_room ? log_room * 2 : 256;
        fake_blk_log = realloc(fake_blk_log, log_room * sizeof *fake_blk_log);
    }
    struct fake_blk_event *e = &fake_blk_log[fake_blk_log_count++];
    *e = (struct fake_blk_event){sector, bytes, bytes ? malloc(bytes) : NULL};
    if (bytes)
        memcpy(e->data, data, bytes);
}

void fake_blk_log_start(void)
{
    logging = true;
    fake_blk_log_count = 0;
}

void fake_blk_log_stop(void)
{
    logging = false;
}

void fake_blk_log_end(void)
{
    for (size_t i = 0; i < fake_blk_log_count; i++)
        free(fake_blk_log[i].data);
    free(fake_blk_log);
    fake_blk_log = NULL;
    fake_blk_log_count = log_room = 0;
    logging = false;
}

void blkdev_get(struct blkdev *dev)
{
    dev->refs++;
}

void blkdev_put(struct blkdev *dev)
{
    if (!dev->refs--)
        abort();
}

unsigned blkdev_arrivals(void)
{
    return 1;
}

int blkdev_wait(unsigned seen, uint64_t deadline)
{
    (void)seen, (void)deadline;
    return -ETIMEDOUT;
}

int blkdev_discard(struct blkdev *dev, uint64_t off, uint64_t n)
{
    if (off % dev->block_size || n % dev->block_size || (off + n) / 512 > dev->sectors)
        return -EIO;
    memset((char *)dev->priv + off, 0xdd, n); /* as bad as a device may be */
    fake_blk_discarded += n;
    return 0;
}

int blkdev_for_each(int (*fn)(struct blkdev *dev, void *arg), void *arg)
{
    return only ? fn(only, arg) : 0;
}

static int transfer(struct blkdev *dev, enum bio_op op, uint64_t at, void *data, size_t bytes)
{
    uint64_t n = bytes / 512;
    if (at + n > dev->sectors || (fake_blk_bad >= at && fake_blk_bad < at + n))
        return -EIO;
    if (op == BIO_READ) {
        memcpy(data, (char *)dev->priv + at * 512, bytes);
        fake_blk_sectors += n;
        return 0;
    }
    if (dev->read_only)
        return -EROFS;
    if (fake_blk_write_fail_after >= 0 && fake_blk_write_fail_after-- == 0) {
        fake_blk_write_fail_after = 0; /* and all that follow */
        return -EIO;
    }
    memcpy((char *)dev->priv + at * 512, data, bytes);
    log_add(at, data, bytes);
    return 0;
}

void blkdev_submit(struct blkdev *dev, struct bio *bio)
{
    uint64_t at = bio->sector;
    bio->status = 0;
    fake_blk_reads += bio->op == BIO_READ;
    fake_blk_writes += bio->op == BIO_WRITE;
    for (unsigned i = 0; i < bio->count && !bio->status; i++) {
        bio->status = transfer(dev, bio->op, at, bio->vec[i].data, bio->vec[i].len);
        at += bio->vec[i].len / 512;
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

int blkdev_write(struct blkdev *dev, uint64_t off, const void *buf, size_t n)
{
    fake_blk_writes++;
    return transfer(dev, BIO_WRITE, off / 512, (void *)(uintptr_t)buf, n);
}

int blkdev_flush(struct blkdev *dev)
{
    (void)dev;
    fake_blk_flushes++;
    log_add(0, NULL, 0);
    return 0;
}
