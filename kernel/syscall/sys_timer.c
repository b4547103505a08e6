/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: interval timers, POSIX timers, timerfd. */
#include <asm/siginfo.h>
#include <linux/errno.h>
#include <linux/time.h>
#include <linux/timerfd.h>

#include "file/timerfd.h"
#include "proc/cputimer.h"
#include "proc/itimer.h"
#include "proc/process.h"
#include "proc/ptimer.h"
#include "proc/task.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

static uint64_t timeval_ns(const struct __kernel_old_timeval *tv)
{
    uint64_t s = MIN((uint64_t)tv->tv_sec, CLOCK_NEVER / NSEC_PER_SEC / 4);
    return s * NSEC_PER_SEC + (uint64_t)tv->tv_usec * 1000;
}

static bool timeval_valid(const struct __kernel_old_timeval *tv)
{
    return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static long itimer_to_user(struct uptr p, const struct ticker_time *s)
{
    uint64_t value = s->value && s->value < 1000 ? 1000 : s->value; /* 0 would say that it is off */
    struct __kernel_old_itimerval v = {
        .it_interval = {(long)(s->interval / NSEC_PER_SEC),
                        (long)(s->interval % NSEC_PER_SEC / 1000)},
        .it_value = {(long)(value / NSEC_PER_SEC), (long)(value % NSEC_PER_SEC / 1000)},
    };
    return copy_to_user(p, &v, sizeof v);
}

long sys_getitimer(int which, struct uptr value)
{
    struct ticker_time s;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    itimer_get(which, &s);
    return itimer_to_user(value, &s);
}

long sys_setitimer(int which, struct uptr new, struct uptr old)
{
    struct ticker_time s = {0, 0}, before;
    struct __kernel_old_itimerval v;
    if (!uptr_null(new)) {
        if (copy_from_user(&v, new, sizeof v))
            return -EFAULT;
        if (!timeval_valid(&v.it_value) || !timeval_valid(&v.it_interval))
            return -EINVAL;
        s = (struct ticker_time){timeval_ns(&v.it_value), timeval_ns(&v.it_interval)};
    }
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    itimer_set(which, &s, &before);
    return uptr_null(old) ? 0 : itimer_to_user(old, &before);
}

long sys_alarm(unsigned seconds)
{
    struct ticker_time s = {seconds * NSEC_PER_SEC, 0}, before;
    itimer_set(ITIMER_REAL, &s, &before);
    uint64_t left = (before.value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
    return before.value && !left ? 1 : (long)left;
}

static int setting_from_user(struct ticker_time *s, struct uptr p)
{
    struct __kernel_itimerspec v;
    if (copy_from_user(&v, p, sizeof v))
        return -EFAULT;
    int err = timespec_to_ns(&v.it_value, &s->value);
    return err ? err : timespec_to_ns(&v.it_interval, &s->interval);
}

static long setting_to_user(struct uptr p, const struct ticker_time *s)
{
    int err = timespec_to_user(p, s->interval);
    return err ? err : timespec_to_user(uptr_add(p, sizeof(struct __kernel_timespec)), s->value);
}

/* The clock of a timer: what the wall clock or a CPU clock is, else monotonic. */
static int timer_clock(int clock, struct ptimer_spec *spec)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_TAI:
        spec->wall = true;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        return 0;
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        spec->wall = clock == CLOCK_REALTIME_ALARM;
        return process_privileged() ? 0 : -EPERM;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_REALTIME_COARSE:
        return -EOPNOTSUPP;
    default:
        spec->cpu = true;
        spec->owner = cpu_clock_owner(clock);
        return MIN(spec->owner, 0);
    }
}

/* Who gets which signal. */
static int timer_event(struct uptr event, struct ptimer_spec *spec)
{
    struct sigevent e;
    if (uptr_null(event)) {
        spec->signal = SIGALRM;
        spec->own_value = true;
        return 0;
    }
    if (copy_from_user(&e, event, sizeof e))
        return -EFAULT;
    if (e.sigev_notify == SIGEV_NONE)
        return 0;
    if (e.sigev_notify & ~(SIGEV_THREAD | SIGEV_THREAD_ID) || e.sigev_signo < 1 ||
        e.sigev_signo > SIGNAL_COUNT)
        return -EINVAL;
    spec->signal = e.sigev_signo;
    spec->value = e.sigev_value;
    if (!(e.sigev_notify & SIGEV_THREAD_ID))
        return 0;
    spec->tid = e.sigev_notify_thread_id;
    return spec->tid <= 0 || signal_send_tid(spec->tid, 0, NULL) ? -EINVAL : 0;
}

long sys_timer_create(int clock, struct uptr event, struct uptr out)
{
    struct ptimer_spec spec = {0};
    int err = timer_clock(clock, &spec);
    if (!err)
        err = timer_event(event, &spec);
    if (err)
        return err;
    int id = ptimer_create(&spec);
    if (id < 0)
        return id;
    err = copy_to_user(out, &id, sizeof id);
    if (err)
        ptimer_delete(id);
    return err;
}

long sys_timer_settime(int id, unsigned flags, struct uptr new, struct uptr old)
{
    struct ticker_time s, before;
    if (uptr_null(new))
        return -EINVAL;
    int err = setting_from_user(&s, new);
    if (!err)
        err = ptimer_set(id, &s, flags & TIMER_ABSTIME, &before);
    return err || uptr_null(old) ? err : setting_to_user(old, &before);
}

long sys_timer_gettime(int id, struct uptr out)
{
    struct ticker_time s;
    int err = ptimer_get(id, &s);
    return err ? err : setting_to_user(out, &s);
}

long sys_timer_getoverrun(int id)
{
    return ptimer_overrun(id);
}

long sys_timer_delete(int id)
{
    return ptimer_delete(id);
}

long sys_timerfd_create(int clock, unsigned flags)
{
    struct file *f;
    bool alarm = clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
    if (flags & ~(unsigned)(TFD_CLOEXEC | TFD_NONBLOCK) ||
        (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME && !alarm))
        return -EINVAL;
    if (alarm && !process_privileged())
        return -EPERM;
    bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
    int err = timerfd_create(wall, flags & TFD_NONBLOCK, &f);
    return err ? err : file_install(f, flags & TFD_CLOEXEC);
}

long sys_timerfd_settime(int fd, unsigned flags, struct uptr new, struct uptr old)
{
    struct ticker_time s, before;
    struct file *f;
    int err = setting_from_user(&s, new);
    if (!err && flags & ~(unsigned)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
        err = -EINVAL;
    if (!err)
        err = file_of(fd, &f);
    if (err)
        return err;
    err = timerfd_set(f, &s, flags & TFD_TIMER_ABSTIME, flags & TFD_TIMER_CANCEL_ON_SET, &before);
    file_put(f);
    return err || uptr_null(old) ? err : setting_to_user(old, &before);
}

long sys_timerfd_gettime(int fd, struct uptr out)
{
    struct ticker_time s;
    struct file *f;
    int err = file_of(fd, &f);
    if (err)
        return err;
    err = timerfd_get(f, &s);
    file_put(f);
    return err ? err : setting_to_user(out, &s);
}
