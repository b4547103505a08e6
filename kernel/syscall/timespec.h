/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the program's structures as nanoseconds of ours. */
#pragma once

#include <linux/errno.h>
#include <linux/time_types.h>

#include "sched/clock.h"
#include "vm/uaccess.h"

/* -EINVAL for negative or denormal values; what does not fit is CLOCK_NEVER - 1. */
static inline int timespec_to_ns(const struct __kernel_timespec *ts, uint64_t *ns)
{
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (long long)NSEC_PER_SEC)
        return -EINVAL;
    bool huge = (uint64_t)ts->tv_sec >= CLOCK_NEVER / NSEC_PER_SEC / 2;
    *ns = huge ? CLOCK_NEVER / 2 : (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
    return 0;
}

static inline int timespec_from_user(uint64_t *ns, struct uptr p)
{
    struct __kernel_timespec ts;
    return copy_from_user(&ts, p, sizeof ts) ? -EFAULT : timespec_to_ns(&ts, ns);
}

static inline int timespec_to_user(struct uptr p, uint64_t ns)
{
    struct __kernel_timespec ts = {(long long)(ns / NSEC_PER_SEC), (long long)(ns % NSEC_PER_SEC)};
    return copy_to_user(p, &ts, sizeof ts);
}

/* A relative time from now on. */
static inline int deadline_from_user(uint64_t *deadline, struct uptr p)
{
    uint64_t ns;
    int err = timespec_from_user(&ns, p);
    if (!err)
        *deadline = clock_now() + ns;
    return err;
}
