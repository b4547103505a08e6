/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: policies, priorities, affinity. The scheduler is fair to all; policies are kept. */
#include <linux/errno.h>
#include <linux/ioprio.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "lib/string.h"
#include "proc/process.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

long sys_sched_yield(void)
{
    thread_yield();
    return 0;
}

/* Runs fn on the thread with that id (0: the caller) under process.lock. */
static long with_task(int tid, long (*fn)(struct task *t, void *arg), void *arg)
{
    if (tid < 0)
        return -EINVAL;
    irqflags_t flags = spin_lock_irq(&process.lock);
    struct task *t = tid ? task_find_locked(tid) : task_current();
    long r = t ? fn(t, arg) : -ESRCH;
    spin_unlock_irq(&process.lock, flags);
    return r;
}

static long affinity_get(struct task *t, void *arg)
{
    uint64_t all = cpu_count() >= 64 ? UINT64_MAX : (1ull << cpu_count()) - 1;
    *(uint64_t *)arg = t->thread->affinity & all;
    return 0;
}

long sys_sched_getaffinity(int pid, unsigned long size, struct uptr mask)
{
    uint64_t cpus;
    if (size < sizeof cpus || size & (sizeof cpus - 1))
        return -EINVAL;
    long err = with_task(pid, affinity_get, &cpus);
    if (!err)
        err = copy_to_user(mask, &cpus, sizeof cpus);
    return err ? err : (long)sizeof cpus;
}

static long affinity_set(struct task *t, void *arg)
{
    if (t != task_current())
        thread_set_affinity(t->thread, *(uint64_t *)arg);
    return t == task_current();
}

long sys_sched_setaffinity(int pid, unsigned long size, struct uptr mask)
{
    uint64_t cpus = 0, all = cpu_count() >= 64 ? UINT64_MAX : (1ull << cpu_count()) - 1;
    if (copy_from_user(&cpus, mask, MIN(size, sizeof cpus)))
        return -EFAULT;
    cpus &= all;
    if (!cpus)
        return -EINVAL;
    long self = with_task(pid, affinity_set, &cpus);
    if (self == 1)
        thread_set_affinity(thread_current(), cpus);
    return MIN(self, 0);
}

