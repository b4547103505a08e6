/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for which futex word: hashed buckets, shared by the plain and the
 * PI operations (futex.c, futex_pi.c). A waiter's record lives on its stack.
 * Lock: each bucket's, interrupts off; user words are read and changed under it
 * by accesses that do not sleep, and fail when the page is not there: the caller
 * then lets go, touches the page, and starts over.
 */
#pragma once

#include "core/spinlock.h"
#include "lib/list.h"

struct thread;

#define BUCKETS 256

struct futex_bucket {
    struct spinlock lock;
    struct list waiters;
};

struct futex_waiter {
    struct list link;
    struct thread *thread;
    uint64_t addr;
    uint32_t bits;
    int tid;                     /* of a PI waiter: what the word will say when it owns it */
    bool pi;                     /* waits to own the word at addr */
    uint64_t pi_target;          /* FUTEX_WAIT_REQUEUE_PI: the word it wants to be moved to */
    struct futex_bucket *bucket; /* under the bucket's lock; changes with a requeue */
    bool woken;
};

struct futex_bucket *futex_bucket(uint64_t addr);
struct futex_bucket *futex_bucket_at(unsigned i); /* 0 .. BUCKETS - 1 */
/* In order of address; interrupts are off. */
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* 0, -EINVAL (not aligned), -EFAULT (no user address). */
int futex_addr_error(uint64_t addr);
/* Makes the page present (and writable). -EFAULT. */
int futex_touch(uint64_t addr);
int futex_touch_for_write(uint64_t addr);
/* Queues w and marks the thread as going to sleep, if the word still holds the value. 0, -EAGAIN,
 * -EFAULT. */
int futex_enqueue(struct futex_waiter *w, uint32_t value);
/* Sleeps until one of n queued waiters is woken: 0, or why it ended: -ETIMEDOUT, -EINTR. */
int futex_sleep(const struct futex_waiter *w, unsigned n, uint64_t deadline);
/* Takes the waiter out if nobody woke it: true then. */
bool futex_cancel(struct futex_waiter *w);
/* The bucket is locked: wakes; moves to another locked bucket. */
void futex_wake_waiter(struct futex_waiter *w);
void futex_move_waiter(struct futex_waiter *w, struct futex_bucket *to, uint64_t addr);
