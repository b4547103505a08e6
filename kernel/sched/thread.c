/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: see thread.h. schedule() is the only place that switches; the
 * thread that comes next finishes the switch (thread_started, after_switch),
 * frees a dead predecessor and lets others touch the old one by clearing on_cpu.
 */
#include "sched/thread.h"

#include <linux/errno.h>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "sched/load.h"

#define SLICE (4 * 1000000ull) /* ns a thread runs before it gives way to another */

struct run_queue {
    struct spinlock lock;
    struct list ready;
    volatile unsigned count; /* threads in `ready` */
    struct thread *idle;
    uint64_t switches;
    volatile bool is_idle;
    volatile bool strays; /* `ready` may hold threads that must not run here any more */
    struct timer slice;
};

void (*thread_switch_hook)(void);
void (*thread_idle_hook)(void);

static struct run_queue queues[CPU_MAX];
static struct thread boot_idle; /* the boot CPU's; the heap does not exist yet */
static struct spinlock stacks_lock;
static uint64_t stacks_free; /* tops of free stacks, chained through their first word */

/* The kernel asks this CPU to look at its queue at the next chance. */
static void resched_here(void)
{
    __atomic_or_fetch(&percpu()->work, WORK_RESCHED, __ATOMIC_SEQ_CST);
}

static void cpu_kick(unsigned cpu, uint32_t work)
{
    struct percpu *p = percpu_of(cpu);
    __atomic_or_fetch(&p->work, work, __ATOMIC_SEQ_CST);
    if (cpu != percpu()->id)
        lapic_ipi(p->apic_id, VECTOR_RESCHED);
}

static void slice_over(struct timer *t)
{
    (void)t;
    resched_here();
}

static void queue_push(struct run_queue *q, struct thread *t)
{
    list_add_tail(&q->ready, &t->run_link);
    __atomic_add_fetch(&q->count, 1, __ATOMIC_SEQ_CST); /* before is_idle is looked at */
}

/* The next thread for this CPU; one whose stack another CPU has not left yet must wait. */
static struct thread *queue_pop(struct run_queue *q, uint64_t cpu_bit)
{
    LIST_FOR_EACH(l, &q->ready)
    {
        struct thread *t = LIST_ENTRY(l, struct thread, run_link);
        if (!(t->affinity & cpu_bit) || (t->on_cpu && t != percpu_current()))
            continue;
        list_remove(&t->run_link);
        __atomic_sub_fetch(&q->count, 1, __ATOMIC_RELAXED);
        return t;
    }
    return NULL;
}

static struct thread *queue_take(struct run_queue *q, unsigned cpu)
{
    spin_lock_raw(&q->lock);
    struct thread *t = queue_pop(q, 1ull << cpu);
    spin_unlock_raw(&q->lock);
    return t;
}

/* Where a thread that becomes runnable should go: where it was, unless busy and another is idle. */
static unsigned cpu_choose(const struct thread *t)
{
    unsigned n = cpu_count();
    if (n == 1)
        return 0;
    bool last_ok = t->affinity & 1ull << t->cpu;
    if (last_ok && queues[t->cpu].is_idle)
        return t->cpu;
    for (unsigned i = 0; i < n; i++)
        if (queues[i].is_idle && t->affinity & 1ull << i)
            return i;
    if (last_ok)
        return t->cpu;
    for (unsigned i = 0; i < n; i++)
        if (t->affinity & 1ull << i)
            return i;
    return t->cpu;
}

/* The thread's lock is held, it is runnable and off every CPU. */
static void enqueue(struct thread *t)
{
    unsigned cpu = cpu_choose(t);
    struct run_queue *q = &queues[cpu];
    t->cpu = cpu;
    spin_lock_raw(&q->lock);
    bool first = !q->count;
    queue_push(q, t);
    bool idle = q->is_idle;
    if (idle)
        q->is_idle = false; /* the next wake-up looks elsewhere */
    spin_unlock_raw(&q->lock);
    if (idle || (first && cpu != percpu()->id))
        cpu_kick(cpu, WORK_RESCHED);
    else if (first && !q->slice.armed)
        timer_arm(&q->slice, clock_now() + SLICE);
}

static void stack_free(uint64_t top)
{
    irqflags_t flags = spin_lock_irq(&stacks_lock);
    ((uint64_t *)top)[-1] = stacks_free;
    stacks_free = top;
    spin_unlock_irq(&stacks_lock, flags);
}

static uint64_t stack_alloc(void)
{
    irqflags_t flags = spin_lock_irq(&stacks_lock);
    uint64_t top = stacks_free;
    if (top)
        stacks_free = ((uint64_t *)top)[-1];
    spin_unlock_irq(&stacks_lock, flags);
    return top ? top : (uint64_t)paging_map_stack(KSTACK_PAGES);
}

static void thread_free(struct thread *t)
{
    stack_free(t->context.stack_top);
    kfree(t->context.fpu);
    kfree(t);
}

/* On the new thread's stack: the old one is off the CPU from here on. */
static void after_switch(struct thread *prev)
{
    bool dead = prev->state == THREAD_DEAD;
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    if (dead)
        thread_free(prev);
}

