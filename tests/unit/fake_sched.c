/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-ins for sched/: one thread, which never really sleeps. */
#include <errno.h>
#include <stdlib.h>

#include "sched/clock.h"
#include "sched/mutex.h"
#include "sched/thread.h"
#include "sched/ticker.h"

uint64_t fake_clock = NSEC_PER_SEC;
void (*thread_idle_hook)(void);

static struct thread self;

__attribute__((constructor)) static void run_as_self(void)
{
    fake_percpu.current = &self;
}

uint64_t clock_now(void)
{
    return fake_clock;
}

uint64_t fake_epoch = 1700000000ull * NSEC_PER_SEC; /* the wall clock when fake_clock was 0 */
int64_t fake_slew;                                  /* what it was last told to slew by */
int32_t fake_trim;

uint64_t clock_tsc_hz(void)
{
    return NSEC_PER_SEC;
}

bool clock_calibrated(void)
{
    return true;
}

uint64_t clock_wall(void)
{
    return fake_clock + fake_epoch;
}

void clock_set_wall(uint64_t wall)
{
    fake_epoch = wall - fake_clock;
    fake_slew = 0;
}

void clock_slew(int64_t ns)
{
    fake_slew = ns;
}

int64_t clock_slew_left(void)
{
    return 0;
}

void clock_trim(int32_t ppb)
{
    fake_trim = ppb;
}

void clock_set_synced(uint64_t error)
{
    (void)error;
}

void ticker_clock_set(void)
{
}

uint64_t thread_idle_time(unsigned cpu)
{
    (void)cpu;
    return fake_clock / 2;
}

void waitq_init(struct waitq *q)
{
    q->lock.held = 0;
    list_init(&q->waiters);
}

void waiter_init(struct waiter *w)
{
    *w = (struct waiter){0};
    list_init(&w->link);
}

struct waiter *fake_last_waiter;

void waitq_add(struct waitq *q, struct waiter *w)
{
    fake_last_waiter = w;
    if (w->queue)
        return;
    w->queue = q;
    list_add_tail(&q->waiters, &w->link);
}

void waitq_remove(struct waiter *w)
{
    list_remove(&w->link);
    w->queue = NULL;
}

void waitq_wake(struct waitq *q, uint32_t events)
{
    LIST_FOR_EACH_SAFE(l, &q->waiters)
    {
        struct waiter *w = LIST_ENTRY(l, struct waiter, link);
        if (w->wake)
            w->wake(w, events);
    }
}

void waitq_wake_one(struct waitq *q, uint32_t events)
{
    waitq_wake(q, events);
}

/* What happens while the thread sleeps: an interrupt, another thread; NULL: nothing does. */
void (*fake_block)(void);
int fake_block_answer; /* what that sleep answers then */

/* A test that would sleep for ever is wrong. */
int thread_block(uint64_t deadline, bool interruptible)
{
    (void)interruptible;
    if (fake_block) {
        fake_block();
        int err = fake_block_answer;
        fake_block_answer = 0;
        return err;
    }
    if (deadline == CLOCK_NEVER)
        abort();
    fake_clock = deadline;
    return -ETIMEDOUT;
}

void thread_yield(void)
{
    if (fake_block)
        fake_block();
}

void thread_sleep_until(uint64_t deadline)
{
    thread_block(deadline, false);
}

/* There is one thread only; the test may run the last one that was made. */
void (*fake_thread_fn)(void *arg);
void *fake_thread_arg;

int thread_create(struct thread **out, const char *name, void (*fn)(void *), void *arg)
{
    (void)out, (void)name;
    fake_thread_fn = fn;
    fake_thread_arg = arg;
    return 0;
}

void thread_start(struct thread *t)
{
    (void)t;
}

/* Threads of the tested code are not run to their end. */
__attribute__((weak)) void thread_exit(void)
{
    abort();
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
}

/* The test calls `fn` itself. */
void timer_arm(struct timer *t, uint64_t deadline)
{
    t->deadline = deadline;
    t->armed = true;
}

void mutex_init(struct mutex *m)
{
    m->state = 0;
    waitq_init(&m->waiters);
}

void mutex_lock(struct mutex *m)
{
    if (m->state)
        abort();
    m->state = 1;
}

bool mutex_trylock(struct mutex *m)
{
    return m->state ? false : (m->state = 1);
}

void mutex_unlock(struct mutex *m)
{
    if (!m->state)
        abort();
    m->state = 0;
}

bool mutex_held(const struct mutex *m)
{
    return m->state != 0;
}
