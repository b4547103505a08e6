/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that every part of the kernel needs: interrupts, preemption, barriers, TSC. */
#pragma once

#include "arch/x86_64/percpu.h"
#include "lib/types.h"

typedef uint64_t irqflags_t;

#define RFLAGS_IF (1u << 9)

static inline irqflags_t irq_save(void)
{
    irqflags_t f;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(f)::"memory");
    return f;
}

static inline void irq_restore(irqflags_t f)
{
    if (f & RFLAGS_IF)
        __asm__ volatile("sti" ::: "memory");
}

static inline void irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline bool irq_enabled(void)
{
    irqflags_t f;
    __asm__ volatile("pushfq; popq %0" : "=r"(f));
    return f & RFLAGS_IF;
}

/* Atomically enables interrupts and sleeps until one comes. */
static inline void cpu_idle(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline void cpu_barrier(void)
{
    __asm__ volatile("mfence" ::: "memory");
}

/* Not read before what stands before it: times taken under a lock stay in its order. */
static inline uint64_t cpu_tsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static inline void preempt_disable(void)
{
    __asm__ volatile("incl %%gs:%c0" ::"i"(PERCPU_PREEMPT) : "memory", "cc");
}

void preempt_check(void); /* upcalls.h: runs the scheduler if it is wanted and allowed */

static inline void preempt_enable(void)
{
    uint32_t work;
    bool zero;
    __asm__ volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(PERCPU_PREEMPT) : "memory");
    if (!zero)
        return;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(work) : "i"(PERCPU_WORK));
    if (UNLIKELY(work))
        preempt_check();
}

/* Zeroes whole words; fast where CPU_ERMS is real, slower than a loop under emulation. */
static inline void cpu_zero(void *at, size_t words)
{
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0) : "memory");
}

/* a * b / c with a 128-bit product; the quotient must fit 64 bits. */
static inline uint64_t cpu_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t lo, hi;
    __asm__("mulq %3\n\tdivq %4" : "=&a"(lo), "=&d"(hi) : "0"(a), "r"(b), "r"(c) : "cc");
    return lo;
}
