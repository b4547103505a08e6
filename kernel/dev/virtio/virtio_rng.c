/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio entropy device (virtio 1.2 §5.4): seeds core/random.h at boot, when the
 * answer is waited for briefly, and every ten minutes from then on.
 * Main struct: rng. Lock: rng.lock (interrupts off) around the queue.
 */
#include <errno.h>

#include "core/log.h"
#include "core/random.h"
#include "core/spinlock.h"
#include "dev/virtio/virtio.h"
#include "arch/x86_64/layout.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "sched/timer.h"

#define SEED_BYTES    64
#define BOOT_WAIT     (50 * NSEC_PER_SEC / 1000)
#define RESEED_PERIOD (600 * NSEC_PER_SEC)

struct rng {
    struct spinlock lock;
    struct virtq *vq;
    struct timer timer;
    uint8_t seed[SEED_BYTES]; /* the device writes it */
};

/* Asks for the next bytes. */
static int rng_ask(struct rng *rng)
{
    struct virtq_seg seg = {virt_to_phys(rng->seed), SEED_BYTES};
    irqflags_t flags = spin_lock_irq(&rng->lock);
    int err = virtq_add(rng->vq, &seg, 0, 1, rng);
    if (!err)
        virtio_kick(rng->vq);
    spin_unlock_irq(&rng->lock, flags);
    return err;
}

/* Takes an answer that is there; true if one was. */
static bool rng_take(struct rng *rng)
{
    uint32_t n = 0;
    irqflags_t flags = spin_lock_irq(&rng->lock);
    bool got = virtq_pop(rng->vq, &n) != NULL;
    if (got)
        random_seed(rng->seed, n, n * 8);
    bool broken = rng->vq->broken;
    spin_unlock_irq(&rng->lock, flags);
    if (broken)
        virtio_break(rng->vq->vdev);
    return got;
}

static void rng_done(struct virtq *vq)
{
    struct rng *rng = vq->owner;
    while (rng_take(rng) || virtq_irq_enable(vq))
        ;
}

static void rng_timer(struct timer *t)
{
    struct rng *rng = CONTAINER_OF(t, struct rng, timer);
    if (rng_ask(rng) != -EIO)
        timer_arm(t, clock_now() + RESEED_PERIOD);
}

static int rng_probe(struct virtio_device *vdev)
{
    struct rng *rng = kzalloc(sizeof *rng);
    if (!rng)
        return -ENOMEM;
    int err = virtio_queue_create(vdev, 0, 4, rng_done, rng, &rng->vq);
    if (err) {
        kfree(rng);
        return err;
    }
    virtio_ready(vdev);
    rng_ask(rng);
    for (uint64_t end = clock_now() + BOOT_WAIT; !rng_take(rng) && !random_ready();) {
        if (vdev->broken || clock_now() > end) {
            log_warn("%s: no entropy within %u ms", vdev->name, (unsigned)(BOOT_WAIT / 1000000));
            break;
        }
        cpu_relax();
    }
    timer_init(&rng->timer, rng_timer);
    timer_arm(&rng->timer, clock_now() + RESEED_PERIOD);
    return 0;
}

const struct virtio_driver virtio_rng_driver = {.id = VIRTIO_ID_RNG, .probe = rng_probe};
