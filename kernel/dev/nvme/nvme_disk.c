/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: what they are, and their block devices (main struct: nvme_disk), which
 * stay. Nothing that a namespace says of itself is believed before it is possible.
 */
#include "dev/nvme/nvme_disk.h"

#include <errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "core/log.h"
#include "dev/nvme/nvme.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define IDENTIFY_NAMESPACE 0
#define IDENTIFY_ACTIVE    2
#define DISKS_MAX          1024 /* ids that a list has */

/* Of the namespace's data (§5.15.2.1, figure 245). */
#define NS_BLOCKS          0   /* 8 bytes */
#define NS_FORMAT          26  /* the one in use */
#define NS_ATTRIBUTES      99  /* bit 0: write protected */
#define NS_FORMATS         128 /* 4 bytes each */
#define FORMAT_METADATA(f) ((f)&0xffff)
#define FORMAT_SHIFT(f)    ((f) >> 16 & 0xff)

static int identify(struct nvme *nvme, uint32_t nsid, uint32_t what, void *page)
{
    struct nvme_command c = {
        .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = virt_to_phys(page), .dw10 = what};
    memset(page, 0, PAGE_SIZE);
    return nvme_admin(nvme, &c, NULL);
}

static void disk_submit(struct blkdev *dev, struct bio *bio)
{
    struct nvme_disk *disk = dev->priv;
    struct nvme *nvme = disk->nvme;
    if (bio->op == BIO_FLUSH && !nvme->cache) {
        bio->status = 0;
        bio_complete(bio);
        return;
    }
    ioq_submit(&nvme->queue[percpu()->id % nvme->queue_count]->q, bio); /* any is right */
}

static const struct blkdev_ops disk_ops = {.submit = disk_submit};

/* Fills the device from the namespace's data. -EINVAL: an impossible one, or one we cannot use. */
static int disk_fill(struct nvme_disk *disk, const uint8_t *data)
{
    struct nvme *nvme = disk->nvme;
    struct blkdev *dev = &disk->dev;
    uint32_t format;
    uint64_t blocks;
    memcpy(&blocks, data + NS_BLOCKS, sizeof blocks);
    memcpy(&format, data + NS_FORMATS + 4 * (data[NS_FORMAT] & 15), sizeof format);
    unsigned shift = FORMAT_SHIFT(format);
    if (!blocks || shift < 9 || shift > PAGE_SHIFT || blocks > (uint64_t)INT64_MAX >> shift ||
        FORMAT_METADATA(format)) {
        log_error("%s: namespace %u is not used: %llu blocks of 2^%u bytes, %u of metadata",
                  nvme->name, disk->nsid, (unsigned long long)blocks, shift,
                  FORMAT_METADATA(format));
        return -EINVAL;
    }
    uint64_t sectors = 1ull << (shift - 9);
    disk->shift = shift;
    dev->block_size = 1u << shift;
    dev->sectors = blocks * sectors;
    dev->transfer_max = nvme->transfer_max;
    dev->discard_max = nvme->deallocates ? NVME_RANGE_BLOCKS * sectors : 0;
    dev->zeroes_max =
        nvme->zeroes ? MIN(NVME_ZERO_BLOCKS * sectors, (uint64_t)nvme->transfer_max / 512) : 0;
    dev->read_only = data[NS_ATTRIBUTES] & 1;
    dev->durable = nvme->cache;
    dev->ops = &disk_ops;
    dev->priv = disk;
    return 0;
}

static struct nvme_disk *disk_of(struct nvme *nvme, uint32_t nsid)
{
    LIST_FOR_EACH(l, &nvme->disks)
    {
        struct nvme_disk *disk = LIST_ENTRY(l, struct nvme_disk, link);
        if (disk->nsid == nsid)
            return disk;
    }
    return NULL;
}

