/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each CPU owns, at the base of its GS segment while it is in the kernel.
 * The offsets that are named here are known to syscall.S and trap.S.
 */
#pragma once

#define PERCPU_SELF       0
#define PERCPU_KERNEL_RSP 8
#define PERCPU_USER_RSP   16
#define PERCPU_CURRENT    24
#define PERCPU_PREEMPT    32
#define PERCPU_WORK       36
#define PERCPU_CALLS      1112

#define WORK_RESCHED 1 /* the scheduler wants to run */
#define WORK_NOTIFY  2 /* the running thread has a signal, or wants to know that it was switched */

#define CPU_MAX 64

#define SYSCALL_TABLE_SIZE 512 /* numbers of system calls that are somebody's are below */

#ifndef __ASSEMBLER__
#include "lib/types.h"

struct thread;

struct percpu {
    struct percpu *self;
    uint64_t kernel_rsp; /* top of the current thread's kernel stack */
    uint64_t user_rsp;   /* scratch of the syscall entry */
    struct thread *current;
    uint32_t preempt;       /* > 0: no preemption */
    volatile uint32_t work; /* WORK_* bits: what stands before the way to user mode */
    uint32_t id;            /* 0 .. cpu_count() - 1 */
    uint32_t apic_id;
    uint32_t irq_depth; /* > 0: in an interrupt handler */
    void *run_queue;    /* sched/'s */
    void *page_cache;   /* mem/'s */
    struct tss *tss;
    volatile uint32_t online;
    uint32_t interrupts[256];           /* taken, by vector */
    uint64_t calls[SYSCALL_TABLE_SIZE]; /* system calls that were made here, by number */
};
_Static_assert(__builtin_offsetof(struct percpu, calls) == PERCPU_CALLS, "known to syscall.S");

/* The calling CPU's block; valid only while the thread cannot migrate. */
static inline struct percpu *percpu(void)
{
    struct percpu *p;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(p));
    return p;
}

/* The running thread; valid in any context. */
static inline struct thread *percpu_current(void)
{
    struct thread *t;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(t) : "i"(PERCPU_CURRENT));
    return t;
}

/* One more call of that number, as syscall.S counts it. */
static inline void percpu_count_call(uint64_t nr)
{
    __asm__ volatile("incq %%gs:%c1(, %0, 8)" ::"r"(nr), "i"(PERCPU_CALLS) : "memory", "cc");
}

struct percpu *percpu_of(unsigned cpu);
unsigned cpu_count(void); /* CPUs that run */
#endif
