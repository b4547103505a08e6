/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: see futex.h. */
#include "proc/futex.h"

#include <linux/errno.h>
#include <linux/futex.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/usercopy.h"
#include "core/spinlock.h"
#include "lib/list.h"
#include "sched/thread.h"
#include "vm/uaccess.h"

#define BUCKETS 256

struct futex_waiter {
    struct list link;
    struct thread *thread;
    uint64_t addr;
    uint32_t bits;
    struct bucket *bucket; /* under the bucket's lock; changes with a requeue */
    bool woken;
};

struct bucket {
    struct spinlock lock;
    struct list waiters;
};

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(uint64_t addr)
{
    struct bucket *b = &buckets[(addr >> 2 ^ addr >> 12 ^ addr >> 22) % BUCKETS];
    if (!b->waiters.next) {
        irqflags_t flags = spin_lock_irq(&b->lock);
        if (!b->waiters.next)
            list_init(&b->waiters);
        spin_unlock_irq(&b->lock, flags);
    }
    return b;
}

static bool addr_ok(uint64_t addr)
{
    return addr && !(addr & 3) && addr < USER_END;
}

static int addr_error(uint64_t addr)
{
    return addr & 3 ? -EINVAL : addr_ok(addr) ? 0 : -EFAULT;
}

/* Makes the page present, so that the load under the lock can succeed. */
static int touch(uint64_t addr)
{
    uint32_t v;
    return copy_from_user(&v, (struct uptr){addr}, sizeof v);
}

static int touch_for_write(uint64_t addr)
{
    uint32_t old, v;
    if (copy_from_user(&v, (struct uptr){addr}, sizeof v))
        return -EFAULT;
    return usercmpxchg32((void *)addr, v, v, &old) ? -EFAULT : 0;
}

static void bucket_lock_two(struct bucket *a, struct bucket *b)
{
    if (a > b) {
        struct bucket *t = a;
        a = b;
        b = t;
    }
    spin_lock_raw(&a->lock);
    if (a != b)
        spin_lock_raw(&b->lock);
}

static void bucket_unlock_two(struct bucket *a, struct bucket *b)
{
    spin_unlock_raw(&a->lock);
    if (a != b)
        spin_unlock_raw(&b->lock);
}

static void waiter_wake(struct futex_waiter *w)
{
    list_remove(&w->link);
    struct thread *t = w->thread;
    __atomic_store_n(&w->woken, true, __ATOMIC_RELEASE); /* its record may vanish from here on */
    thread_wake(t);
}

/* Takes the waiter out if nobody woke it: true then. */
static bool waiter_cancel(struct futex_waiter *w)
{
    for (;;) {
        struct bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);
        irqflags_t flags = spin_lock_irq(&b->lock);
        bool same = w->bucket == b, queued = same && !w->woken;
        if (queued)
            list_remove(&w->link);
        spin_unlock_irq(&b->lock, flags);
        if (same)
            return queued;
    }
}

/* Queues w if the word still holds the value. 0, -EAGAIN, -EFAULT (not present: touch and retry).
 */
static int waiter_queue(struct futex_waiter *w, uint32_t value)
{
    uint32_t now;
    irqflags_t flags = spin_lock_irq(&w->bucket->lock);
    int err = userload32((const void *)w->addr, &now) ? -EFAULT : now != value ? -EAGAIN : 0;
    if (!err) {
        list_add_tail(&w->bucket->waiters, &w->link);
        thread_prepare_sleep();
    }
    spin_unlock_irq(&w->bucket->lock, flags);
    return err;
}

int futex_wait(uint64_t addr, uint32_t value, uint32_t bits, uint64_t deadline)
{
    int err = addr_error(addr);
    if (err)
        return err;
    struct futex_waiter w = {.thread = thread_current(), .addr = addr, .bits = bits};
    w.bucket = bucket_of(addr);
    while ((err = waiter_queue(&w, value)) == -EFAULT)
        if (touch(addr))
            return -EFAULT;
    if (err)
        return err;
    do {
        err = thread_block(deadline, true);
        if (__atomic_load_n(&w.woken, __ATOMIC_ACQUIRE))
            break;
        if (!err)
            thread_prepare_sleep();
    } while (!err && !__atomic_load_n(&w.woken, __ATOMIC_ACQUIRE));
    thread_cancel_sleep();
    return waiter_cancel(&w) ? err : 0;
}

static unsigned wake_locked(struct bucket *b, uint64_t addr, unsigned count, uint32_t bits)
{
    unsigned n = 0;
    LIST_FOR_EACH_SAFE(l, &b->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (n == count)
            break;
        if (w->addr != addr || !(w->bits & bits))
            continue;
        waiter_wake(w);
        n++;
    }
    return n;
}

