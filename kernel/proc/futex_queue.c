/* SPDX-License-Identifier: Apache-2.0 */
/* Futex buckets and waiters: see futex_queue.h. */
#include "proc/futex_queue.h"

#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "arch/x86_64/usercopy.h"
#include "sched/thread.h"
#include "vm/uaccess.h"

static struct futex_bucket buckets[BUCKETS];

struct futex_bucket *futex_bucket(uint64_t addr)
{
    return futex_bucket_at((addr >> 2 ^ addr >> 12 ^ addr >> 22) % BUCKETS);
}

struct futex_bucket *futex_bucket_at(unsigned i)
{
    struct futex_bucket *b = &buckets[i];
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

int futex_addr_error(uint64_t addr)
{
    return addr & 3 ? -EINVAL : addr_ok(addr) ? 0 : -EFAULT;
}

int futex_touch(uint64_t addr)
{
    uint32_t v;
    return copy_from_user(&v, (struct uptr){addr}, sizeof v);
}

int futex_touch_for_write(uint64_t addr)
{
    uint32_t old, v;
    if (copy_from_user(&v, (struct uptr){addr}, sizeof v))
        return -EFAULT;
    return usercmpxchg32((void *)addr, v, v, &old) ? -EFAULT : 0;
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    if (a > b) {
        struct futex_bucket *t = a;
        a = b;
        b = t;
    }
    spin_lock_raw(&a->lock);
    if (a != b)
        spin_lock_raw(&b->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    spin_unlock_raw(&a->lock);
    if (a != b)
        spin_unlock_raw(&b->lock);
}

void futex_wake_waiter(struct futex_waiter *w)
{
    list_remove(&w->link);
    struct thread *t = w->thread;
    __atomic_store_n(&w->woken, true, __ATOMIC_RELEASE); /* its record may vanish from here on */
    thread_wake(t);
}

bool futex_cancel(struct futex_waiter *w)
{
    for (;;) {
        struct futex_bucket *b = __atomic_load_n(&w->bucket, __ATOMIC_ACQUIRE);
        irqflags_t flags = spin_lock_irq(&b->lock);
        bool same = w->bucket == b, queued = same && !w->woken;
        if (queued)
            list_remove(&w->link);
        spin_unlock_irq(&b->lock, flags);
        if (same)
            return queued;
    }
}

int futex_enqueue(struct futex_waiter *w, uint32_t value)
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

void futex_move_waiter(struct futex_waiter *w, struct futex_bucket *to, uint64_t addr)
{
    list_remove(&w->link);
    w->addr = addr;
    __atomic_store_n(&w->bucket, to, __ATOMIC_RELEASE);
    list_add_tail(&to->waiters, &w->link);
}

static bool any_woken(const struct futex_waiter *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (__atomic_load_n(&w[i].woken, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

int futex_sleep(const struct futex_waiter *w, unsigned n, uint64_t deadline)
{
    int err = 0;
    /* Looked at first: one may have been woken while the next was queued. */
    while (!err && !any_woken(w, n)) {
        err = thread_block(deadline, true);
        thread_prepare_sleep();
    }
    thread_cancel_sleep();
    return err;
}
