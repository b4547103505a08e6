/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a tree by deadline on each CPU, and the local timer programmed for
 * the first. Lock: each queue's, interrupts off; fn runs outside it.
 */
#include "sched/timer.h"

#include "arch/x86_64/upcalls.h"
#include "core/spinlock.h"
#include "sched/clock.h"

struct timer_queue {
    struct spinlock lock;
    struct rb_root root;
    struct timer *first;
    struct timer *volatile running; /* whose fn runs now */
};

static struct timer_queue queues[CPU_MAX];

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    t->fn = fn;
    t->cpu = 0;
    t->armed = false;
}

static void queue_program(const struct timer_queue *q)
{
    clock_program(q->first ? q->first->deadline : CLOCK_NEVER);
}

static void queue_add(struct timer_queue *q, struct timer *t)
{
    struct rb_node *parent = NULL, **link = &q->root.node;
    while (*link) {
        parent = *link;
        bool before = t->deadline < RB_ENTRY(parent, struct timer, node)->deadline;
        link = before ? &parent->left : &parent->right;
    }
    rb_link(&t->node, parent, link);
    rb_insert(&q->root, &t->node);
    t->armed = true;
    if (!q->first || t->deadline < q->first->deadline)
        q->first = t;
}

static void queue_remove(struct timer_queue *q, struct timer *t)
{
    if (q->first == t) {
        struct rb_node *next = rb_next(&t->node);
        q->first = next ? RB_ENTRY(next, struct timer, node) : NULL;
    }
    rb_remove(&q->root, &t->node);
    t->armed = false;
}

bool timer_cancel(struct timer *t)
{
    struct timer_queue *q = &queues[t->cpu];
    irqflags_t flags = spin_lock_irq(&q->lock);
    bool was = t->armed;
    if (was)
        queue_remove(q, t); /* an interrupt that finds nothing due costs less than reprogramming */
    spin_unlock_irq(&q->lock, flags);
    while (q->running == t && t->cpu != percpu()->id)
        cpu_relax();
    return was;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct timer_queue *old = &queues[t->cpu];
    irqflags_t flags = spin_lock_irq(&old->lock);
    if (t->armed)
        queue_remove(old, t);
    spin_unlock_raw(&old->lock);
    t->cpu = percpu()->id;
    t->deadline = deadline;
    struct timer_queue *q = &queues[t->cpu];
    spin_lock_raw(&q->lock);
    queue_add(q, t);
    if (q->first == t && !q->running)
        queue_program(q);
    spin_unlock_irq(&q->lock, flags);
}

void timer_restart(void)
{
    struct timer_queue *q = &queues[percpu()->id];
    irqflags_t flags = spin_lock_irq(&q->lock);
    queue_program(q);
    spin_unlock_irq(&q->lock, flags);
}

void timer_interrupt(void)
{
    struct timer_queue *q = &queues[percpu()->id];
    spin_lock_raw(&q->lock);
    while (q->first && q->first->deadline <= clock_now()) {
        struct timer *t = q->first;
        queue_remove(q, t);
        q->running = t;
        spin_unlock_raw(&q->lock);
        t->fn(t);
        spin_lock_raw(&q->lock);
        q->running = NULL;
    }
    queue_program(q);
    spin_unlock_raw(&q->lock);
}
