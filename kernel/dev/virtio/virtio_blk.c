/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio block device (virtio 1.2 §5.2): one request queue under a struct
 * blkdev. A bio waits in `waiting` until a slot and descriptors are free; one
 * with more pieces than the device takes is done in several requests, one after
 * the other. Main struct: blk. Lock: blk.lock (interrupts off); bios are
 * completed outside it.
 */
#include <errno.h>
#include <linux/virtio_blk.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "core/spinlock.h"
#include "dev/blkdev.h"
#include "dev/virtio/virtio.h"
#include "lib/fmt.h"
#include "mem/kmalloc.h"

#define QUEUE_SIZE  128
#define STATUS_NONE 0xff /* the device has not written the status */

struct blk_request {
    struct virtio_blk_outhdr head; /* the device reads it */
    uint8_t status;                /* the device writes it */
    struct bio *bio;
    unsigned first, count;    /* the bio's pieces in this request */
    uint64_t sector;          /* of the first piece */
    struct blk_request *free; /* next free one */
};

struct blk {
    struct blkdev dev;
    struct virtio_device *vdev;
    struct virtq *vq;
    struct spinlock lock;
    struct list waiting; /* bios */
    unsigned seg_max;    /* pieces a request may have */
    struct blk_request *free, *requests;
};

static unsigned disk_count;

/* The bio is done; it is completed when the lock is released. */
static void bio_finish(struct bio *bio, int status, struct list *done)
{
    bio->status = status;
    list_add_tail(done, &bio->link);
}

static void complete_all(struct list *done)
{
    for (struct list *l; (l = list_pop_head(done)) != NULL;) {
        struct bio *bio = LIST_ENTRY(l, struct bio, link);
        bio->done(bio);
    }
}

static void request_free(struct blk *blk, struct blk_request *r)
{
    r->bio = NULL;
    r->free = blk->free;
    blk->free = r;
}

/* Fills seg[] with the bio's next pieces, neighbours merged; returns the number of segments. */
static unsigned segments_fill(struct blk *blk, struct blk_request *r, struct virtq_seg *seg)
{
    struct bio *bio = r->bio;
    unsigned n = 0;
    for (r->count = 0; r->first + r->count < bio->count; r->count++) {
        const struct bio_vec *v = &bio->vec[r->first + r->count];
        paddr_t pa = virt_to_phys(v->data);
        if (n && seg[n - 1].addr + seg[n - 1].len == pa && seg[n - 1].len + v->len > v->len) {
            seg[n - 1].len += v->len;
            continue;
        }
        if (n == blk->seg_max)
            break;
        seg[n++] = (struct virtq_seg){pa, v->len};
    }
    return n;
}

/* Puts the request's next part on the ring: header, data, status (§5.2.6). */
static int request_start(struct blk *blk, struct blk_request *r)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};
    struct virtq_seg seg[BIO_VECS + 2];
    enum bio_op op = r->bio->op;
    unsigned data = op == BIO_FLUSH ? 0 : segments_fill(blk, r, seg + 1);
    r->head =
        (struct virtio_blk_outhdr){.type = types[op], .sector = op == BIO_FLUSH ? 0 : r->sector};
    r->status = STATUS_NONE;
    seg[0] = (struct virtq_seg){virt_to_phys(&r->head), sizeof r->head};
    seg[data + 1] = (struct virtq_seg){virt_to_phys(&r->status), 1};
    unsigned out = op == BIO_WRITE ? data + 1 : 1;
    return virtq_add(blk->vq, seg, out, data + 2 - out, r);
}

/* Starts waiting bios as far as there is room. */
static void dispatch(struct blk *blk, struct list *done)
{
    while (!list_empty(&blk->waiting)) {
        struct bio *bio = LIST_ENTRY(blk->waiting.next, struct bio, link);
        struct blk_request *r = blk->free;
        if (!r)
            break;
        blk->free = r->free;
        r->bio = bio;
        r->first = 0;
        r->sector = bio->sector;
        int err = request_start(blk, r);
        if (err)
            request_free(blk, r);
        if (err == -EAGAIN)
            break;
        list_remove(&bio->link);
        if (err)
            bio_finish(bio, err, done);
    }
    virtio_kick(blk->vq);
}

