/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of virtio disks: see diskq.h for the main struct (diskq) and its lock. */
#include "dev/virtio/diskq.h"

#include <errno.h>

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "dev/topology.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"

#define TRIES_MAX   8
#define ANSWER_NONE 0xff /* what an answer holds that the device has not written */

/* The bio is done; it is completed when the lock is released. */
static void bio_finish(struct bio *bio, int status, struct list *done)
{
    bio->status = status;
    list_add_tail(done, &bio->link);
}

static void complete_all(struct list *done)
{
    for (struct list *l; (l = list_pop_head(done)) != NULL;)
        bio_complete(LIST_ENTRY(l, struct bio, link));
}

static void request_free(struct diskq *q, struct diskq_request *r)
{
    r->part.bio = NULL;
    r->free = q->free;
    q->free = r;
}

/* A request that is not in use, or NULL; those that never were need no list. */
static struct diskq_request *request_take(struct diskq *q)
{
    struct diskq_request *r = q->free;
    if (r) {
        q->free = r->free;
    } else if (q->fresh) {
        r = (void *)((char *)q->requests + --q->fresh * q->stride);
        r->answer = (uint8_t *)r + q->stride - q->type->answer_size;
    }
    return r;
}

/* Puts the request's next part on the ring. */
static int request_start(struct diskq *q, struct diskq_request *r)
{
    const struct diskq_type *type = q->type;
    struct bio_seg data[BIO_VECS];
    struct virtq_seg seg[BIO_VECS + 3];
    bool reads = bio_reads(r->part.bio);
    unsigned n = 0, count = bio_part_fill(&r->part, data, q->seg_max, 0), out;
    memset(r->answer, ANSWER_NONE, type->answer_size);
    r->extra.len = 0;
    uint32_t head = type->prepare(r);
    struct virtq_seg answer = {virt_to_phys(r->answer), type->answer_size};

    seg[n++] = (struct virtq_seg){virt_to_phys(r->head), head};
    for (unsigned i = 0; !reads && i < count; i++)
        seg[n++] = (struct virtq_seg){data[i].addr, data[i].len};
    if (r->extra.len)
        seg[n++] = r->extra;
    out = n;
    if (type->answer_first)
        seg[n++] = answer;
    for (unsigned i = 0; reads && i < count; i++)
        seg[n++] = (struct virtq_seg){data[i].addr, data[i].len};
    if (!type->answer_first)
        seg[n++] = answer;
    return virtq_add(q->vq, seg, out, n - out, r);
}

/* Starts waiting bios as far as there is room. */
static void dispatch(struct diskq *q, struct list *done)
{
    while (!list_empty(&q->waiting)) {
        struct bio *bio = LIST_ENTRY(q->waiting.next, struct bio, link);
        struct diskq_request *r = request_take(q);
        if (!r)
            break;
        bio_part_begin(&r->part, bio);
        int err = request_start(q, r);
        if (err)
            request_free(q, r);
        if (err == -EAGAIN)
            break;
        list_remove(&bio->link);
        if (err)
            bio_finish(bio, err, done);
    }
    virtio_kick(q->vq);
}

/* The device used the request: goes on with the rest of the bio, or ends it. */
static void request_done(struct diskq *q, struct diskq_request *r, uint32_t written,
                         struct list *done)
{
    struct bio *bio = r->part.bio;
    int status = q->type->result(r, written);
    bool more =
        status == -EAGAIN ? ++r->part.tries < TRIES_MAX : !status && bio_part_advance(&r->part);
    if (more) {
        status = request_start(q, r); /* its own descriptors were just given back */
        if (!status)
            return;
    }
    if (status)
        bio->sector = r->part.sector;
    request_free(q, r);
    bio_finish(bio, status == -EAGAIN ? -EIO : status, done);
}

static void queue_done(struct virtq *vq)
{
    struct diskq *q = vq->owner;
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    do { /* ends: nobody adds to `waiting` meanwhile */
        struct diskq_request *r;
        uint32_t written;
        while ((r = virtq_pop(vq, &written)) != NULL)
            request_done(q, r, written, &done);
        dispatch(q, &done);
    } while (virtq_irq_enable(vq));
    bool broken = vq->broken;
    spin_unlock_irq(&q->lock, flags);
    complete_all(&done);
    if (broken)
        virtio_break(vq->vdev);
}

