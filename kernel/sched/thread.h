/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: kernel stacks that the scheduler switches. A user thread is one with
 * a `task` (proc/). One run queue a CPU; an idle CPU steals.
 * Locks: thread state changes under its run queue's lock.
 */
#pragma once

#include "arch/x86_64/context.h"
#include "arch/x86_64/percpu.h"
#include "lib/list.h"
#include "sched/clock.h"
#include "sched/timer.h"

struct task;

enum thread_state { THREAD_RUNNABLE, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

struct thread {
    struct context context; /* registers while switched out; kernel stack, FPU, FS base */
    enum thread_state state;
    uint32_t cpu;              /* where it runs or ran last */
    uint64_t affinity;         /* bit per CPU it may run on */
    bool on_cpu;               /* its stack is still in use by a CPU */
    bool interruptible;        /* asleep, and thread_interrupt() may wake it */
    volatile bool interrupted; /* something (a signal) waits for it */
    uint64_t slice_end;        /* clock_now() when it should give way */
    uint64_t cpu_time;         /* ns on a CPU, up to `started` */
    uint64_t started;
    struct list run_link;
    struct timer timeout;
    struct task *task; /* NULL for a kernel thread */
    char name[16];
};

static inline struct thread *thread_current(void)
{
    return percpu_current();
}

/* A thread that will run fn(arg) in the kernel; not started. -ENOMEM. */
int thread_create(struct thread **out, const char *name, void (*fn)(void *), void *arg);
void thread_start(struct thread *t);
/* Ends the caller; its stack is freed by the next thread on this CPU. */
_Noreturn void thread_exit(void);
/*
 * Sleeps until woken: see sched/waitq.h. `deadline` is clock_now() based,
 * CLOCK_NEVER for none. 0, -ETIMEDOUT, or -EINTR when `interruptible`.
 */
int thread_block(uint64_t deadline, bool interruptible);
/* Makes a sleeping thread runnable; harmless otherwise. Any context. */
void thread_wake(struct thread *t);
/* Wakes the thread if it sleeps interruptibly, and kicks it out of user mode. */
void thread_interrupt(struct thread *t);
void thread_yield(void);
/* Sleeps, not interruptibly. */
void thread_sleep_until(uint64_t deadline);
/* CPU time so far, ns. */
uint64_t thread_cpu_time(const struct thread *t);
