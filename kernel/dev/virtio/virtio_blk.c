/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio block device (virtio 1.2 §5.2): its requests and its configuration; the
 * queues are diskq.h's. Main struct: blk; set up once, so it has no lock.
 */
#include <errno.h>
#include <linux/virtio_blk.h>

#include "core/log.h"
#include "dev/virtio/diskq.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define QUEUE_SIZE 128

struct blk {
    struct blkdev dev;
    struct virtio_device *vdev;
    struct diskqs *queues;
};

/* What the device reads: with the range only for a discard and for zeroes (§5.2.6). */
struct blk_head {
    struct virtio_blk_outhdr head;
    struct virtio_blk_discard_write_zeroes range;
};

static unsigned disk_count;

static unsigned blk_prepare(struct diskq_request *r)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
                                     VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
    struct blk_head *h = (void *)r->head;
    enum bio_op op = r->part.bio->op;
    h->head = (struct virtio_blk_outhdr){.type = types[op]};
    if (op == BIO_READ || op == BIO_WRITE)
        h->head.sector = r->part.sector;
    if (op != BIO_DISCARD && op != BIO_ZEROES)
        return sizeof h->head;
    h->range = (struct virtio_blk_discard_write_zeroes){
        .sector = r->part.sector, .num_sectors = (uint32_t)r->part.bio->sectors};
    return sizeof *h;
}

static int blk_result(struct diskq_request *r, uint32_t written)
{
    (void)written; /* a status that was not written is no status */
    switch (r->answer[0]) {
    case VIRTIO_BLK_S_OK:
        return 0;
    case VIRTIO_BLK_S_UNSUPP:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

static const struct diskq_type blk_type = {
    .head_size = sizeof(struct blk_head),
    .answer_size = 1,
    .prepare = blk_prepare,
    .result = blk_result,
};

static void blk_submit(struct blkdev *dev, struct bio *bio)
{
    struct blk *blk = dev->priv;
    if (bio->op == BIO_FLUSH && !virtio_has(blk->vdev, VIRTIO_BLK_F_FLUSH)) {
        bio->status = 0; /* no volatile cache (§5.2.5.2) */
        bio_complete(bio);
        return;
    }
    diskqs_submit(blk->queues, bio);
}

static int blk_emergency(struct blkdev *dev, struct bio *bio)
{
    struct blk *blk = dev->priv;
    if (bio->op == BIO_FLUSH && !virtio_has(blk->vdev, VIRTIO_BLK_F_FLUSH))
        return 0;
    return diskqs_emergency(blk->queues, bio);
}

static const struct blkdev_ops blk_ops = {.submit = blk_submit, .emergency = blk_emergency};

static void blk_broken(struct virtio_device *vdev)
{
    struct blk *blk = vdev->priv;
    if (blk)
        diskqs_broken(blk->queues);
}

static uint64_t blk_capacity(struct virtio_device *vdev)
{
    return virtio_config_u64(vdev, offsetof(struct virtio_blk_config, capacity));
}

static void blk_config_changed(struct virtio_device *vdev)
{
    struct blk *blk = vdev->priv;
    uint64_t sectors = blk_capacity(vdev);
    if (sectors <= UINT64_MAX / 512)
        blkdev_resize(&blk->dev, sectors);
}

static uint32_t blk_config32(struct virtio_device *vdev, unsigned feature, unsigned offset,
                             uint32_t otherwise)
{
    return virtio_has(vdev, feature) ? virtio_config_u32(vdev, offset) : otherwise;
}

static int blk_configure(struct blk *blk)
{
    struct virtio_device *vdev = blk->vdev;
    struct blkdev *dev = &blk->dev;
    dev->sectors = blk_capacity(vdev);
    dev->block_size = blk_config32(vdev, VIRTIO_BLK_F_BLK_SIZE,
                                   offsetof(struct virtio_blk_config, blk_size), 512);
    if (dev->block_size < 512 || dev->block_size > PAGE_SIZE ||
        dev->block_size & (dev->block_size - 1) || dev->sectors > UINT64_MAX / 512) {
        log_error("%s: impossible disk: %llu sectors, blocks of %u bytes", vdev->name,
                  (unsigned long long)dev->sectors, dev->block_size);
        return -EINVAL;
    }
    dev->discard_max = blk_config32(vdev, VIRTIO_BLK_F_DISCARD,
                                    offsetof(struct virtio_blk_config, max_discard_sectors), 0);
    dev->zeroes_max = blk_config32(vdev, VIRTIO_BLK_F_WRITE_ZEROES,
                                   offsetof(struct virtio_blk_config, max_write_zeroes_sectors), 0);
    dev->read_only = virtio_has(vdev, VIRTIO_BLK_F_RO);
    dev->ops = &blk_ops;
    dev->priv = blk;
    return 0;
}

static int blk_probe(struct virtio_device *vdev)
{
    struct blk *blk = kzalloc(sizeof *blk);
    if (!blk)
        return -ENOMEM;
    blk->vdev = vdev;
    int err = blk_configure(blk);
    if (err)
        goto failed;
    unsigned offered = virtio_has(vdev, VIRTIO_BLK_F_MQ)
                           ? virtio_config_u16(vdev, offsetof(struct virtio_blk_config, num_queues))
                           : 1;
    uint32_t seg_max =
        blk_config32(vdev, VIRTIO_BLK_F_SEG_MAX, offsetof(struct virtio_blk_config, seg_max), 1);
    err = diskqs_create(vdev, 0, offered, QUEUE_SIZE, seg_max, &blk_type, &blk->queues);
    if (err)
        goto failed;
    blkdev_set_name(&blk->dev, "vd", disk_count++);
    vdev->priv = blk;
    virtio_ready(vdev);
    err = blkdev_register(&blk->dev);
    if (err) /* only its partition table: the disk itself is there */
        log_warn("%s: partitions of %s not read: error %d", vdev->name, blk->dev.name, -err);
    return 0;

failed:
    diskqs_destroy(blk->queues);
    kfree(blk);
    return err;
}

const struct virtio_driver virtio_blk_driver = {
    .id = VIRTIO_ID_BLOCK,
    .features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_RO |
                1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH |
                1ull << VIRTIO_BLK_F_MQ | 1ull << VIRTIO_BLK_F_DISCARD |
                1ull << VIRTIO_BLK_F_WRITE_ZEROES,
    .probe = blk_probe,
    .broken = blk_broken,
    .config_changed = blk_config_changed,
};
