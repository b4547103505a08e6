/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: see futex.h. */
#include "proc/futex.h"

#include <linux/errno.h>
#include <linux/futex.h>

#include "arch/x86_64/usercopy.h"
#include "mem/kmalloc.h"
#include "proc/futex_queue.h"
#include "proc/task.h"
#include "vm/uaccess.h"

int futex_wait(uint64_t addr, uint32_t value, uint32_t bits, uint64_t deadline)
{
    int err = futex_addr_error(addr);
    if (err)
        return err;
    struct futex_waiter w = {.thread = thread_current(), .addr = addr, .bits = bits};
    w.bucket = futex_bucket(addr);
    while ((err = futex_enqueue(&w, value)) == -EFAULT)
        if (futex_touch(addr))
            return -EFAULT;
    if (err)
        return err;
    err = futex_sleep(&w, 1, deadline);
    return futex_cancel(&w) ? err : 0;
}

/* Queues all; -EFAULT or -EAGAIN: `*at` could not be queued, those before it still are. */
static int vector_queue(struct futex_waiter *w, const uint32_t *value, unsigned n, unsigned *at)
{
    for (*at = 0; *at < n; ++*at) {
        struct futex_waiter *one = &w[*at];
        one->bucket = futex_bucket(one->addr);
        one->woken = false;
        int err = futex_enqueue(one, value[*at]);
        if (err)
            return err;
    }
    return 0;
}

/* Takes the first n out of their queues; the number of one that had been woken, or -1. */
static int vector_cancel(struct futex_waiter *w, unsigned n)
{
    int woken = -1;
    thread_cancel_sleep();
    for (unsigned i = 0; i < n; i++)
        if (!futex_cancel(&w[i]))
            woken = (int)i;
    return woken;
}

int futex_wait_vector(const uint64_t *addr, const uint32_t *value, unsigned n, uint64_t deadline)
{
    struct futex_waiter *w = kzalloc(n * sizeof *w);
    unsigned queued;
    int err = w ? 0 : -ENOMEM, woken = -1;
    for (unsigned i = 0; i < n && !err; i++) {
        w[i].thread = thread_current();
        w[i].addr = addr[i];
        w[i].bits = FUTEX_BITSET_MATCH_ANY;
        err = futex_addr_error(addr[i]);
    }
    while (!err) {
        err = vector_queue(w, value, n, &queued);
        if (!err)
            err = futex_sleep(w, n, deadline);
        woken = vector_cancel(w, queued);
        if (woken >= 0 || err != -EFAULT)
            break;
        err = futex_touch(addr[queued]);
    }
    kfree(w);
    return woken >= 0 ? woken : err;
}

/* -EINVAL: who waits there waits for a PI futex, or to be moved to one. */
static long wake_locked(struct futex_bucket *b, uint64_t addr, unsigned count, uint32_t bits)
{
    long n = 0;
    LIST_FOR_EACH_SAFE(l, &b->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (n == count)
            break;
        if (w->addr != addr || !(w->bits & bits))
            continue;
        if (w->pi || w->pi_target)
            return -EINVAL;
        futex_wake_waiter(w);
        n++;
    }
    return n;
}

long futex_wake(uint64_t addr, unsigned count, uint32_t bits)
{
    int err = futex_addr_error(addr);
    if (err)
        return err;
    struct futex_bucket *b = futex_bucket(addr);
    irqflags_t flags = spin_lock_irq(&b->lock);
    long n = wake_locked(b, addr, count, bits);
    spin_unlock_irq(&b->lock, flags);
    return n;
}

static long requeue_locked(struct futex_bucket *from, struct futex_bucket *to, uint64_t addr,
                           uint64_t addr2, unsigned count)
{
    long n = 0;
    LIST_FOR_EACH_SAFE(l, &from->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (n == count)
            break;
        if (w->addr != addr)
            continue;
        if (w->pi || w->pi_target)
            return -EINVAL;
        futex_move_waiter(w, to, addr2);
        n++;
    }
    return n;
}

long futex_requeue(uint64_t addr, uint64_t to, unsigned wake, unsigned move,
                   const uint32_t *compare)
{
    int err = futex_addr_error(addr) ? futex_addr_error(addr) : futex_addr_error(to);
    if (err)
        return err;
    struct futex_bucket *a = futex_bucket(addr), *b = futex_bucket(to);
    for (;;) {
        uint32_t now = 0;
        long n = 0;
        irqflags_t flags = irq_save();
        futex_lock_two(a, b);
        bool fault = compare && userload32((const void *)addr, &now);
        if (!fault && compare && now != *compare) {
            n = -EAGAIN;
        } else if (!fault) {
            n = wake_locked(a, addr, wake, FUTEX_BITSET_MATCH_ANY);
            long moved = n < 0 ? n : requeue_locked(a, b, addr, to, addr == to ? 0 : move);
            n = moved < 0 ? moved : n + moved;
        }
        futex_unlock_two(a, b);
        irq_restore(flags);
        if (!fault)
            return n;
        if (futex_touch(addr))
            return -EFAULT;
    }
}