/* A known one may have another size. */
static void disk_measure(struct nvme_disk *known, const struct nvme_disk *now)
{
    known->seen = now->shift == known->shift; /* else it is another disk */
    if (known->seen)
        blkdev_resize(&known->dev, now->dev.sectors);
}

static int disk_look(struct nvme *nvme, uint32_t nsid, uint8_t *page)
{
    static const uint8_t nothing[NS_FORMATS];
    struct nvme_disk *known = disk_of(nvme, nsid);
    int err = identify(nvme, nsid, IDENTIFY_NAMESPACE, page);
    if (err || !memcmp(page, nothing, sizeof nothing))
        return err; /* an id without a namespace */
    struct nvme_disk *disk = kzalloc(sizeof *disk);
    if (!disk)
        return -ENOMEM;
    disk->nvme = nvme;
    disk->nsid = nsid;
    disk->seen = disk->arrived = true;
    if (disk_fill(disk, page)) {
        kfree(disk);
        return 0;
    }
    if (known) {
        disk_measure(known, disk);
        kfree(disk);
        return 0;
    }
    snprintf(disk->dev.name, sizeof disk->dev.name, "%.8sn%u", nvme->name,
             ++nvme->disk_count % 10000);
    list_add_tail(&nvme->disks, &disk->link);
    return 0;
}

/* Ids of the active namespaces; those of old controllers, which have no list, are 1, 2, ... */
static unsigned ids_read(struct nvme *nvme, uint32_t *ids)
{
    unsigned n = 0;
    if (!identify(nvme, 0, IDENTIFY_ACTIVE, ids)) {
        while (n < DISKS_MAX && ids[n] && (!n || ids[n] > ids[n - 1]))
            n++;
        return n;
    }
    for (; n < MIN(nvme->ns_count, (uint32_t)DISKS_MAX); n++)
        ids[n] = n + 1;
    return n;
}

int nvme_disks_find(struct nvme *nvme)
{
    struct page *ids_page = page_alloc(0), *page = page_alloc(0);
    int err = ids_page && page ? 0 : -ENOMEM;
    unsigned count = err ? 0 : ids_read(nvme, page_address(ids_page));
    LIST_FOR_EACH(l, &nvme->disks)
    LIST_ENTRY(l, struct nvme_disk, link)->seen = err != 0;
    for (unsigned i = 0; i < count && !err; i++)
        err = disk_look(nvme, ((uint32_t *)page_address(ids_page))[i], page_address(page));
    if (ids_page)
        page_put(ids_page);
    if (page)
        page_put(page);
    return err;
}

/* The next disk that came, or that (*gone) is not there any more; NULL: none. */
static struct nvme_disk *unsettled_next(struct nvme *nvme, bool *gone)
{
    LIST_FOR_EACH(l, &nvme->disks)
    {
        struct nvme_disk *disk = LIST_ENTRY(l, struct nvme_disk, link);
        *gone = disk->registered && !disk->seen;
        if (!disk->arrived && !*gone)
            continue;
        if (*gone)
            list_remove(&disk->link); /* it stays in memory: somebody may have it mounted */
        disk->arrived = false;
        disk->registered = !*gone;
        return disk;
    }
    return NULL;
}

void nvme_disks_settle(struct nvme *nvme)
{
    for (;;) {
        bool gone;
        mutex_lock(&nvme->admin_lock);
        struct nvme_disk *disk = nvme->dead ? NULL : unsettled_next(nvme, &gone);
        mutex_unlock(&nvme->admin_lock);
        if (!disk)
            return;
        struct blkdev *dev = &disk->dev;
        int err = 0;
        if (gone)
            blkdev_unregister(dev);
        else
            err = blkdev_register(dev);
        if (err) /* only its partition table: the disk itself is there */
            log_warn("%s: partitions not read: error %d", dev->name, -err);
        else
            log_info("%s: %llu sectors, %u queues%s", dev->name, (unsigned long long)dev->sectors,
                     nvme->queue_count, gone ? "; removed" : "");
    }
}
