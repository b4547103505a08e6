/* SPDX-License-Identifier: Apache-2.0 */
/* Boot modules as block devices: see ramdisk.h. Requests are done at once, so nothing is locked. */
#include "dev/ramdisk.h"

#include <errno.h>

#include "arch/x86_64/layout.h"
#include "dev/blkdev.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define SECTOR 512

static unsigned count;

static void ramdisk_submit(struct blkdev *dev, struct bio *bio)
{
    char *at = (char *)dev->priv + bio->sector * SECTOR;
    bio->status = 0;
    for (unsigned i = 0; i < bio->count && bio->op != BIO_FLUSH; i++) {
        if (bio->op == BIO_READ)
            memcpy(bio->vec[i].data, at, bio->vec[i].len);
        else
            memcpy(at, bio->vec[i].data, bio->vec[i].len);
        at += bio->vec[i].len;
    }
    bio_complete(bio);
}

int ramdisk_register(paddr_t start, size_t size)
{
    static const struct blkdev_ops ops = {.submit = ramdisk_submit};
    if (size < SECTOR)
        return 0;
    struct blkdev *dev = kzalloc(sizeof *dev);
    if (!dev)
        return -ENOMEM;
    *dev = (struct blkdev){.ops = &ops,
                           .sectors = size / SECTOR,
                           .block_size = SECTOR,
                           .durable = true,
                           .priv = phys_to_virt(start)};
    snprintf(dev->name, sizeof dev->name, "ram%u", count++);
    return blkdev_register(dev);
}
