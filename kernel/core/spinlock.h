/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinlocks. While one is held the thread cannot be preempted and must not
 * sleep. A lock that an interrupt handler takes is taken with the _irq form
 * everywhere else.
 */
#pragma once

#include "arch/x86_64/cpu.h"
#include "lib/types.h"

struct spinlock {
    volatile uint32_t held;
};

#define SPINLOCK_INIT                                                                              \
    {                                                                                              \
        0                                                                                          \
    }

static inline void spin_lock_raw(struct spinlock *l)
{
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
        while (l->held)
            cpu_relax();
}

static inline void spin_unlock_raw(struct spinlock *l)
{
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

/* Takes it if it is free, else returns false. */
static inline bool spin_trylock(struct spinlock *l)
{
    preempt_disable();
    if (!__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
        return true;
    preempt_enable();
    return false;
}

static inline void spin_lock(struct spinlock *l)
{
    preempt_disable();
    spin_lock_raw(l);
}

static inline void spin_unlock(struct spinlock *l)
{
    spin_unlock_raw(l);
    preempt_enable();
}

/* Also keeps interrupts off; returns what spin_unlock_irq() restores. */
static inline irqflags_t spin_lock_irq(struct spinlock *l)
{
    irqflags_t flags = irq_save();
    spin_lock_raw(l);
    return flags;
}

static inline void spin_unlock_irq(struct spinlock *l, irqflags_t flags)
{
    spin_unlock_raw(l);
    irq_restore(flags);
}
