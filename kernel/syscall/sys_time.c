/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and sleeping. */
#include <linux/errno.h>
#include <linux/time.h>
#include <linux/times.h>
#include <linux/timex.h>

#include "file/wait.h"
#include "lib/string.h"
#include "proc/cputimer.h"
#include "proc/process.h"
#include "proc/restart.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

#define TICKS_PER_SEC 100
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
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = thread_cpu_time(thread_current());
        return 0;
    default:
        id = cpu_clock_owner(id);
        return id < 0 ? id : cpu_clock_read(id, ns);
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
    ticker_clock_set();
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

static long cpu_sleep_restart(struct restart *r)
{
    uint64_t left;
    int err = cpu_clock_sleep((int)r->arg[1], r->deadline, r->arg[2], &left);
    if (!err || r->arg[2])
        return err ? -ERESTARTNOHAND : 0;
    r->deadline = left;
    if (r->arg[0] && timespec_to_user((struct uptr){r->arg[0]}, left))
        return -EFAULT;
    return -ERESTART_RESTARTBLOCK;
}

/* A sleep until a CPU clock has advanced; one's own would never do so. */
static long cpu_sleep(int clock, bool absolute, uint64_t ns, struct uptr remain)
{
    int owner = cpu_clock_owner(clock);
    if (owner == task_current()->tid)
        return -EINVAL;
    struct restart r = {cpu_sleep_restart, ns, {remain.addr, (uint64_t)owner, absolute, 0}};
    long err = cpu_sleep_restart(&r);
    if (err == -ERESTART_RESTARTBLOCK)
        task_current()->restart = r;
    return err;
}

long sys_clock_nanosleep(int clock, unsigned flags, struct uptr request, struct uptr remain)
{
    uint64_t ns, now;
    bool absolute = flags & TIMER_ABSTIME;
    if (clock_read(clock, &now))
        return -EINVAL;
    if (clock == CLOCK_THREAD_CPUTIME_ID || clock == CLOCK_MONOTONIC_RAW ||
        clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    int err = timespec_from_user(&ns, request);
    if (err)
        return err;
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
        return cpu_sleep(clock, absolute, ns, remain);
    if (!absolute)
        return sleep_for(ns, remain);
    if (ns <= now)
        return 0;
    err = sleep_until(clock_now() + (ns - now));
    return err ? -ERESTARTNOHAND : 0; /* the moment stays the same */
}

/* Reading only: nobody steers this clock but the hypervisor, NTP and clock_settime(2). */
long sys_clock_adjtime(int clock, struct uptr buf)
{
    struct __kernel_timex t;
    if (copy_from_user(&t, buf, sizeof t))
        return -EFAULT;
    if (clock != CLOCK_REALTIME)
        return clock > CLOCK_TAI || clock < 0 ? -EINVAL : -EOPNOTSUPP;
    if (t.modes && t.modes != ADJ_OFFSET_SS_READ)
        return -EPERM;
    uint64_t ns = clock_wall(), error;
    bool synced = clock_is_synced(&error);
    memset(&t, 0, sizeof t);
    t.maxerror = t.esterror = synced ? (long long)(error / 1000) : 16000000;
    t.status = STA_NANO | (synced ? STA_PLL : STA_UNSYNC);
    t.offset = clock_slew_left();
    t.constant = 2;
    t.precision = 1;
    t.tolerance = 32768000;
    t.tick = 10000;
    t.time.tv_sec = (long long)(ns / NSEC_PER_SEC);
    t.time.tv_usec = (long long)(ns % NSEC_PER_SEC);
    return copy_to_user(buf, &t, sizeof t) ? -EFAULT : synced ? TIME_OK : TIME_ERROR;
}

long sys_adjtimex(struct uptr buf)
{
    return sys_clock_adjtime(CLOCK_REALTIME, buf);
}
