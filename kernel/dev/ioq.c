/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command slots of disk controllers: see ioq.h for the main structs (ioq_host, ioq)
 * and the lock. While a queue has commands under way a timer looks at them now and
 * then; during boot, when timers do not run yet, the host's thread does.
 */
#include "dev/ioq.h"

#include <errno.h>

#include "arch/x86_64/cpu.h"
#include "lib/string.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define TRIES_MAX  6
#define TRIES_SLOW 3                  /* what a command that took too long counts */
#define WATCH      (NSEC_PER_SEC * 2) /* how often commands are looked at */
#define SPINS      200                /* before a wait sleeps */
#define GUESS      5                  /* the clock's error before it is calibrated */

static uint64_t bit(unsigned slot)
{
    return 1ull << slot;
}

static unsigned first_of(uint64_t slots)
{
    return (unsigned)__builtin_ctzll(slots);
}

/* True if a command of the queue takes too long, or will never end. */
static bool queue_stuck_locked(struct ioq *q)
{
    if (!q->running || q->stopped)
        return false;
    if (q->host->fatal && q->host->fatal(q->host))
        return true;
    for (uint64_t left = q->running, now = clock_now(); left; left &= left - 1)
        if (q->slot[first_of(left)].deadline <= now)
            return true;
    return false;
}

bool ioq_stuck(struct ioq *q)
{
    irqflags_t flags = spin_lock_irq(&q->lock);
    bool stuck = queue_stuck_locked(q);
    spin_unlock_irq(&q->lock, flags);
    return stuck;
}

static void queue_watch(struct timer *t)
{
    struct ioq *q = CONTAINER_OF(t, struct ioq, timer);
    irqflags_t flags = spin_lock_irq(&q->lock);
    bool stuck = queue_stuck_locked(q);
    q->watched = q->running;
    if (q->watched)
        timer_arm(t, clock_now() + WATCH);
    spin_unlock_irq(&q->lock, flags);
    if (stuck)
        ioq_host_wake(q->host);
}

void ioq_host_wake(struct ioq_host *h)
{
    __atomic_store_n(&h->wanted, true, __ATOMIC_RELEASE);
    waitq_wake(&h->wait, 0);
}

/* While timers do not run: whether commands are under way, and (*stuck) take too long. */
static bool host_look(struct ioq_host *h, bool *stuck)
{
    bool busy = false;
    *stuck = false;
    LIST_FOR_EACH(l, &h->queues)
    {
        struct ioq *q = LIST_ENTRY(l, struct ioq, link);
        busy |= q->running != 0;
        *stuck |= ioq_stuck(q);
    }
    return busy;
}

static void host_thread(void *arg)
{
    struct ioq_host *h = arg;
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        bool stuck = false, busy = false;
        waitq_add(&h->wait, &w);
        if (!clock_calibrated())
            busy = host_look(h, &stuck);
        if (__atomic_exchange_n(&h->wanted, false, __ATOMIC_ACQ_REL) || stuck) {
            waitq_remove(&w);
            h->attend(h);
        } else if (busy) {
            waitq_remove(&w);
            thread_yield();
        } else {
            thread_block(CLOCK_NEVER, false);
        }
    }
}

void ioq_host_init(struct ioq_host *h)
{
    waitq_init(&h->wait);
    list_init(&h->queues);
}

int ioq_host_start(struct ioq_host *h, const char *name)
{
    struct thread *t = NULL;
    int err = thread_create(&t, name, host_thread, h);
    if (!err)
        thread_start(t);
    return err;
}

void ioq_set_depth(struct ioq *q, unsigned depth)
{
    depth = MIN(MAX(depth, 1u), (unsigned)IOQ_SLOTS);
    q->free = depth == 64 ? UINT64_MAX : bit(depth) - 1;
}

void ioq_init(struct ioq *q, struct ioq_host *h, const struct ioq_ops *ops, unsigned depth)
{
    *q = (struct ioq){.ops = ops, .host = h};
    list_init(&q->waiting);
    timer_init(&q->timer, queue_watch);
    ioq_set_depth(q, depth);
    list_add_tail(&h->queues, &q->link);
}

/* The bio is done; it is completed when the lock is released. */
static void bio_finish(struct bio *bio, int status, struct list *done)
{
    bio->status = status;
    list_add_tail(done, &bio->link);
}

static void slot_finish(struct ioq *q, unsigned slot, int status, struct list *done)
{
    struct bio_part *p = &q->slot[slot].part;
    struct bio *bio = p->bio;
    if (status)
        bio->sector = p->sector;
    p->bio = NULL;
    q->free |= bit(slot);
    bio_finish(bio, status, done);
}

