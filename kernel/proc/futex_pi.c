/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PI futexes: see futex.h. An unlock hands the word to the first waiter before
 * it is woken, so that nobody can slip in between. Lock order: buckets, then
 * process.lock.
 */
#include <linux/errno.h>
#include <linux/futex.h>

#include "arch/x86_64/usercopy.h"
#include "proc/futex.h"
#include "proc/futex_queue.h"
#include "proc/process.h"
#include "proc/task.h"
#include "vm/uaccess.h"

/* PI waiters there are: a thread's end looks for them only then. */
static unsigned waiting;

/* The word, atomically from `old` to `new`: 0, -EAGAIN when it changed, -EFAULT. */
static int word_change(uint64_t addr, uint32_t old, uint32_t new)
{
    uint32_t now;
    if (usercmpxchg32((void *)addr, old, new, &now))
        return -EFAULT;
    return now == old ? 0 : -EAGAIN;
}

static bool owner_lives(uint32_t word)
{
    spin_lock_raw(&process.lock);
    const struct task *t = task_find_locked((int)(word & FUTEX_TID_MASK));
    bool lives = t && !t->pi_exited;
    spin_unlock_raw(&process.lock);
    return lives;
}

static struct futex_waiter *pi_first(struct futex_bucket *b, uint64_t addr)
{
    LIST_FOR_EACH(l, &b->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (w->addr == addr && w->pi)
            return w;
    }
    return NULL;
}

/*
 * One step towards owning the word for thread `tid`, bucket locked. 0: owned; 1: somebody else
 * owns it, and FUTEX_WAITERS says that there are waiters; -EDEADLK, -ESRCH, -EFAULT.
 */
static int pi_claim(struct futex_bucket *b, uint64_t addr, int tid, bool mark)
{
    for (;;) {
        uint32_t word, new;
        if (userload32((const void *)addr, &word))
            return -EFAULT;
        bool owned = word & FUTEX_TID_MASK;
        if ((word & FUTEX_TID_MASK) == (uint32_t)tid)
            return -EDEADLK;
        if (owned && !owner_lives(word))
            return -ESRCH;
        if (owned)
            new = word | (mark ? FUTEX_WAITERS : 0);
        else
            new =
                (word & FUTEX_OWNER_DIED) | (uint32_t)tid | (pi_first(b, addr) ? FUTEX_WAITERS : 0);
        int err = word_change(addr, word, new);
        if (err != -EAGAIN)
            return err ? err : owned;
    }
}

/* A PI waiter of the locked bucket gets the word, which is `word`; `died`: FUTEX_OWNER_DIED or 0.
 */
static int pi_hand_over(struct futex_waiter *w, uint32_t word, uint32_t died)
{
    int err = word_change(w->addr, word, (uint32_t)w->tid | FUTEX_WAITERS | died);
    if (!err) {
        __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
        futex_wake_waiter(w);
    }
    return err;
}

/* Leaves the queue after a sleep; the result: 0 when it owns the word, else why not. */
static int pi_finish(struct futex_waiter *w, int err)
{
    if (!futex_cancel(w))
        return 0;
    if (w->pi)
        __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
    return err;
}

static void pi_enqueue(struct futex_bucket *b, struct futex_waiter *w)
{
    __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
    w->pi = true;
    w->bucket = b;
    list_add_tail(&b->waiters, &w->link);
}

int futex_lock_pi(uint64_t addr, uint64_t deadline, bool try)
{
    int err = futex_addr_error(addr);
    if (err)
        return err;
    struct futex_waiter w = {.thread = thread_current(), .addr = addr, .tid = task_current()->tid};
    struct futex_bucket *b = futex_bucket(addr);
    do {
        irqflags_t flags = spin_lock_irq(&b->lock);
        err = pi_claim(b, addr, w.tid, !try);
        if (err == 1 && !try) {
            pi_enqueue(b, &w);
            thread_prepare_sleep();
        }
        spin_unlock_irq(&b->lock, flags);
    } while (err == -EFAULT && !futex_touch_for_write(addr));
    if (err != 1)
        return err;
    return try ? -EAGAIN : pi_finish(&w, futex_sleep(&w, 1, deadline));
}

