/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in for kernel/arch/x86_64/cpu.h: interrupts and preemption do not exist. */
#pragma once

#include "arch/x86_64/percpu.h"
#include "lib/types.h"

typedef uint64_t irqflags_t;

static inline irqflags_t irq_save(void)
{
    return 0;
}
static inline void irq_restore(irqflags_t f)
{
    (void)f;
}
static inline void irq_enable(void)
{
}
static inline void irq_disable(void)
{
}
static inline bool irq_enabled(void)
{
    return true;
}
static inline void cpu_idle(void)
{
}
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}
static inline void cpu_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static inline uint64_t cpu_tsc(void)
{
    return __builtin_ia32_rdtsc();
}
static inline void preempt_disable(void)
{
}
static inline void preempt_enable(void)
{
}
static inline void cpu_zero(void *at, size_t words)
{
    __builtin_memset(at, 0, words * 8);
}
