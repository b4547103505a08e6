/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: decoding around proc/futex.h, and membarrier(2). */
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/time.h>

#include "arch/x86_64/paging.h"
#include "file/wait.h"
#include "proc/futex.h"
#include "proc/process.h"
#include "proc/restart.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

long sys_set_robust_list(struct uptr head, unsigned long size)
{
    if (size != sizeof(struct robust_list_head))
        return -EINVAL;
    task_current()->robust_list = head.addr;
    return 0;
}

long sys_get_robust_list(int tid, struct uptr head, struct uptr size)
{
    uint64_t list = 0, len = sizeof(struct robust_list_head);
    irqflags_t flags = spin_lock_irq(&process.lock);
    const struct task *t = tid ? task_find_locked(tid) : task_current();
    if (t)
        list = t->robust_list;
    spin_unlock_irq(&process.lock, flags);
    if (!t)
        return -ESRCH;
    return copy_to_user(size, &len, sizeof len) ? -EFAULT : copy_to_user(head, &list, sizeof list);
}

/* Deadline of a futex wait: FUTEX_WAIT counts from now, the others name a moment. */
static int futex_deadline(int op, struct uptr timeout, uint64_t *deadline)
{
    uint64_t ns;
    *deadline = CLOCK_NEVER;
    if (uptr_null(timeout))
        return 0;
    int err = timespec_from_user(&ns, timeout);
    if (err)
        return err;
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT)
        *deadline = clock_now() + ns;
    else if (op & FUTEX_CLOCK_REALTIME)
        *deadline = ns > clock_wall() ? clock_now() + (ns - clock_wall()) : 0;
    else
        *deadline = ns;
    return 0;
}

static long futex_restart(struct restart *r)
{
    int err = futex_wait(r->arg[0], (uint32_t)r->arg[1], (uint32_t)r->arg[2], r->deadline);
    return err == -EINTR ? -ERESTART_RESTARTBLOCK : err;
}

static long futex_wait_call(struct uptr addr, int op, uint32_t value, struct uptr timeout,
                            uint32_t bits)
{
    uint64_t deadline;
    int err = futex_deadline(op, timeout, &deadline);
    if (err)
        return err;
    if (!bits)
        return -EINVAL;
    err = futex_wait(addr.addr, value, bits, deadline);
    if (err != -EINTR)
        return err;
    if (deadline == CLOCK_NEVER)
        return -ERESTARTSYS;
    task_current()->restart =
        (struct restart){futex_restart, deadline, {addr.addr, value, bits, 0}};
    return -ERESTART_RESTARTBLOCK;
}

static long lock_pi_call(struct uptr addr, int op, struct uptr timeout)
{
    uint64_t deadline;
    int err = futex_deadline(op, timeout, &deadline);
    if (!err)
        err = futex_lock_pi(addr.addr, deadline, false);
    return err == -EINTR ? -ERESTARTNOINTR : err;
}

static long requeue_pi_call(struct uptr addr, int op, uint32_t value, struct uptr timeout,
                            uint64_t to, uint32_t bits)
{
    uint64_t deadline;
    int err = futex_deadline(op, timeout, &deadline);
    if (!err && !bits)
        err = -EINVAL;
    if (!err)
        err = futex_wait_requeue_pi(addr.addr, value, bits, deadline, to);
    return err == -EINTR ? -ERESTARTNOINTR : err;
}