int futex_unlock_pi(uint64_t addr)
{
    int err = futex_addr_error(addr), tid = task_current()->tid;
    if (err)
        return err;
    struct futex_bucket *b = futex_bucket(addr);
    do {
        uint32_t word;
        irqflags_t flags = spin_lock_irq(&b->lock);
        struct futex_waiter *w = pi_first(b, addr);
        if (userload32((const void *)addr, &word))
            err = -EFAULT;
        else if ((word & FUTEX_TID_MASK) != (uint32_t)tid)
            err = -EPERM;
        else
            err = w ? pi_hand_over(w, word, 0) : word_change(addr, word, 0);
        spin_unlock_irq(&b->lock, flags);
        if (err == -EFAULT && futex_touch_for_write(addr))
            return -EFAULT;
    } while (err == -EFAULT || err == -EAGAIN);
    return err;
}

int futex_wait_requeue_pi(uint64_t addr, uint32_t value, uint32_t bits, uint64_t deadline,
                          uint64_t to)
{
    int err = futex_addr_error(addr) ? futex_addr_error(addr) : futex_addr_error(to);
    if (!err && addr == to)
        err = -EINVAL;
    if (err)
        return err;
    struct futex_waiter w = {.thread = thread_current(),
                             .addr = addr,
                             .bits = bits,
                             .tid = task_current()->tid,
                             .pi_target = to,
                             .bucket = futex_bucket(addr)};
    while ((err = futex_enqueue(&w, value)) == -EFAULT)
        if (futex_touch(addr))
            return -EFAULT;
    if (err)
        return err;
    err = pi_finish(&w, futex_sleep(&w, 1, deadline));
    return err == -EINTR && w.pi ? -EAGAIN : err;
}

/* Moves waiters from `a` to `b`, both locked. */
static long requeue_locked(struct futex_bucket *a, struct futex_bucket *b, uint64_t addr,
                           uint64_t to, unsigned move)
{
    long n = 0;
    LIST_FOR_EACH_SAFE(l, &a->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        if (w->addr != addr || n > (long)move)
            continue;
        if (w->pi_target != to)
            return -EINVAL;
        int err = pi_claim(b, to, w->tid, true);
        if (err < 0)
            return n ? n : err;
        if (err) {
            futex_move_waiter(w, b, to);
            w->pi = true;
            __atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED);
        } else {
            futex_wake_waiter(w);
        }
        n++;
    }
    return n;
}

long futex_requeue_pi(uint64_t addr, uint64_t to, unsigned move, uint32_t compare)
{
    int err = futex_addr_error(addr) ? futex_addr_error(addr) : futex_addr_error(to);
    if (!err && addr == to)
        err = -EINVAL;
    if (err)
        return err;
    struct futex_bucket *a = futex_bucket(addr), *b = futex_bucket(to);
    for (;;) {
        uint32_t now;
        irqflags_t flags = irq_save();
        futex_lock_two(a, b);
        long n = userload32((const void *)addr, &now) ? -EFAULT : now != compare ? -EAGAIN : 0;
        if (!n)
            n = requeue_locked(a, b, addr, to, move);
        futex_unlock_two(a, b);
        irq_restore(flags);
        if (n != -EFAULT)
            return n;
        if (futex_touch(addr) || futex_touch_for_write(to))
            return -EFAULT;
    }
}

/* Every PI waiter of the bucket whose word nobody living owns becomes its owner. */
static void bucket_exit(struct futex_bucket *b, int tid)
{
    irqflags_t flags = spin_lock_irq(&b->lock);
    LIST_FOR_EACH_SAFE(l, &b->waiters)
    {
        struct futex_waiter *w = LIST_ENTRY(l, struct futex_waiter, link);
        uint32_t word;
        if (!w->pi)
            continue;
        do {
            if (userload32((const void *)w->addr, &word))
                break;
            uint32_t owner = word & FUTEX_TID_MASK;
            if (owner && owner != (uint32_t)tid)
                break;
        } while (pi_hand_over(w, word, FUTEX_OWNER_DIED) == -EAGAIN);
    }
    spin_unlock_irq(&b->lock, flags);
}

void futex_pi_exit(struct task *t)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    t->pi_exited = true; /* from here on nobody queues up behind it */
    spin_unlock_irq(&process.lock, flags);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < BUCKETS && __atomic_load_n(&waiting, __ATOMIC_RELAXED); i++)
        bucket_exit(futex_bucket_at(i), t->tid);
}
