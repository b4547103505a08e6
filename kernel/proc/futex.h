/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes: see futex(2). One address space, so private and shared operations
 * on one address meet by construction. The waiter's record lives on its stack.
 * Lock: a spinlock for each hash bucket; two buckets in order of address.
 */
#pragma once

#include "lib/types.h"

struct task;

/*
 * Sleeps while *addr == value; `bits` restricts which wakes count. 0, -EAGAIN,
 * -ETIMEDOUT, -EFAULT, -EINTR.
 */
int futex_wait(uint64_t addr, uint32_t value, uint32_t bits, uint64_t deadline);
/* How many were woken, at most `count`. */
long futex_wake(uint64_t addr, unsigned count, uint32_t bits);
/* Wakes `wake` and moves `move` others to `to`; `compare` (if not NULL) must be at addr, else
 * -EAGAIN. */
long futex_requeue(uint64_t addr, uint64_t to, unsigned wake, unsigned move,
                   const uint32_t *compare);
/* FUTEX_WAKE_OP. */
long futex_wake_op(uint64_t addr, uint64_t addr2, unsigned wake, unsigned wake2, uint32_t op);
/* Waits for n words at once: which one was woken, or as futex_wait(), -ENOMEM. */
int futex_wait_vector(const uint64_t *addr, const uint32_t *value, unsigned n, uint64_t deadline);

/*
 * PI futexes: the word holds the owner's thread id, FUTEX_WAITERS and
 * FUTEX_OWNER_DIED. The first in the queue gets it next; nobody is boosted,
 * since the scheduler lets every thread run. futex_pi.c.
 */
/* -EDEADLK, -ESRCH (the owner does not exist), -ETIMEDOUT, -EINTR, -EFAULT; -EAGAIN with `try`. */
int futex_lock_pi(uint64_t addr, uint64_t deadline, bool try);
/* -EPERM: the caller does not own it. */
int futex_unlock_pi(uint64_t addr);
/* Waits at addr to be moved to the PI futex `to`, which it owns on return. -EAGAIN: a signal came
 * when it had been moved; -EINTR: before. */
int futex_wait_requeue_pi(uint64_t addr, uint32_t value, uint32_t bits, uint64_t deadline,
                          uint64_t to);
/* Gives `to` to the first waiter if it is free, moves `move` others there; their number. */
long futex_requeue_pi(uint64_t addr, uint64_t to, unsigned move, uint32_t compare);
/* A thread ends: PI futexes that it owns go to those who wait for them. */
void futex_pi_exit(struct task *t);

/* A thread ends: marks and wakes its robust futexes, hands over its PI futexes, stores 0 at its
 * clear-tid address and wakes who waits there. */
void futex_thread_exit(struct task *t);
