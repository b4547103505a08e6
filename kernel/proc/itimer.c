/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers: SIGALRM by the clock, SIGVTALRM and SIGPROF by the process's
 * CPU time (time in the kernel counts for both). Lock: itimer_lock, for changes.
 */
#include "proc/itimer.h"

#include <linux/time.h>

#include "proc/cputimer.h"
#include "proc/signal.h"
#include "sched/mutex.h"

static struct ticker real;
static struct cpu_timer by_cpu[2]; /* ITIMER_VIRTUAL, ITIMER_PROF */
static bool ready;
static struct mutex itimer_lock = MUTEX_INIT(itimer_lock);

static void real_fired(struct ticker *t)
{
    if (ticker_take(t))
        signal_kernel(SIGALRM);
}

static void virtual_fired(struct cpu_timer *t)
{
    (void)t;
    signal_kernel(SIGVTALRM);
}

static void prof_fired(struct cpu_timer *t)
{
    (void)t;
    signal_kernel(SIGPROF);
}

static void init_locked(void)
{
    if (ready)
        return;
    ticker_init(&real, false, real_fired);
    cpu_timer_init(&by_cpu[0], 0, virtual_fired);
    cpu_timer_init(&by_cpu[1], 0, prof_fired);
    ready = true;
}

void itimer_get(int which, struct ticker_time *out)
{
    mutex_lock(&itimer_lock);
    init_locked();
    if (which == ITIMER_REAL)
        ticker_get(&real, out);
    else
        cpu_timer_get(&by_cpu[which - ITIMER_VIRTUAL], out);
    mutex_unlock(&itimer_lock);
}

void itimer_set(int which, const struct ticker_time *new, struct ticker_time *old)
{
    mutex_lock(&itimer_lock);
    init_locked();
    if (which == ITIMER_REAL)
        ticker_set(&real, new, false, old);
    else
        cpu_timer_set(&by_cpu[which - ITIMER_VIRTUAL], new, false, old);
    mutex_unlock(&itimer_lock);
}
