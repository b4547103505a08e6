/* SPDX-License-Identifier: Apache-2.0 */
/* ITIMER_REAL: one kernel timer that sends SIGALRM. Lock: itimer_lock, for changes by threads. */
#include "proc/itimer.h"

#include "proc/signal.h"
#include "sched/clock.h"
#include "sched/mutex.h"
#include "sched/timer.h"

static void fire(struct timer *t);

static struct timer timer = {.fn = fire};
static uint64_t interval;
static struct mutex itimer_lock = MUTEX_INIT(itimer_lock);

static void fire(struct timer *t)
{
    if (interval)
        timer_arm(t, t->deadline + interval);
    signal_kernel(SIGALRM);
}

void itimer_get(struct itimer_state *out)
{
    uint64_t now = clock_now(), deadline = timer.deadline;
    out->interval = interval;
    out->value = !timer.armed ? 0 : deadline > now ? deadline - now : 1;
}

void itimer_set(const struct itimer_state *new, struct itimer_state *old)
{
    mutex_lock(&itimer_lock);
    itimer_get(old);
    timer_cancel(&timer);
    interval = new->value ? new->interval : 0;
    if (new->value)
        timer_arm(&timer, clock_now() + new->value);
    mutex_unlock(&itimer_lock);
}