void thread_started(struct thread *prev);
void thread_started(struct thread *prev)
{
    after_switch(prev);
    percpu()->preempt = 0;
    irq_enable();
}

/* A thread in the queue of an idle CPU has only just come. */
unsigned thread_active(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < cpu_count(); i++)
        n += percpu_of(i)->current == queues[i].idle ? 0 : 1 + queues[i].count;
    return n;
}

uint64_t thread_switches(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < cpu_count(); i++)
        n += queues[i].switches;
    return n;
}

uint64_t thread_idle_time(unsigned cpu)
{
    return thread_cpu_time(queues[cpu].idle);
}

static struct thread *steal(unsigned self)
{
    for (unsigned i = 0, n = cpu_count(); i < n; i++) {
        if (i == self || !queues[i].count)
            continue;
        struct thread *t = queue_take(&queues[i], self);
        if (t)
            return t;
    }
    return NULL;
}

/* The running thread goes to the end of a queue: this CPU's, unless its affinity forbids that. */
static void requeue_here(struct thread *t)
{
    unsigned here = percpu()->id;
    unsigned cpu = t->affinity & 1ull << here ? here : cpu_choose(t);
    spin_lock_raw(&queues[cpu].lock);
    queue_push(&queues[cpu], t);
    spin_unlock_raw(&queues[cpu].lock);
    if (cpu != here)
        cpu_kick(cpu, WORK_RESCHED);
}

static struct thread *stray_pop(struct run_queue *q, uint64_t cpu_bit)
{
    struct thread *found = NULL;
    spin_lock_raw(&q->lock);
    LIST_FOR_EACH(l, &q->ready)
    {
        struct thread *t = LIST_ENTRY(l, struct thread, run_link);
        if (t->affinity & cpu_bit)
            continue;
        found = t;
        list_remove(&t->run_link);
        __atomic_sub_fetch(&q->count, 1, __ATOMIC_RELAXED);
        break;
    }
    spin_unlock_raw(&q->lock);
    return found;
}

/* Hands on what waits here in vain. */
static void strays_leave(struct run_queue *q)
{
    struct thread *t;
    q->strays = false;
    cpu_barrier();
    while ((t = stray_pop(q, 1ull << percpu()->id)))
        enqueue(t);
}

/* Interrupts are off. `requeue`: the caller stays runnable. */
static void schedule(bool requeue)
{
    struct percpu *p = percpu();
    struct run_queue *q = &queues[p->id];
    struct thread *prev = p->current;
    uint64_t now = clock_now();
    if (UNLIKELY(now >= load_next)) /* before anything changes */
        load_sample(now, thread_active());
    __atomic_store_n(&p->work, 0, __ATOMIC_SEQ_CST);
    if (requeue && prev != q->idle)
        requeue_here(prev);
    if (UNLIKELY(q->strays))
        strays_leave(q);
    struct thread *next = queue_take(q, p->id);
    if (!next)
        next = steal(p->id);
    if (!next)
        next = q->idle;
    if (next->interrupted || (next->wants_switches && next != prev))
        __atomic_or_fetch(&p->work, WORK_NOTIFY, __ATOMIC_SEQ_CST);
    if (next != q->idle && q->count && !q->slice.armed) /* also if none of them can run yet */
        timer_arm(&q->slice, now + SLICE);
    if (next == prev)
        return;
    q->switches++;
    prev->cpu_time += now - prev->started;
    prev->started = now;
    if (requeue)
        prev->preemptions++;
    else
        prev->switches++;
    next->started = now;
    next->cpu = p->id;
    next->on_cpu = true;
    p->current = next;
    if (prev == q->idle)
        tlb_idle_end();
    else if (next == q->idle)
        tlb_idle_begin();
    if (UNLIKELY(thread_switch_hook) && next->task)
        thread_switch_hook();
    after_switch(context_switch(&prev->context, &next->context, prev));
}

void preempt_check(void)
{
    struct percpu *p = percpu();
    if (p->preempt || p->irq_depth || !(p->work & WORK_RESCHED))
        return;
    irqflags_t flags = irq_save();
    if (percpu()->work & WORK_RESCHED)
        schedule(true);
    irq_restore(flags);
}

static void timeout(struct timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, timeout);
    t->timed_out = true;
    thread_wake(t);
}

static void thread_setup(struct thread *t, const char *name)
{
    t->affinity = UINT64_MAX;
    t->started = clock_now();
    timer_init(&t->timeout, timeout);
    list_init(&t->run_link);
    size_t n = MIN(strlen(name), sizeof t->name - 1);
    memcpy(t->name, name, n);
}

void thread_init(void)
{
    struct percpu *p = percpu();
    struct run_queue *q = &queues[p->id];
    struct thread *t = p->id ? kzalloc(sizeof *t) : &boot_idle;
    if (!t)
        panic("no memory for an idle thread");
    for (unsigned i = 0; i < CPU_MAX && !p->id; i++)
        list_init(&queues[i].ready);
    thread_setup(t, "idle");
    t->started = 0; /* a CPU that has not started has nothing to do */
    t->cpu = p->id;
    t->on_cpu = true;
    p->current = t;
    timer_init(&q->slice, slice_over);
    q->idle = t;
    p->preempt = 0;
}

