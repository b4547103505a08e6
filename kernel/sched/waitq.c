/* SPDX-License-Identifier: Apache-2.0 */
/* Wait queues: see waitq.h. Lock order: queue, then thread (in thread_wake). */
#include "sched/waitq.h"

#include "sched/thread.h"

void waitq_init(struct waitq *q)
{
    q->lock = (struct spinlock)SPINLOCK_INIT;
    list_init(&q->waiters);
}

void waiter_init(struct waiter *w)
{
    list_init(&w->link);
    w->queue = NULL;
    w->thread = thread_current();
    w->wake = NULL;
    w->exclusive = false;
}

void waitq_add(struct waitq *q, struct waiter *w)
{
    if (!w->queue) {
        irqflags_t flags = spin_lock_irq(&q->lock);
        w->queue = q;
        list_add_tail(&q->waiters, &w->link);
        spin_unlock_irq(&q->lock, flags);
    }
    if (!w->wake)
        thread_prepare_sleep();
}

void waitq_remove(struct waiter *w)
{
    struct waitq *q = w->queue;
    if (q) {
        irqflags_t flags = spin_lock_irq(&q->lock);
        list_remove(&w->link);
        w->queue = NULL;
        spin_unlock_irq(&q->lock, flags);
    }
    if (!w->wake)
        thread_cancel_sleep();
}

static void wake(struct waitq *q, uint32_t events, bool one)
{
    if (list_empty(&q->waiters))
        return;
    irqflags_t flags = spin_lock_irq(&q->lock);
    LIST_FOR_EACH_SAFE(l, &q->waiters)
    {
        struct waiter *w = LIST_ENTRY(l, struct waiter, link);
        bool last = one && w->exclusive;
        if (last) { /* one wake-up, one waiter: the next wake must find another */
            list_remove(&w->link);
            list_add_tail(&q->waiters, &w->link);
        }
        if (w->wake)
            w->wake(w, events);
        else
            thread_wake(w->thread);
        if (last)
            break;
    }
    spin_unlock_irq(&q->lock, flags);
}

void waitq_wake(struct waitq *q, uint32_t events)
{
    wake(q, events, false);
}

void waitq_wake_one(struct waitq *q, uint32_t events)
{
    wake(q, events, true);
}