static long futex_pi_call(struct uptr addr, int op, uint32_t value, struct uptr timeout,
                          struct uptr addr2, uint32_t value3)
{
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_LOCK_PI:
        return lock_pi_call(addr, op | FUTEX_CLOCK_REALTIME, timeout);
    case FUTEX_LOCK_PI2:
        return lock_pi_call(addr, op, timeout);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(addr.addr, 0, true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(addr.addr);
    case FUTEX_WAIT_REQUEUE_PI:
        return requeue_pi_call(addr, op, value, timeout, addr2.addr, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_CMP_REQUEUE_PI:
        if (value != 1 || (int)timeout.addr < 0)
            return -EINVAL;
        return futex_requeue_pi(addr.addr, addr2.addr, (unsigned)timeout.addr, value3);
    default:
        return -ENOSYS;
    }
}

/* The operations that may name the wall clock. */
static bool clock_allowed(int op)
{
    int cmd = op & FUTEX_CMD_MASK;
    return !(op & FUTEX_CLOCK_REALTIME) || cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET ||
           cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_LOCK_PI2;
}

long sys_futex(struct uptr addr, int op, unsigned value, struct uptr timeout, struct uptr addr2,
               unsigned value3)
{
    unsigned value2 = (unsigned)timeout.addr; /* the operations without a timeout */
    if (!clock_allowed(op))
        return -ENOSYS;
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return futex_wait_call(addr, op, value, timeout, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return futex_wait_call(addr, op, value, timeout, value3);
    case FUTEX_WAKE:
        return futex_wake(addr.addr, value, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        return value3 ? futex_wake(addr.addr, value, value3) : -EINVAL;
    case FUTEX_REQUEUE:
        if ((int)value < 0 || (int)value2 < 0)
            return -EINVAL;
        return futex_requeue(addr.addr, addr2.addr, value, value2, NULL);
    case FUTEX_CMP_REQUEUE:
        if ((int)value < 0 || (int)value2 < 0)
            return -EINVAL;
        return futex_requeue(addr.addr, addr2.addr, value, value2, &value3);
    case FUTEX_WAKE_OP:
        return futex_wake_op(addr.addr, addr2.addr, value, value2, value3);
    default:
        return futex_pi_call(addr, op, value, timeout, addr2, value3);
    }
}

/* A moment of one of two clocks; NULL: never. */
static int waitv_deadline(struct uptr timeout, int clock, uint64_t *deadline)
{
    if (!uptr_null(timeout) && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return -EINVAL;
    return futex_deadline(FUTEX_WAIT_BITSET | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0),
                          timeout, deadline);
}

long sys_futex_waitv(struct uptr waiters, unsigned count, unsigned flags, struct uptr timeout,
                     int clock)
{
    uint64_t addr[FUTEX_WAITV_MAX], deadline;
    uint32_t value[FUTEX_WAITV_MAX];
    if (flags || !count || count > FUTEX_WAITV_MAX || uptr_null(waiters))
        return -EINVAL;
    int err = waitv_deadline(timeout, clock, &deadline);
    for (unsigned i = 0; i < count && !err; i++) {
        struct futex_waitv w;
        err = copy_from_user(&w, uptr_add(waiters, i * sizeof w), sizeof w);
        if (!err && (w.flags & ~(unsigned)(FUTEX_32 | FUTEX_PRIVATE_FLAG) ||
                     !(w.flags & FUTEX_32) || w.__reserved))
            err = -EINVAL;
        addr[i] = w.uaddr;
        value[i] = (uint32_t)w.val;
    }
    if (!err)
        err = futex_wait_vector(addr, value, count, deadline);
    return err == -EINTR ? -ERESTARTSYS : err;
}

/* Every other CPU that runs the program passes a full barrier: the interrupt itself is one. */
static void barrier_everywhere(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    tlb_flush_range(0, 0);
}

long sys_membarrier(int cmd, unsigned flags, int cpu)
{
    static bool private, core;
    const int all = MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |
                    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
                    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
                    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |
                    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
    (void)cpu; /* only the rseq command looks at it */
    if (flags)
        return -EINVAL;
    switch (cmd) {
    case MEMBARRIER_CMD_QUERY:
        return all;
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
        return 0;
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
        private
        = true;
        return 0;
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
        core = true;
        return 0;
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
        if (!(cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED ? private : core))
            return -EPERM;
        break;
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
        break;
    default:
        return -EINVAL;
    }
    barrier_everywhere();
    return 0;
}