void thread_idle(void)
{
    struct percpu *p = percpu();
    struct run_queue *q = &queues[p->id];
    irq_disable();
    for (;;) {
        schedule(false);
        if (thread_idle_hook)
            thread_idle_hook();
        q->is_idle = true;
        cpu_barrier();
        if (!q->count && !(p->work & WORK_RESCHED))
            cpu_idle();
        q->is_idle = false;
    }
}

int thread_create(struct thread **out, const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t = kzalloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    uint64_t top = stack_alloc();
    if (!top) {
        kfree(t);
        return -ENOMEM;
    }
    thread_setup(t, name);
    t->state = THREAD_BLOCKED;
    t->cpu = percpu()->id;
    context_init(&t->context, top, fn, arg);
    *out = t;
    return 0;
}

void thread_start(struct thread *t)
{
    thread_wake(t);
}

void thread_exit(void)
{
    struct thread *t = thread_current();
    timer_cancel(&t->timeout);
    irq_disable();
    spin_lock_raw(&t->lock); /* whoever woke us may not have let go of it yet */
    t->state = THREAD_DEAD;
    spin_unlock_raw(&t->lock);
    schedule(false);
    panic("a dead thread runs");
}

void thread_prepare_sleep(void)
{
    struct thread *t = thread_current();
    irqflags_t flags = spin_lock_irq(&t->lock);
    t->state = THREAD_SLEEPING;
    spin_unlock_irq(&t->lock, flags);
}

void thread_cancel_sleep(void)
{
    struct thread *t = thread_current();
    irqflags_t flags = spin_lock_irq(&t->lock);
    t->state = THREAD_RUNNING;
    spin_unlock_irq(&t->lock, flags);
}

int thread_block(uint64_t deadline, bool interruptible)
{
    struct thread *t = thread_current();
    if (deadline != CLOCK_NEVER) {
        t->timed_out = false;
        timer_arm(&t->timeout, deadline);
    }
    irqflags_t flags = spin_lock_irq(&t->lock);
    bool block = t->state == THREAD_SLEEPING && !(interruptible && t->interrupted);
    if (block) {
        t->state = THREAD_BLOCKED;
        t->interruptible = interruptible;
    } else {
        t->state = THREAD_RUNNING;
    }
    spin_unlock_raw(&t->lock);
    if (block)
        schedule(false);
    t->interruptible = false;
    irq_restore(flags);
    bool timed_out = false;
    if (deadline != CLOCK_NEVER) {
        timer_cancel(&t->timeout);
        timed_out = t->timed_out;
    }
    if (interruptible && t->interrupted)
        return -EINTR;
    return timed_out ? -ETIMEDOUT : 0;
}

static void wake_locked(struct thread *t)
{
    if (t->state == THREAD_SLEEPING) {
        t->state = THREAD_RUNNING;
    } else if (t->state == THREAD_BLOCKED) {
        t->state = THREAD_RUNNING;
        while (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
            cpu_relax(); /* it is just leaving its CPU, interrupts off there */
        enqueue(t);
    }
}

void thread_wake(struct thread *t)
{
    irqflags_t flags = spin_lock_irq(&t->lock);
    wake_locked(t);
    spin_unlock_irq(&t->lock, flags);
    if (flags & RFLAGS_IF && UNLIKELY(percpu()->work))
        preempt_check();
}

void thread_interrupt(struct thread *t)
{
    irqflags_t flags = spin_lock_irq(&t->lock);
    t->interrupted = true;
    if (t->state == THREAD_BLOCKED && t->interruptible)
        wake_locked(t);
    else if (t->on_cpu)
        cpu_kick(t->cpu, WORK_NOTIFY);
    spin_unlock_irq(&t->lock, flags);
}

void thread_yield(void)
{
    irqflags_t flags = irq_save();
    schedule(true);
    irq_restore(flags);
}

void thread_sleep_until(uint64_t deadline)
{
    do
        thread_prepare_sleep();
    while (thread_block(deadline, false) != -ETIMEDOUT);
}

void thread_set_affinity(struct thread *t, uint64_t cpus)
{
    __atomic_store_n(&t->affinity, cpus, __ATOMIC_SEQ_CST);
    /* It may run or wait anywhere, and move just now: every CPU looks. */
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        __atomic_store_n(&queues[cpu].strays, true, __ATOMIC_SEQ_CST);
        cpu_kick(cpu, WORK_RESCHED);
    }
    if (t == thread_current())
        preempt_check();
}

void thread_each_cpu(void (*fn)(void *arg), void *arg)
{
    struct thread *t = thread_current();
    uint64_t before = t->affinity;
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        thread_set_affinity(t, 1ull << cpu);
        while (percpu()->id != cpu)
            thread_yield();
        fn(arg);
    }
    thread_set_affinity(t, before);
}

uint64_t thread_cpu_time(const struct thread *t)
{
    return t->cpu_time + (t->on_cpu ? clock_now() - t->started : 0);
}

void thread_discard(struct thread *t)
{
    thread_free(t);
}