long futex_wake(uint64_t addr, unsigned count, uint32_t bits)
{
    int err = addr_error(addr);
    if (err)
        return err;
    struct bucket *b = bucket_of(addr);
    irqflags_t flags = spin_lock_irq(&b->lock);
    unsigned n = wake_locked(b, addr, count, bits);
    spin_unlock_irq(&b->lock, flags);
    return n;
}

static unsigned requeue_locked(struct bucket *from, struct bucket *to, uint64_t addr,
                               uint64_t addr2, unsigned count)
{
    unsigned n = 0;
    LIST_FOR_EACH_SAFE(l, &from->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (n == count)
            break;
        if (w->addr != addr)
            continue;
        list_remove(&w->link);
        w->addr = addr2;
        __atomic_store_n(&w->bucket, to, __ATOMIC_RELEASE);
        list_add_tail(&to->waiters, &w->link);
        n++;
    }
    return n;
}

long futex_requeue(uint64_t addr, uint64_t to, unsigned wake, unsigned move,
                   const uint32_t *compare)
{
    int err = addr_error(addr) ? addr_error(addr) : addr_error(to);
    if (err)
        return err;
    struct bucket *a = bucket_of(addr), *b = bucket_of(to);
    for (;;) {
        uint32_t now = 0;
        long n = 0;
        irqflags_t flags = irq_save();
        bucket_lock_two(a, b);
        bool fault = compare && userload32((const void *)addr, &now);
        if (!fault && compare && now != *compare) {
            n = -EAGAIN;
        } else if (!fault) {
            n = wake_locked(a, addr, wake, FUTEX_BITSET_MATCH_ANY);
            n += requeue_locked(a, b, addr, to, addr == to ? 0 : move);
        }
        bucket_unlock_two(a, b);
        irq_restore(flags);
        if (!fault)
            return n;
        if (touch(addr))
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
    int err = addr_error(addr) ? addr_error(addr) : addr_error(addr2);
    if (err)
        return err;
    struct bucket *a = bucket_of(addr), *b = bucket_of(addr2);
    for (;;) {
        uint32_t old = 0;
        irqflags_t flags = irq_save();
        bucket_lock_two(a, b);
        long n = op_execute(addr2, op, &old);
        int match = n ? 0 : op_compare(op, old);
        if (!n && match < 0)
            n = match;
        if (!n)
            n = wake_locked(a, addr, wake, FUTEX_BITSET_MATCH_ANY);
        if (n >= 0 && match > 0)
            n += wake_locked(b, addr2, wake2, FUTEX_BITSET_MATCH_ANY);
        bucket_unlock_two(a, b);
        irq_restore(flags);
        if (n != -EFAULT)
            return n;
        if (touch_for_write(addr2))
            return -EFAULT;
    }
}

/* One robust futex of a dead owner: its word says so, and one waiter may take it. */
static void robust_release(uint64_t addr, int tid)
{
    uint32_t value, old;
    if (!addr_ok(addr) || copy_from_user(&value, (struct uptr){addr}, sizeof value))
        return;
    while ((value & FUTEX_TID_MASK) == (uint32_t)tid) {
        if (usercmpxchg32((void *)addr, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &old))
            return;
        if (old == value) {
            if (value & FUTEX_WAITERS)
                futex_wake(addr, 1, FUTEX_BITSET_MATCH_ANY);
            return;
        }
        value = old;
    }
}

void futex_thread_exit(uint64_t clear_tid, uint64_t robust_list, int tid)
{
    struct robust_list_head head;
    if (robust_list && !copy_from_user(&head, (struct uptr){robust_list}, sizeof head)) {
        uint64_t entry = (uint64_t)head.list.next;
        for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~1ull) != robust_list; i++) {
            struct robust_list next;
            uint64_t at = entry & ~1ull; /* bit 0: a PI futex */
            if (copy_from_user(&next, (struct uptr){at}, sizeof next))
                break;
            robust_release(at + (uint64_t)head.futex_offset, tid);
            entry = (uint64_t)next.next;
        }
        if (head.list_op_pending)
            robust_release(((uint64_t)head.list_op_pending & ~1ull) + (uint64_t)head.futex_offset,
                           tid);
    }
    const uint32_t zero = 0;
    if (clear_tid && !copy_to_user((struct uptr){clear_tid}, &zero, sizeof zero))
        futex_wake(clear_tid, 1, FUTEX_BITSET_MATCH_ANY);
}
