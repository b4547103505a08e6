/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and sleeping. */
#include <linux/errno.h>
#include <linux/time.h>
#include <linux/times.h>

#include "lib/string.h"
#include "proc/itimer.h"
#include "proc/process.h"
#include "proc/restart.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

#define TICKS_PER_SEC 100
/* A negative clock id names one thread's or process's CPU clock (clock_getcpuclockid(3)). */
#define CPUCLOCK_PID(id)   (~(id) >> 3)
#define CPUCLOCK_PERTHREAD 4

static int cpu_clock(int id, uint64_t *ns)
{
    int tid = CPUCLOCK_PID(id);
    if ((id & 3) == 3)
        return -EINVAL;
    if (!(id & CPUCLOCK_PERTHREAD)) {
        if (tid && tid != PROCESS_PID)
            return -EINVAL;
        *ns = process_cpu_time();
        return 0;
    }
    irqflags_t flags = spin_lock_irq(&process.lock);
    const struct task *t = tid ? task_find_locked(tid) : task_current();
    if (t)
        *ns = thread_cpu_time(t->thread);
    spin_unlock_irq(&process.lock, flags);
    return t ? 0 : -EINVAL;
}

static int clock_read(int id, uint64_t *ns)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = clock_wall();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = clock_now();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *ns = process_cpu_time();
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = thread_cpu_time(thread_current());
        return 0;
    default:
        return id < 0 ? cpu_clock(id, ns) : -EINVAL;
    }
}

long sys_clock_gettime(int clock, struct uptr ts)
{
    uint64_t ns;
    int err = clock_read(clock, &ns);
    return err ? err : timespec_to_user(ts, ns);
}

long sys_clock_getres(int clock, struct uptr ts)
{
    uint64_t ns;
    int err = clock_read(clock, &ns);
    bool coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    return err || uptr_null(ts) ? err : timespec_to_user(ts, coarse ? 4000000 : 1);
}

long sys_clock_settime(int clock, struct uptr ts)
{
    uint64_t ns;
    int err = timespec_from_user(&ns, ts);
    if (clock != CLOCK_REALTIME)
        return -EINVAL;
    if (err)
        return err;
    if (!process_privileged())
        return -EPERM;
    clock_set_wall(ns);
    return 0;
}

long sys_gettimeofday(struct uptr tv, struct uptr tz)
{
    uint64_t ns = clock_wall();
    const struct timeval now = {(long)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC / 1000)};
    const struct timezone utc = {0, 0};
    if (!uptr_null(tv) && copy_to_user(tv, &now, sizeof now))
        return -EFAULT;
    return uptr_null(tz) ? 0 : copy_to_user(tz, &utc, sizeof utc);
}

long sys_time(struct uptr out)
{
    int64_t seconds = (int64_t)(clock_wall() / NSEC_PER_SEC);
    if (!uptr_null(out) && copy_to_user(out, &seconds, sizeof seconds))
        return -EFAULT;
    return seconds;
}

long sys_times(struct uptr buf)
{
    const struct tms t = {.tms_utime = (long)(process_cpu_time() / (NSEC_PER_SEC / TICKS_PER_SEC))};
    if (!uptr_null(buf) && copy_to_user(buf, &t, sizeof t))
        return -EFAULT;
    return (long)(clock_now() / (NSEC_PER_SEC / TICKS_PER_SEC));
}

/* Interrupted by a signal: -EINTR with time left; else 0. */
static int sleep_until(uint64_t deadline)
{
    int err = 0;
    while (!err && clock_now() < deadline) {
        thread_prepare_sleep();
        err = thread_block(deadline, true);
        if (err == -ETIMEDOUT)
            err = 0;
    }
    return err;
}

static long sleep_restart(struct restart *r)
{
    int err = sleep_until(r->deadline);
    if (!err)
        return 0;
    uint64_t now = clock_now(), left = r->deadline > now ? r->deadline - now : 0;
    if (r->arg[0] && timespec_to_user((struct uptr){r->arg[0]}, left))
        return -EFAULT;
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_for(uint64_t ns, struct uptr remain)
{
    struct restart r = {sleep_restart, clock_now() + ns, {remain.addr, 0, 0, 0}};
    long err = sleep_restart(&r);
    if (err == -ERESTART_RESTARTBLOCK)
        task_current()->restart = r;
    return err;
}

long sys_nanosleep(struct uptr request, struct uptr remain)
{
    uint64_t ns;
    int err = timespec_from_user(&ns, request);
    return err ? err : sleep_for(ns, remain);
}

long sys_clock_nanosleep(int clock, unsigned flags, struct uptr request, struct uptr remain)
{
    uint64_t ns, now;
    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return -EINVAL;
    if (clock_read(clock, &now))
        return -EINVAL;
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0 || clock == CLOCK_MONOTONIC_RAW ||
        clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    int err = timespec_from_user(&ns, request);
    if (err)
        return err;
    if (!(flags & TIMER_ABSTIME))
        return sleep_for(ns, remain);
    if (ns <= now)
        return 0;
    err = sleep_until(clock_now() + (ns - now));
    return err ? -514 : 0; /* ERESTARTNOHAND: the moment stays the same */
}

static uint64_t timeval_ns(const struct __kernel_old_timeval *tv)
{
    uint64_t s = MIN((uint64_t)tv->tv_sec, CLOCK_NEVER / NSEC_PER_SEC / 4);
    return s * NSEC_PER_SEC + (uint64_t)tv->tv_usec * 1000;
}

static bool timeval_valid(const struct __kernel_old_timeval *tv)
{
    return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static long itimer_to_user(struct uptr p, const struct itimer_state *s)
{
    struct __kernel_old_itimerval v = {
        .it_interval = {(long)(s->interval / NSEC_PER_SEC),
                        (long)(s->interval % NSEC_PER_SEC / 1000)},
        .it_value = {(long)(s->value / NSEC_PER_SEC), (long)(s->value % NSEC_PER_SEC / 1000)},
    };
    return copy_to_user(p, &v, sizeof v);
}

long sys_getitimer(int which, struct uptr value)
{
    struct itimer_state s;
    if (which != ITIMER_REAL)
        return -EINVAL;
    itimer_get(&s);
    return itimer_to_user(value, &s);
}

long sys_setitimer(int which, struct uptr new, struct uptr old)
{
    struct itimer_state s = {0, 0}, before;
    struct __kernel_old_itimerval v;
    if (!uptr_null(new)) {
        if (copy_from_user(&v, new, sizeof v))
            return -EFAULT;
        if (!timeval_valid(&v.it_value) || !timeval_valid(&v.it_interval))
            return -EINVAL;
        s = (struct itimer_state){timeval_ns(&v.it_value), timeval_ns(&v.it_interval)};
    }
    if (which != ITIMER_REAL)
        return -EINVAL;
    itimer_set(&s, &before);
    return uptr_null(old) ? 0 : itimer_to_user(old, &before);
}

long sys_alarm(unsigned seconds)
{
    struct itimer_state s = {seconds * NSEC_PER_SEC, 0}, before;
    itimer_set(&s, &before);
    uint64_t left = (before.value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
    return before.value && !left ? 1 : (long)left;
}
