/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes: see futex(2). One address space, so private and shared operations
 * on one address meet by construction. The waiter's record lives on its stack.
 * Lock: a spinlock for each hash bucket; two buckets in order of address.
 */
#pragma once

#include "lib/types.h"

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
/* Stores 0 at a dead thread's clear-tid address and wakes; marks and wakes its robust futexes. */
void futex_thread_exit(uint64_t clear_tid, uint64_t robust_list, int tid);
