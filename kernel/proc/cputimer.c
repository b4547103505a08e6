/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU clocks and their timers: see cputimer.h. Lock: `lock`, interrupts off,
 * before process.lock and a timer queue's. The kernel timer `check` looks at all
 * armed timers; a switch to a thread of the program sets it going again.
 */
#include "proc/cputimer.h"

#include <linux/errno.h>
#include <linux/time.h>

#include "proc/process.h"
#include "proc/task.h"
#include "sched/clock.h"

/* A negative clock id names one thread's or process's CPU clock (clock_getcpuclockid(3)). */
#define CPUCLOCK_PID(id)   (~(id) >> 3)
#define CPUCLOCK_PERTHREAD 4

#define CHECK_MIN 250000     /* ns between two looks */
#define CHECK_MAX 1000000000 /* the same */

static void check_fire(struct timer *t);

static struct spinlock lock;
static struct list armed = LIST_INIT(armed);
static struct timer check = {.fn = check_fire};
static uint64_t check_after = CHECK_MIN; /* what the last look found */
static uint64_t check_used;              /* the process's CPU time then */

int cpu_clock_owner(int clock)
{
    uint64_t ns;
    if (clock == CLOCK_PROCESS_CPUTIME_ID)
        return 0;
    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return task_current()->tid;
    if (clock >= 0 || (clock & 3) == 3)
        return -EINVAL;
    int id = CPUCLOCK_PID(clock);
    if (!(clock & CPUCLOCK_PERTHREAD))
        return id && id != PROCESS_PID ? -EINVAL : 0;
    if (!id)
        return task_current()->tid;
    return cpu_clock_read(id, &ns) ? -EINVAL : id;
}

int cpu_clock_read(int owner, uint64_t *ns)
{
    if (!owner) {
        *ns = process_cpu_time();
        return 0;
    }
    irqflags_t flags = spin_lock_irq(&process.lock);
    const struct task *t = task_find_locked(owner);
    if (t)
        *ns = thread_cpu_time(t->thread);
    spin_unlock_irq(&process.lock, flags);
    return t ? 0 : -EINVAL;
}

/* Lets one timer fire if it is due; ns until it could be due at the earliest. */
static uint64_t timer_look(struct cpu_timer *t)
{
    uint64_t now;
    if (cpu_clock_read(t->owner, &now))
        return CHECK_MAX; /* its thread has ended: never */
    if (now >= t->next) {
        uint64_t n = t->interval ? 1 + (now - t->next) / t->interval : 1;
        t->count += n;
        t->next += n * t->interval;
        if (!t->interval)
            list_remove(&t->link);
        t->fn(t);
        if (!t->interval)
            return CHECK_MAX;
    }
    return (t->next - now) / (t->owner ? 1 : cpu_count());
}

static void check_fire(struct timer *timer)
{
    spin_lock_raw(&lock);
    uint64_t after = CHECK_MAX, used = process_cpu_time();
    LIST_FOR_EACH_SAFE(l, &armed)
    after = MIN(after, timer_look(LIST_ENTRY(l, struct cpu_timer, link)));
    check_after = MAX(after, (uint64_t)CHECK_MIN);
    bool idle = used == check_used;
    check_used = used;
    if (!list_empty(&armed) && !idle)
        timer_arm(timer, clock_now() + check_after);
    spin_unlock_raw(&lock);
}

/* A thread of the program comes onto this CPU. */
static void switched(void)
{
    if (check.armed || list_empty(&armed))
        return;
    irqflags_t flags = spin_lock_irq(&lock);
    if (!check.armed)
        timer_arm(&check, clock_now() + check_after);
    spin_unlock_irq(&lock, flags);
}

void cpu_timer_init(struct cpu_timer *t, int owner, void (*fn)(struct cpu_timer *t))
{
    *t = (struct cpu_timer){.owner = owner, .fn = fn};
    list_init(&t->link);
}

void cpu_timer_fini(struct cpu_timer *t)
{
    irqflags_t flags = spin_lock_irq(&lock);
    list_remove(&t->link);
    spin_unlock_irq(&lock, flags);
}

static void get_locked(const struct cpu_timer *t, struct ticker_time *out)
{
    uint64_t now;
    bool on = !list_empty(&t->link) && !cpu_clock_read(t->owner, &now);
    out->interval = t->interval;
    out->value = !on ? 0 : t->next > now ? t->next - now : 1;
}

void cpu_timer_get(struct cpu_timer *t, struct ticker_time *out)
{
    irqflags_t flags = spin_lock_irq(&lock);
    get_locked(t, out);
    spin_unlock_irq(&lock, flags);
}

void cpu_timer_set(struct cpu_timer *t, const struct ticker_time *new, bool absolute,
                   struct ticker_time *old)
{
    uint64_t now = 0;
    irqflags_t flags = spin_lock_irq(&lock);
    get_locked(t, old);
    list_remove(&t->link);
    cpu_clock_read(t->owner, &now);
    t->next = absolute ? new->value : now + new->value;
    t->interval = new->value ? new->interval : 0;
    t->count = 0;
    if (new->value) {
        thread_switch_hook = switched;
        list_add_tail(&armed, &t->link);
        check_after = CHECK_MIN;
        timer_arm(&check, clock_now()); /* finds out what it has to wait for */
    }
    spin_unlock_irq(&lock, flags);
}

uint64_t cpu_timer_take(struct cpu_timer *t)
{
    return __atomic_exchange_n(&t->count, 0, __ATOMIC_ACQ_REL);
}

struct sleeper {
    struct cpu_timer timer;
    struct waitq fired;
};

static void sleeper_fired(struct cpu_timer *t)
{
    waitq_wake(&CONTAINER_OF(t, struct sleeper, timer)->fired, 0);
}

int cpu_clock_sleep(int owner, uint64_t ns, bool absolute, uint64_t *left)
{
    struct sleeper s;
    struct waiter w;
    struct ticker_time rest, want = {MAX(ns, 1ul), 0};
    int err = 0;
    waitq_init(&s.fired);
    waiter_init(&w);
    cpu_timer_init(&s.timer, owner, sleeper_fired);
    cpu_timer_set(&s.timer, &want, absolute, &rest);
    for (;;) {
        waitq_add(&s.fired, &w);
        if (s.timer.count || err)
            break;
        err = thread_block(CLOCK_NEVER, true);
    }
    waitq_remove(&w);
    cpu_timer_get(&s.timer, &rest);
    cpu_timer_fini(&s.timer);
    *left = rest.value;
    return s.timer.count ? 0 : err;
}
