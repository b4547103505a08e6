/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio balloon device (virtio 1.2 §5.5), of which only free page reporting is used: some
 * time after large blocks of memory were freed they are told to the host, which takes
 * their memory and gives zeroes when they are touched again. Everything is done by the
 * timer and the device's interrupts. Main struct: balloon. Lock: balloon.lock
 * (interrupts off); the page allocator's lock may be taken under it, not the reverse.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>

#include "core/spinlock.h"
#include "dev/virtio/virtio.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sched/waitq.h"

#define REPORTS   (1ull << VIRTIO_BALLOON_F_REPORTING)
#define HINTS     (1ull << VIRTIO_BALLOON_F_FREE_PAGE_HINT)
#define STATS     (1ull << VIRTIO_BALLOON_F_STATS_VQ)
#define BLOCKS    32                 /* told at once */
#define REST      (2 * NSEC_PER_SEC) /* that freed memory is left alone */
#define WAIT_MOST NSEC_PER_SEC       /* for blocks that are wanted back */

static struct balloon {
    struct spinlock lock;
    struct virtq *vq;
    struct timer timer;
    struct waitq given; /* back */
    unsigned count;     /* blocks that the device looks at */
    struct page *block[BLOCKS];
} * balloon;

/* Tells of the next blocks unless some are under way; later ones follow from its interrupt. */
static void report(struct balloon *b)
{
    struct virtq_seg seg[BLOCKS];
    irqflags_t flags = spin_lock_irq(&b->lock);
    unsigned n =
        b->count || b->vq->broken ? 0 : page_report_take(b->block, MIN(BLOCKS, b->vq->ring.num));
    for (unsigned i = 0; i < n; i++)
        seg[i] = (struct virtq_seg){page_paddr(b->block[i]),
                                    (uint32_t)(PAGE_SIZE << b->block[i]->order)};
    if (n && virtq_add(b->vq, seg, 0, n, b))
        page_report_give(b->block, n);
    else if (n)
        b->count = n;
    if (n)
        virtio_kick(b->vq);
    spin_unlock_irq(&b->lock, flags);
}

/* Memory that the device has looked at, or will not any more, is free again. */
static void give_back(struct balloon *b)
{
    page_report_give(b->block, b->count);
    b->count = 0;
}

static void report_done(struct virtq *vq)
{
    struct balloon *b = vq->owner;
    uint32_t n;
    irqflags_t flags = spin_lock_irq(&b->lock);
    do
        while (virtq_pop(vq, &n))
            give_back(b);
    while (virtq_irq_enable(vq));
    bool broken = vq->broken;
    spin_unlock_irq(&b->lock, flags);
    waitq_wake(&b->given, 0);
    if (broken)
        virtio_break(vq->vdev);
    else
        report(b);
}

static void report_timer(struct timer *t)
{
    report(CONTAINER_OF(t, struct balloon, timer));
}

/* Called by the page allocator, under its lock. */
static void freed(void)
{
    timer_arm(&balloon->timer, clock_now() + REST);
}

/* Somebody needs memory: what is away for a moment counts as free. */
static size_t wait_for_blocks(size_t wanted)
{
    struct balloon *b = balloon;
    struct waiter w;
    size_t away = __atomic_load_n(&b->count, __ATOMIC_ACQUIRE);
    uint64_t deadline = clock_now() + WAIT_MOST;
    int err = 0;
    (void)wanted;
    if (!away)
        return 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&b->given, &w);
        if (!__atomic_load_n(&b->count, __ATOMIC_ACQUIRE) || err)
            break;
        err = thread_block(deadline, false);
    }
    waitq_remove(&w);
    return err ? 0 : away << PAGE_REPORT_ORDER;
}

/* Reset: it does not write to them any more. */
static void balloon_broken(struct virtio_device *vdev)
{
    struct balloon *b = vdev->priv;
    irqflags_t flags = spin_lock_irq(&b->lock);
    while (virtq_take(b->vq))
        give_back(b);
    spin_unlock_irq(&b->lock, flags);
    waitq_wake(&b->given, 0);
}

/* The numbers of queues depend on what is offered, and hints would be one more. */
static uint64_t balloon_accept(uint64_t offered)
{
    return offered & HINTS ? offered & ~(HINTS | REPORTS) : offered;
}

static int balloon_probe(struct virtio_device *vdev)
{
    if (!virtio_has(vdev, VIRTIO_BALLOON_F_REPORTING) || balloon)
        return -ENODEV;
    struct balloon *b = kzalloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    /* Behind those to grow and to shrink the balloon, and the one for statistics. */
    unsigned index = virtio_has(vdev, VIRTIO_BALLOON_F_STATS_VQ) ? 3 : 2;
    int err = virtio_queue_create(vdev, index, BLOCKS, report_done, b, &b->vq);
    if (err) {
        kfree(b);
        return err;
    }
    timer_init(&b->timer, report_timer);
    waitq_init(&b->given);
    vdev->priv = balloon = b;
    virtio_ready(vdev);
    page_set_reclaim(RECLAIM_REPORTED, wait_for_blocks);
    page_report_start(freed);
    return 0;
}

const struct virtio_driver virtio_balloon_driver = {
    .id = VIRTIO_ID_BALLOON,
    .features = REPORTS | HINTS | STATS,
    .accept = balloon_accept,
    .probe = balloon_probe,
    .broken = balloon_broken,
};
