/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX timers: see ptimer.h. Locks: `changing` (a mutex) for create, set and
 * delete; `lock`, a leaf with interrupts off, for the list and for what a firing
 * and the delivery of its signal share.
 */
#include "proc/ptimer.h"

#include <asm/signal.h>
#include <linux/errno.h>

#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/cputimer.h"
#include "proc/process.h"
#include "sched/mutex.h"

#define OVERRUN_MAX INT32_MAX

struct ptimer {
    struct list link;
    int id;
    struct ptimer_spec spec;
    union {
        struct ticker ticker;
        struct cpu_timer cpu;
    };
    bool queued;      /* its signal waits to be taken */
    uint64_t overrun; /* firings since then */
    uint64_t overrun_last;
};

static struct spinlock lock;
static struct list timers = LIST_INIT(timers);
static unsigned count;
static int next_id;
static struct mutex changing = MUTEX_INIT(changing);

static struct ptimer *find(int id)
{
    LIST_FOR_EACH(l, &timers)
    if (LIST_ENTRY(l, struct ptimer, link)->id == id)
        return LIST_ENTRY(l, struct ptimer, link);
    return NULL;
}

/* It fired n times. */
static void fired(struct ptimer *t, uint64_t n)
{
    if (!n || !t->spec.signal)
        return;
    irqflags_t flags = spin_lock_irq(&lock);
    bool send = !t->queued;
    t->overrun = send ? n - 1 : t->overrun + n;
    t->queued = true;
    spin_unlock_irq(&lock, flags);
    if (!send)
        return;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = t->spec.signal;
    info.si_code = SI_TIMER;
    info.si_tid = t->id;
    info.si_value = t->spec.value;
    info.si_sys_private = 1;
    bool lost = t->spec.tid ? signal_send_tid(t->spec.tid, t->spec.signal, &info)
                            : signal_send(NULL, t->spec.signal, &info);
    if (lost)
        t->queued = false; /* the next firing tries again */
}

void ptimer_taken(siginfo_t *info)
{
    irqflags_t flags = spin_lock_irq(&lock);
    struct ptimer *t = find(info->si_tid);
    if (t) {
        t->queued = false;
        t->overrun_last = MIN(t->overrun, (uint64_t)OVERRUN_MAX);
        info->si_overrun = (int)t->overrun_last;
    }
    spin_unlock_irq(&lock, flags);
    info->si_sys_private = 0;
}

static void ticker_fired(struct ticker *t)
{
    fired(CONTAINER_OF(t, struct ptimer, ticker), ticker_take(t));
}

static void cpu_fired(struct cpu_timer *t)
{
    fired(CONTAINER_OF(t, struct ptimer, cpu), cpu_timer_take(t));
}

int ptimer_create(const struct ptimer_spec *spec)
{
    struct ptimer *t = kzalloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    t->spec = *spec;
    if (spec->cpu)
        cpu_timer_init(&t->cpu, spec->owner, cpu_fired);
    else
        ticker_init(&t->ticker, spec->wall, ticker_fired);
    mutex_lock(&changing);
    irqflags_t flags = spin_lock_irq(&lock);
    bool room = count < process.limits[RLIMIT_SIGPENDING].soft;
    if (room) {
        while (find(next_id))
            next_id = (next_id + 1) & INT32_MAX;
        t->id = next_id;
        next_id = (next_id + 1) & INT32_MAX;
        if (spec->own_value)
            t->spec.value.sival_int = t->id;
        list_add_tail(&timers, &t->link);
        count++;
    }
    spin_unlock_irq(&lock, flags);
    mutex_unlock(&changing);
    if (room)
        return t->id;
    if (!spec->cpu)
        ticker_fini(&t->ticker);
    kfree(t);
    return -EAGAIN;
}

int ptimer_delete(int id)
{
    mutex_lock(&changing);
    struct ptimer *t = find(id);
    if (t) {
        if (t->spec.cpu)
            cpu_timer_fini(&t->cpu);
        else
            ticker_fini(&t->ticker);
        irqflags_t flags = spin_lock_irq(&lock);
        list_remove(&t->link);
        count--;
        spin_unlock_irq(&lock, flags);
        kfree(t);
    }
    mutex_unlock(&changing);
    return t ? 0 : -EINVAL;
}

int ptimer_set(int id, const struct ticker_time *new, bool absolute, struct ticker_time *old)
{
    mutex_lock(&changing);
    struct ptimer *t = find(id);
    if (t && t->spec.cpu)
        cpu_timer_set(&t->cpu, new, absolute, old);
    else if (t)
        ticker_set(&t->ticker, new, absolute, old);
    mutex_unlock(&changing);
    return t ? 0 : -EINVAL;
}

int ptimer_get(int id, struct ticker_time *out)
{
    mutex_lock(&changing);
    struct ptimer *t = find(id);
    if (t && t->spec.cpu)
        cpu_timer_get(&t->cpu, out);
    else if (t)
        ticker_get(&t->ticker, out);
    mutex_unlock(&changing);
    return t ? 0 : -EINVAL;
}

int ptimer_overrun(int id)
{
    irqflags_t flags = spin_lock_irq(&lock);
    const struct ptimer *t = find(id);
    int n = t ? (int)t->overrun_last : -EINVAL;
    spin_unlock_irq(&lock, flags);
    return n;
}
