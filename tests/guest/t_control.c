/* SPDX-License-Identifier: Apache-2.0 */
/* prctl, capabilities, personality, scheduling attributes, priorities of threads. */
#include "guest.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

TEST(prctl_switches)
{
    int on = -1;
    CHECK(prctl(PR_GET_KEEPCAPS) == 0 && prctl(PR_SET_KEEPCAPS, 1l) == 0);
    CHECK(prctl(PR_GET_KEEPCAPS) == 1 && prctl(PR_SET_KEEPCAPS, 0l) == 0);
    CHECK(FAILS(prctl(PR_SET_KEEPCAPS, 2l), EINVAL));
    CHECK(prctl(PR_SET_THP_DISABLE, 1l, 0l, 0l, 0l) == 0);
    CHECK(prctl(PR_GET_THP_DISABLE, 0l, 0l, 0l, 0l) == 1);
    CHECK(prctl(PR_SET_THP_DISABLE, 0l, 0l, 0l, 0l) == 0);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1l) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &on) == 0);
    CHECK(on == 1 && prctl(PR_SET_CHILD_SUBREAPER, 0l) == 0);
    CHECK(prctl(PR_GET_TSC, &on) == 0 && on == PR_TSC_ENABLE);
    CHECK(prctl(PR_GET_TIMING) == 0 && prctl(PR_SET_TIMING, 0l) == 0);
    CHECK(prctl(PR_GET_SECUREBITS) >= 0);
    CHECK(FAILS(prctl(12345), EINVAL));
}

TEST(prctl_names)
{
    char name[16];
    CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a name that is "));
    CHECK(FAILS(prctl(PR_GET_NAME, 8l), EFAULT));
}

TEST(prctl_capabilities)
{
    CHECK(prctl(PR_CAPBSET_READ, (long)CAP_CHOWN) >= 0);
    CHECK(FAILS(prctl(PR_CAPBSET_READ, 63l), EINVAL));
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, (long)CAP_CHOWN, 0l, 0l) == 0);
    CHECK(FAILS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 63l, 0l, 0l), EINVAL));
    CHECK(FAILS(prctl(PR_CAP_AMBIENT, 9l, 1l, 0l, 0l), EINVAL));
    CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0l, 0l, 0l) == 0);
}

TEST(capget_versions)
{
    struct __user_cap_header_struct h = {0, 0};
    struct __user_cap_data_struct d[2];
    CHECK(syscall(SYS_capget, &h, NULL) == 0 && h.version == _LINUX_CAPABILITY_VERSION_3);
    CHECK(syscall(SYS_capget, &h, d) == 0 && (d[0].effective & ~d[0].permitted) == 0);
    h.version = 7;
    CHECK(FAILS(syscall(SYS_capget, &h, d), EINVAL) && h.version == _LINUX_CAPABILITY_VERSION_3);
    h.pid = 999999;
    CHECK(FAILS(syscall(SYS_capget, &h, d), ESRCH));
    h.pid = -1;
    CHECK(FAILS(syscall(SYS_capget, &h, d), EINVAL));
    CHECK(FAILS(syscall(SYS_capget, NULL, d), EFAULT));
}

TEST(capset_drops)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2], now[2], less[2];
    CHECK(syscall(SYS_capget, &h, d) == 0);
    memcpy(less, d, sizeof d);
    less[0].effective &= ~(1u << CAP_NET_RAW);
    CHECK(syscall(SYS_capset, &h, less) == 0);
    CHECK(syscall(SYS_capget, &h, now) == 0 && !memcmp(now, less, sizeof now));
    CHECK(syscall(SYS_capset, &h, d) == 0);
    less[0].permitted = less[0].effective = d[0].permitted & ~(1u << CAP_AUDIT_WRITE);
    CHECK(syscall(SYS_capset, &h, less) == 0);
    if (d[0].permitted & 1u << CAP_AUDIT_WRITE)
        CHECK(FAILS(syscall(SYS_capset, &h, d), EPERM)); /* what is gone is gone */
    h.pid = 1;
    CHECK(FAILS(syscall(SYS_capset, &h, less), EPERM));
}

TEST(personality_is_kept)
{
    int old = personality(0xffffffff);
    CHECK(old >= 0 && personality((unsigned long)old | ADDR_NO_RANDOMIZE) == old);
    CHECK(personality((unsigned long)old) == (old | ADDR_NO_RANDOMIZE));
}

TEST(names_of_the_machine)
{
    char name[70];
    CHECK(gethostname(name, sizeof name) == 0);
    CHECK(FAILS(sethostname(name, 65), EINVAL));
    CHECK(FAILS(syscall(SYS_setdomainname, name, -1), EINVAL));
}

/* linux/sched/types.h and libc's headers do not go together. */
struct sched_attr {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};
#define SCHED_ATTR_SIZE_VER0 48

TEST(sched_attributes)
{
    struct sched_attr a;
    CHECK(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0);
    CHECK(a.size >= SCHED_ATTR_SIZE_VER0 && a.sched_policy == SCHED_OTHER &&
          a.sched_nice == getpriority(PRIO_PROCESS, 0));
    a.sched_policy = SCHED_BATCH;
    a.sched_nice = 3;
    CHECK(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
    CHECK(sched_getscheduler(0) == SCHED_BATCH && getpriority(PRIO_PROCESS, 0) == 3);
    CHECK(FAILS(syscall(SYS_sched_getattr, 0, &a, 8, 0), EINVAL));
    CHECK(FAILS(syscall(SYS_sched_getattr, 0, &a, sizeof a, 1), EINVAL));
    CHECK(FAILS(syscall(SYS_sched_getattr, 999999, &a, sizeof a, 0), ESRCH));
    CHECK(FAILS(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL));
    a.size = 4;
    CHECK(FAILS(syscall(SYS_sched_setattr, 0, &a, 0), E2BIG));
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.sched_policy = 77;
    CHECK(FAILS(syscall(SYS_sched_setattr, 0, &a, 0), EINVAL));
    a.sched_policy = SCHED_OTHER;
    CHECK(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
}

static volatile pid_t tid;
static volatile int done;

static void *sits(void *arg)
{
    tid = gettid();
    while (!done)
        usleep(1000);
    return arg;
}

/* As Linux, not as POSIX: nice belongs to a thread. */
TEST(priority_of_a_thread)
{
    pthread_t t;
    done = tid = 0;
    CHECK(pthread_create(&t, NULL, sits, NULL) == 0);
    CHECK(SOON(tid));
    CHECK(setpriority(PRIO_PROCESS, (id_t)tid, 7) == 0);
    CHECK(getpriority(PRIO_PROCESS, (id_t)tid) == 7 && getpriority(PRIO_PROCESS, 0) == 0);
    CHECK(FAILS(setpriority(PRIO_PROCESS, 999999, 1), ESRCH));
    CHECK(FAILS(setpriority(9, 0, 1), EINVAL));
    errno = 0;
    CHECK(getpriority(PRIO_PROCESS, 999999) == -1 && errno == ESRCH);
    done = 1;
    pthread_join(t, NULL);
}

TEST(io_priority)
{
    int best = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 3);
    CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) >= 0);
    CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, best) == 0);
    CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == best);
    CHECK(FAILS(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 5 << 13), EINVAL));
    CHECK(FAILS(syscall(SYS_ioprio_set, 0, 0, best), EINVAL));
    CHECK(FAILS(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 999999), ESRCH));
}