static bool policy_valid(int policy)
{
    return policy == SCHED_NORMAL || policy == SCHED_FIFO || policy == SCHED_RR ||
           policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static bool policy_realtime(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

struct policy_change {
    int policy; /* -1: as it is */
    int priority;
};

static long policy_set(struct task *t, void *arg)
{
    const struct policy_change *c = arg;
    int policy = c->policy < 0 ? t->sched_policy : c->policy;
    int low = policy_realtime(policy) ? 1 : 0, high = policy_realtime(policy) ? 99 : 0;
    if (!policy_valid(policy) || c->priority < low || c->priority > high)
        return -EINVAL;
    if (policy_realtime(policy) && !process_privileged() &&
        (uint64_t)c->priority > process.limits[RLIMIT_RTPRIO].soft)
        return -EPERM;
    t->sched_policy = policy;
    t->sched_priority = c->priority;
    return 0;
}

static long policy_get(struct task *t, void *arg)
{
    *(struct policy_change *)arg = (struct policy_change){t->sched_policy, t->sched_priority};
    return 0;
}

static long nice_get(struct task *t, void *arg)
{
    *(long *)arg = t->nice;
    return 0;
}

/* -EPERM: only the privileged may lower it, beyond what RLIMIT_NICE allows. */
static long nice_set(struct task *t, void *arg)
{
    int nice = (int)MAX(-20, MIN(*(long *)arg, 19));
    if (nice < t->nice && !process_privileged() &&
        (uint64_t)(20 - nice) > process.limits[RLIMIT_NICE].soft)
        return -EPERM;
    t->nice = nice;
    return 0;
}

long sys_sched_setscheduler(int pid, int policy, struct uptr param)
{
    struct policy_change c = {.policy = policy & ~(int)SCHED_RESET_ON_FORK};
    if (policy < 0 || uptr_null(param))
        return -EINVAL;
    if (copy_from_user(&c.priority, param, sizeof c.priority))
        return -EFAULT;
    return with_task(pid, policy_set, &c);
}

long sys_sched_getscheduler(int pid)
{
    struct policy_change c;
    long err = with_task(pid, policy_get, &c);
    return err ? err : c.policy;
}

long sys_sched_setparam(int pid, struct uptr param)
{
    struct policy_change c = {.policy = -1};
    if (uptr_null(param))
        return -EINVAL;
    if (copy_from_user(&c.priority, param, sizeof c.priority))
        return -EFAULT;
    return with_task(pid, policy_set, &c);
}

long sys_sched_getparam(int pid, struct uptr param)
{
    struct policy_change c;
    if (uptr_null(param))
        return -EINVAL;
    long err = with_task(pid, policy_get, &c);
    return err ? err : copy_to_user(param, &c.priority, sizeof c.priority);
}

long sys_sched_get_priority_max(int policy)
{
    return policy_realtime(policy) ? 99 : policy_valid(policy) ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(int policy)
{
    return policy_realtime(policy) ? 1 : policy_valid(policy) ? 0 : -EINVAL;
}

long sys_sched_rr_get_interval(int pid, struct uptr interval)
{
    struct policy_change c;
    long err = with_task(pid, policy_get, &c);
    return err ? err : timespec_to_user(interval, c.policy == SCHED_FIFO ? 0 : 4000000);
}

long sys_sched_getattr(int pid, struct uptr attr, unsigned size, unsigned flags)
{
    struct sched_attr a = {.size = sizeof a};
    struct policy_change c;
    if (flags || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || uptr_null(attr))
        return -EINVAL;
    long nice = 0, err = with_task(pid, policy_get, &c);
    if (!err)
        err = with_task(pid, nice_get, &nice);
    if (err)
        return err;
    a.size = MIN(size, (unsigned)sizeof a);
    a.sched_policy = (uint32_t)c.policy;
    a.sched_priority = (uint32_t)c.priority;
    a.sched_nice = (int)nice;
    return copy_to_user(attr, &a, a.size);
}

static int attr_from_user(struct sched_attr *a, struct uptr attr)
{
    const uint32_t known = sizeof *a;
    memset(a, 0, sizeof *a);
    if (copy_from_user(&a->size, attr, sizeof a->size))
        return -EFAULT;
    uint32_t size = a->size ? a->size : SCHED_ATTR_SIZE_VER0;
    if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
        return copy_to_user(attr, &known, sizeof known) ? -EFAULT : -E2BIG;
    return copy_from_user(a, attr, MIN(size, known));
}

long sys_sched_setattr(int pid, struct uptr attr, unsigned flags)
{
    struct sched_attr a;
    if (uptr_null(attr) || pid < 0 || flags)
        return -EINVAL;
    int err = attr_from_user(&a, attr);
    if (err)
        return err;
    if (a.sched_policy == SCHED_DEADLINE)
        return -EPERM;
    struct policy_change c = {(int)a.sched_policy, (int)a.sched_priority};
    long r = c.policy < 0 ? -EINVAL : with_task(pid, policy_set, &c), nice = a.sched_nice;
    return r || policy_realtime(c.policy) ? r : with_task(pid, nice_set, &nice);
}

/* Runs fn on the threads that (which, who) names; the last error, -ESRCH if there are none. */
static long with_priority_target(int which, int who, long (*fn)(struct task *t, void *arg),
                                 void *arg)
{
    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    if (which == PRIO_PROCESS)
        return who < 0 ? -ESRCH : with_task(who, fn, arg);
    bool ours =
        which == PRIO_USER ? !who || (uint32_t)who == process.uid : !who || who == PROCESS_PID;
    long r = -ESRCH;
    irqflags_t flags = spin_lock_irq(&process.lock);
    if (ours)
        LIST_FOR_EACH(l, &process.tasks)
    r = fn(LIST_ENTRY(l, struct task, link), arg);
    spin_unlock_irq(&process.lock, flags);
    return r;
}

static long nice_lowest(struct task *t, void *arg)
{
    *(long *)arg = MIN(*(long *)arg, t->nice);
    return 0;
}

long sys_getpriority(int which, int who)
{
    long nice = 19, err = with_priority_target(which, who, nice_lowest, &nice);
    return err ? err : 20 - nice;
}

long sys_setpriority(int which, int who, int priority)
{
    long nice = priority, err = with_priority_target(which, who, nice_set, &nice);
    return err == -EPERM ? -EACCES : err;
}

static long ioprio_get(struct task *t, void *arg)
{
    *(int *)arg = t->ioprio;
    return 0;
}

static long ioprio_set(struct task *t, void *arg)
{
    t->ioprio = *(int *)arg;
    return 0;
}

/* IOPRIO_WHO_* count from 1 as PRIO_* do from 0. */
long sys_ioprio_get(int which, int who)
{
    int prio = 0;
    long err = with_priority_target(which - IOPRIO_WHO_PROCESS, who, ioprio_get, &prio);
    return err ? err : prio;
}

long sys_ioprio_set(int which, int who, int prio)
{
    int class = prio >> IOPRIO_CLASS_SHIFT, level = prio & ((1 << IOPRIO_CLASS_SHIFT) - 1);
    if (class < IOPRIO_CLASS_NONE || class > IOPRIO_CLASS_IDLE)
        return -EINVAL;
    if (class == IOPRIO_CLASS_NONE ? level : class != IOPRIO_CLASS_IDLE && level > 7)
        return -EINVAL;
    if (class == IOPRIO_CLASS_RT && !process_privileged())
        return -EPERM;
    return with_priority_target(which - IOPRIO_WHO_PROCESS, who, ioprio_set, &prio);
}