static int op_apply(uint32_t op, uint32_t old, uint32_t *new)
{
    uint32_t arg = (uint32_t)((int32_t)(op << 8) >> 20);
    if (op >> 28 & FUTEX_OP_OPARG_SHIFT) /* the argument is a bit number */
        arg = 1u << (arg & 31);
    switch (op >> 28 & 7) {
    case FUTEX_OP_SET:
        *new = arg;
        return 0;
    case FUTEX_OP_ADD:
        *new = old + arg;
        return 0;
    case FUTEX_OP_OR:
        *new = old | arg;
        return 0;
    case FUTEX_OP_ANDN:
        *new = old & ~arg;
        return 0;
    case FUTEX_OP_XOR:
        *new = old ^ arg;
        return 0;
    default:
        return -ENOSYS;
    }
}

static int op_compare(uint32_t op, uint32_t value)
{
    int32_t old = (int32_t)value, arg = (int32_t)(op << 20) >> 20;
    switch (op >> 24 & 15) {
    case FUTEX_OP_CMP_EQ:
        return old == arg;
    case FUTEX_OP_CMP_NE:
        return old != arg;
    case FUTEX_OP_CMP_LT:
        return old < arg;
    case FUTEX_OP_CMP_GE:
        return old >= arg;
    case FUTEX_OP_CMP_LE:
        return old <= arg;
    case FUTEX_OP_CMP_GT:
        return old > arg;
    default:
        return -ENOSYS;
    }
}

/* The operation on *addr2, atomically; *old is what stood there. -EFAULT: touch and retry. */
static int op_execute(uint64_t addr2, uint32_t op, uint32_t *old)
{
    uint32_t expected, new;
    if (userload32((const void *)addr2, &expected))
        return -EFAULT;
    for (;;) {
        int err = op_apply(op, expected, &new);
        if (err)
            return err;
        if (usercmpxchg32((void *)addr2, expected, new, old))
            return -EFAULT;
        if (*old == expected)
            return 0;
        expected = *old;
    }
}

long futex_wake_op(uint64_t addr, uint64_t addr2, unsigned wake, unsigned wake2, uint32_t op)
{
    int err = futex_addr_error(addr) ? futex_addr_error(addr) : futex_addr_error(addr2);
    if (err)
        return err;
    struct futex_bucket *a = futex_bucket(addr), *b = futex_bucket(addr2);
    for (;;) {
        uint32_t old = 0;
        irqflags_t flags = irq_save();
        futex_lock_two(a, b);
        long n = op_execute(addr2, op, &old);
        int match = n ? 0 : op_compare(op, old);
        if (!n && match < 0)
            n = match;
        if (!n)
            n = wake_locked(a, addr, wake, FUTEX_BITSET_MATCH_ANY);
        long more = n >= 0 && match > 0 ? wake_locked(b, addr2, wake2, FUTEX_BITSET_MATCH_ANY) : 0;
        n = more < 0 ? more : n + more;
        futex_unlock_two(a, b);
        irq_restore(flags);
        if (n != -EFAULT)
            return n;
        if (futex_touch_for_write(addr2))
            return -EFAULT;
    }
}

/* One robust futex of a dead owner: its word says so, and one waiter may take it. */
static void robust_release(uint64_t addr, int tid, bool pi)
{
    uint32_t value, old;
    if (futex_addr_error(addr) || copy_from_user(&value, (struct uptr){addr}, sizeof value))
        return;
    while ((value & FUTEX_TID_MASK) == (uint32_t)tid) {
        if (usercmpxchg32((void *)addr, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &old))
            return;
        if (old == value) {
            if (value & FUTEX_WAITERS && !pi) /* PI: futex_pi_exit() hands it over */
                futex_wake(addr, 1, FUTEX_BITSET_MATCH_ANY);
            return;
        }
        value = old;
    }
}

static void robust_exit(uint64_t robust_list, int tid)
{
    struct robust_list_head head;
    if (!robust_list || copy_from_user(&head, (struct uptr){robust_list}, sizeof head))
        return;
    uint64_t entry = (uint64_t)head.list.next, pending = (uint64_t)head.list_op_pending;
    for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != robust_list; i++) {
        struct robust_list next;
        uint64_t at = entry & ~1ull; /* bit 0: a PI futex */
        if (copy_from_user(&next, (struct uptr){at}, sizeof next))
            break;
        if (at != (pending & ~1ull))
            robust_release(at + (uint64_t)head.futex_offset, tid, entry & 1);
        entry = (uint64_t)next.next;
    }
    if (pending)
        robust_release((pending & ~1ull) + (uint64_t)head.futex_offset, tid, pending & 1);
}

void futex_thread_exit(struct task *t)
{
    const uint32_t zero = 0;
    robust_exit(t->robust_list, t->tid);
    futex_pi_exit(t);
    if (t->clear_child_tid && !copy_to_user((struct uptr){t->clear_child_tid}, &zero, sizeof zero))
        futex_wake(t->clear_child_tid, 1, FUTEX_BITSET_MATCH_ANY);
}