void diskqs_submit(struct diskqs *qs, struct bio *bio)
{
    struct diskq *q = &qs->q[qs->count > 1 ? percpu()->id % qs->count : 0]; /* any is right */
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    list_add_tail(&q->waiting, &bio->link);
    dispatch(q, &done);
    spin_unlock_irq(&q->lock, flags);
    complete_all(&done);
}

/* Other requests that end meanwhile are forgotten with everything else of this machine. */
static int emergency_wait(struct diskq *q, const struct diskq_request *want, uint32_t *written)
{
    uint64_t begin = cpu_tsc(), patience = 2 * clock_tsc_hz();
    const struct diskq_request *r = NULL;
    while (r != want && !q->vq->broken && cpu_tsc() - begin < patience) {
        r = virtq_pop(q->vq, written);
        if (!r)
            cpu_relax();
    }
    return r == want ? 0 : q->vq->broken ? -EIO : -ETIMEDOUT;
}

int diskqs_emergency(struct diskqs *qs, struct bio *bio)
{
    unsigned i = 0;
    uint32_t written = 0;
    while (i < qs->count && qs->q[i].lock.held)
        i++;
    if (i == qs->count)
        return -EBUSY;
    struct diskq *q = &qs->q[i];
    struct diskq_request *r = request_take(q);
    if (!r)
        return -EBUSY;
    bio_part_begin(&r->part, bio);
    int err = request_start(q, r);
    if (err)
        return err;
    virtio_kick(q->vq);
    err = emergency_wait(q, r, &written);
    if (!err)
        err = q->type->result(r, written);
    if (!err && bio->op == BIO_WRITE && r->part.bytes != bio->vec[0].len)
        err = -EIO; /* the device takes no more at once */
    request_free(q, r);
    return err;
}

void diskqs_broken(struct diskqs *qs)
{
    struct list done = LIST_INIT(done);
    for (unsigned i = 0; i < qs->count; i++) {
        struct diskq *q = &qs->q[i];
        irqflags_t flags = spin_lock_irq(&q->lock);
        for (struct diskq_request *r; (r = virtq_take(q->vq)) != NULL;) {
            bio_finish(r->part.bio, -EIO, &done);
            request_free(q, r);
        }
        for (struct list *l; (l = list_pop_head(&q->waiting)) != NULL;)
            bio_finish(LIST_ENTRY(l, struct bio, link), -EIO, &done);
        spin_unlock_irq(&q->lock, flags);
    }
    complete_all(&done);
}

static int diskq_init(struct diskq *q, struct virtio_device *vdev, unsigned index, unsigned size,
                      unsigned seg_max)
{
    const struct diskq_type *type = q->type;
    q->stride =
        ALIGN_UP(sizeof(struct diskq_request) + type->head_size + type->answer_size + 7, (size_t)8);
    list_init(&q->waiting);
    int err = virtio_queue_create(vdev, index, size, queue_done, q, &q->vq);
    if (err)
        return err;
    unsigned num = q->vq->ring.num, count = num / 2; /* no request takes fewer descriptors */
    if (num < 4)
        return -EINVAL;
    q->seg_max = MIN(MIN(MAX(seg_max, 1u), (unsigned)BIO_VECS), num - 3);
    q->requests = kmalloc(count * q->stride);
    q->fresh = count;
    return q->requests ? 0 : -ENOMEM;
}

int diskqs_create(struct virtio_device *vdev, unsigned first, unsigned offered, unsigned size,
                  unsigned seg_max, const struct diskq_type *type, struct diskqs **out)
{
    unsigned count = MIN(offered, VIRTIO_QUEUES_MAX - first);
    count = count > 1 ? MIN(count, cpu_present()) : 1;
    struct diskqs *qs = *out = kzalloc(sizeof *qs + count * sizeof qs->q[0]);
    if (!qs)
        return -ENOMEM;
    int err = 0;
    for (; qs->count < count && !err; qs->count++) {
        qs->q[qs->count].type = type;
        err = diskq_init(&qs->q[qs->count], vdev, first + qs->count, size, seg_max);
    }
    return err;
}

void diskqs_destroy(struct diskqs *qs)
{
    for (unsigned i = 0; qs && i < qs->count; i++)
        kfree(qs->q[i].requests);
    kfree(qs);
}