bool ioq_done(struct ioq *q, unsigned slot, int status, struct list *done)
{
    if (slot >= IOQ_SLOTS || !(q->running & bit(slot)))
        return false;
    struct bio_part *p = &q->slot[slot].part;
    q->running &= ~bit(slot);
    if (status == -EAGAIN ? ++p->tries < TRIES_MAX : !status && bio_part_advance(p))
        q->pending |= bit(slot);
    else
        slot_finish(q, slot, status == -EAGAIN ? -EIO : status, done);
    return true;
}

/* False: it has to wait, and others with it. */
static bool slot_start(struct ioq *q, unsigned slot, struct list *done)
{
    int err = q->ops->start(q, slot);
    if (err == -EAGAIN)
        return false;
    q->pending &= ~bit(slot);
    if (err) {
        slot_finish(q, slot, err, done);
    } else {
        q->running |= bit(slot);
        q->slot[slot].deadline = clock_now() + IOQ_TIMEOUT;
    }
    return true;
}

/* The timer runs while commands do; before there are timers the thread looks. */
static void watch_locked(struct ioq *q)
{
    if (q->watched || !q->running)
        return;
    q->watched = true;
    timer_arm(&q->timer, clock_now() + WATCH);
    if (!clock_calibrated())
        waitq_wake(&q->host->wait, 0);
}

void ioq_dispatch(struct ioq *q, struct list *done)
{
    bool going = !q->stopped;
    uint64_t before = q->running;
    for (uint64_t left = q->pending; going && left; left &= left - 1)
        going = slot_start(q, first_of(left), done);
    while (going && q->free && !list_empty(&q->waiting)) {
        unsigned slot = first_of(q->free);
        q->free &= ~bit(slot);
        q->pending |= bit(slot);
        bio_part_begin(&q->slot[slot].part,
                       LIST_ENTRY(list_pop_head(&q->waiting), struct bio, link));
        going = slot_start(q, slot, done);
    }
    if (q->running != before && q->ops->kick)
        q->ops->kick(q);
    watch_locked(q);
}

void ioq_complete(struct list *done)
{
    for (struct list *l; (l = list_pop_head(done)) != NULL;)
        bio_complete(LIST_ENTRY(l, struct bio, link));
}

void ioq_submit(struct ioq *q, struct bio *bio)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    if (q->dead) {
        bio_finish(bio, -EIO, &done);
    } else {
        list_add_tail(&q->waiting, &bio->link);
        ioq_dispatch(q, &done);
    }
    spin_unlock_irq(&q->lock, flags);
    ioq_complete(&done);
}

void ioq_stop(struct ioq *q)
{
    irqflags_t flags = spin_lock_irq(&q->lock);
    q->stopped = true;
    spin_unlock_irq(&q->lock, flags);
}

void ioq_retry(struct ioq *q)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    uint64_t now = clock_now();
    for (uint64_t left = q->running; left; left &= left - 1) {
        struct ioq_slot *s = &q->slot[first_of(left)];
        if (s->deadline <= now)
            s->part.tries += TRIES_SLOW - 1;
        ioq_done(q, first_of(left), -EAGAIN, &done);
    }
    spin_unlock_irq(&q->lock, flags);
    ioq_complete(&done);
}

void ioq_resume(struct ioq *q)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    q->stopped = false;
    ioq_dispatch(q, &done);
    spin_unlock_irq(&q->lock, flags);
    ioq_complete(&done);
}

void ioq_kill(struct ioq *q)
{
    struct list done = LIST_INIT(done);
    irqflags_t flags = spin_lock_irq(&q->lock);
    q->dead = q->stopped = true;
    for (uint64_t left = q->running | q->pending; left; left &= left - 1)
        slot_finish(q, first_of(left), -EIO, &done);
    q->running = q->pending = 0;
    for (struct list *l; (l = list_pop_head(&q->waiting)) != NULL;)
        bio_finish(LIST_ENTRY(l, struct bio, link), -EIO, &done);
    spin_unlock_irq(&q->lock, flags);
    ioq_complete(&done);
}

int ioq_wait_for(bool (*ready)(void *arg), void *arg, unsigned ms)
{
    uint64_t most = (uint64_t)ms * (NSEC_PER_SEC / 1000) * (clock_calibrated() ? 1 : GUESS);
    uint64_t begin = clock_now();
    for (unsigned i = 0; !ready(arg); i++) {
        uint64_t now = clock_now();
        if (now - begin > most)
            return -ETIMEDOUT;
        if (i < SPINS)
            cpu_relax();
        else if (clock_calibrated())
            thread_sleep_until(now + NSEC_PER_SEC / 1000);
        else
            thread_yield();
    }
    return 0;
}