static int request_status(const struct blk_request *r)
{
    switch (r->status) {
    case VIRTIO_BLK_S_OK:
        return 0;
    case VIRTIO_BLK_S_UNSUPP:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

/* The device used the request: goes on with the rest of the bio, or ends it. */
static void request_done(struct blk *blk, struct blk_request *r, struct list *done)
{
    struct bio *bio = r->bio;
    int status = request_status(r);
    if (bio->op != BIO_FLUSH && !status) {
        for (unsigned i = 0; i < r->count; i++)
            r->sector += bio->vec[r->first + i].len / 512;
        r->first += r->count;
        if (r->first < bio->count) {
            status = request_start(blk, r); /* its own descriptors were just given back */
            if (!status)
                return;
        }
    }
    request_free(blk, r);
    bio_finish(bio, status == -EAGAIN ? -EIO : status, done);
}

static void blk_broken(struct virtio_device *vdev)
{
    struct blk *blk = vdev->priv;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&blk->lock);
    for (struct blk_request *r; (r = virtq_take(blk->vq)) != NULL;) {
        bio_finish(r->bio, -EIO, &done);
        request_free(blk, r);
    }
    for (struct list *l; (l = list_pop_head(&blk->waiting)) != NULL;)
        bio_finish(LIST_ENTRY(l, struct bio, link), -EIO, &done);
    spin_unlock_irq(&blk->lock, flags);
    complete_all(&done);
}

static void blk_done(struct virtq *vq)
{
    struct blk *blk = vq->owner;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&blk->lock);
    do { /* ends: nobody adds to `waiting` meanwhile */
        struct blk_request *r;
        uint32_t written;
        while ((r = virtq_pop(vq, &written)) != NULL)
            request_done(blk, r, &done);
        dispatch(blk, &done);
    } while (virtq_irq_enable(vq));
    bool broken = vq->broken;
    spin_unlock_irq(&blk->lock, flags);
    complete_all(&done);
    if (broken)
        virtio_break(blk->vdev);
}

static void blk_submit(struct blkdev *dev, struct bio *bio)
{
    struct blk *blk = dev->priv;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&blk->lock);
    if (bio->op == BIO_FLUSH && !virtio_has(blk->vdev, VIRTIO_BLK_F_FLUSH)) {
        bio_finish(bio, 0, &done); /* no volatile cache (§5.2.5.2) */
    } else {
        list_add_tail(&blk->waiting, &bio->link);
        dispatch(blk, &done);
    }
    spin_unlock_irq(&blk->lock, flags);
    complete_all(&done);
}

static const struct blkdev_ops blk_ops = {.submit = blk_submit};

static uint32_t blk_config32(struct virtio_device *vdev, unsigned feature, unsigned offset,
                             uint32_t otherwise)
{
    return virtio_has(vdev, feature) ? virtio_config_u32(vdev, offset) : otherwise;
}

static int blk_configure(struct blk *blk)
{
    struct virtio_device *vdev = blk->vdev;
    struct blkdev *dev = &blk->dev;
    dev->sectors = virtio_config_u64(vdev, offsetof(struct virtio_blk_config, capacity));
    dev->block_size = blk_config32(vdev, VIRTIO_BLK_F_BLK_SIZE,
                                   offsetof(struct virtio_blk_config, blk_size), 512);
    if (dev->block_size < 512 || dev->block_size > PAGE_SIZE ||
        dev->block_size & (dev->block_size - 1) || dev->sectors > UINT64_MAX / 512) {
        log_error("%s: impossible disk: %llu sectors, blocks of %u bytes", vdev->name,
                  (unsigned long long)dev->sectors, dev->block_size);
        return -EINVAL;
    }
    blk->seg_max =
        blk_config32(vdev, VIRTIO_BLK_F_SEG_MAX, offsetof(struct virtio_blk_config, seg_max), 1);
    blk->seg_max = MIN(MAX(blk->seg_max, 1u), (unsigned)BIO_VECS);
    if (blk->vq->ring.num < 3)
        return -EINVAL;
    blk->seg_max = MIN(blk->seg_max, blk->vq->ring.num - 2);
    dev->read_only = virtio_has(vdev, VIRTIO_BLK_F_RO);
    dev->ops = &blk_ops;
    dev->priv = blk;
    snprintf(dev->name, sizeof dev->name, "vd%c", 'a' + (int)(disk_count++ % 26));
    return 0;
}

static int blk_probe(struct virtio_device *vdev)
{
    struct blk *blk = kzalloc(sizeof *blk);
    if (!blk)
        return -ENOMEM;
    blk->vdev = vdev;
    list_init(&blk->waiting);
    int err = virtio_queue_create(vdev, 0, QUEUE_SIZE, blk_done, blk, &blk->vq);
    if (err)
        goto no_queue;
    err = blk_configure(blk);
    if (err)
        goto no_queue;
    err = -ENOMEM;
    unsigned count = blk->vq->ring.num / 2; /* no request takes fewer descriptors */
    blk->requests = kzalloc(count * sizeof *blk->requests);
    if (!blk->requests)
        goto no_queue;
    for (unsigned i = 0; i < count; i++)
        request_free(blk, &blk->requests[i]);
    vdev->priv = blk;
    virtio_ready(vdev);
    err = blkdev_register(&blk->dev);
    if (err) /* only its partition table: the disk itself is there */
        log_warn("%s: partitions of %s not read: error %d", vdev->name, blk->dev.name, -err);
    return 0;

no_queue:
    kfree(blk);
    return err;
}

const struct virtio_driver virtio_blk_driver = {
    .id = VIRTIO_ID_BLOCK,
    .features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_RO |
                1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH,
    .probe = blk_probe,
    .broken = blk_broken,
};
