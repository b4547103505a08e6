/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request engine of disk controllers with numbered command slots (NVMe, AHCI):
 * bios wait until a slot is free, go to the device in parts, are tried again where
 * that may help, and do not wait for ever. A command that takes too long, or whatever
 * else the driver tells by ioq_host_wake(), makes the controller's thread call `attend`, which
 * resets the controller: ioq_stop(), ioq_retry(), then ioq_resume() or ioq_kill().
 *
 * Lock: ioq.lock (interrupts off) for everything of one queue and what the driver
 * has for it; bios are completed outside it. It may be held while a timer is armed or
 * a thread is woken.
 */
#pragma once

#include "core/spinlock.h"
#include "dev/bio_part.h"
#include "sched/timer.h"
#include "sched/waitq.h"

#define IOQ_SLOTS   64
#define IOQ_TIMEOUT (30ull * 1000000000) /* ns that a command may take */

struct ioq;

/* A controller. */
struct ioq_host {
    void (*attend)(struct ioq_host *h); /* something happened; may sleep */
    /* It has given up: it will not answer. Any context. NULL: nobody knows. */
    bool (*fatal)(struct ioq_host *h);
    bool wanted; /* atomic: `attend` is */
    struct waitq wait;
    struct list queues;
};

struct ioq_ops {
    /*
     * Gives q->slot[slot] to the device. 0; -EAGAIN: not now, but after something else
     * is done; another -errno ends the bio. Under the lock.
     */
    int (*start)(struct ioq *q, unsigned slot);
    /* Some were started. NULL: nothing to do. Under the lock. */
    void (*kick)(struct ioq *q);
};

struct ioq_slot {
    struct bio_part part;
    uint64_t deadline; /* while the device has it */
};

struct ioq {
    const struct ioq_ops *ops;
    struct ioq_host *host;
    struct spinlock lock;
    struct list waiting;             /* bios without a slot */
    uint64_t free, pending, running; /* slots, a bit each; pending: `start` has to be called */
    bool stopped, dead;
    bool watched; /* the timer is armed */
    struct timer timer;
    struct list link; /* of host->queues */
    struct ioq_slot slot[IOQ_SLOTS];
};

/* `attend` and `fatal` are set. */
void ioq_host_init(struct ioq_host *h);
/* Starts its thread, before the first bio. -ENOMEM. */
int ioq_host_start(struct ioq_host *h, const char *name);
/* Makes its thread call `attend` soon. Any context. */
void ioq_host_wake(struct ioq_host *h);

/* A queue with slots 0 .. depth - 1. */
void ioq_init(struct ioq *q, struct ioq_host *h, const struct ioq_ops *ops, unsigned depth);
/* It has this many slots from now on; before the first bio. */
void ioq_set_depth(struct ioq *q, unsigned depth);
/* Completes the bio by bio_complete() some time. Any context. */
void ioq_submit(struct ioq *q, struct bio *bio);

/*
 * For interrupt handlers, in this order under the lock: each command that is done with
 * its status (-EAGAIN: to be tried again), then the next ones; what collects in `done`
 * is completed by ioq_complete() without it. False: the device does not have that slot.
 */
bool ioq_done(struct ioq *q, unsigned slot, int status, struct list *done);
void ioq_dispatch(struct ioq *q, struct list *done);
void ioq_complete(struct list *done);

/* A command of it takes too long, or the controller has given up. */
bool ioq_stuck(struct ioq *q);
/* Nothing is started from now on. */
void ioq_stop(struct ioq *q);
/*
 * The device has forgotten its commands, all of which were started by ioq_dispatch():
 * they are tried again, or fail with -EIO after a few times; one that took too long gets
 * one more try.
 */
void ioq_retry(struct ioq *q);
void ioq_resume(struct ioq *q);
/* The device is gone: all bios, and those to come, fail with -EIO. */
void ioq_kill(struct ioq *q);

/*
 * Waits until `ready` says so, at least `ms`: 0 or -ETIMEDOUT. Sleeps; also while timers
 * do not run yet.
 */
int ioq_wait_for(bool (*ready)(void *arg), void *arg, unsigned ms);
