/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: kernel stacks that the scheduler switches. A user thread is one with
 * a `task` (proc/). One run queue a CPU, round robin; an idle CPU steals.
 * Locks, interrupts off: the thread's for its state, then a run queue's for the
 * queue. Kernel stacks are kept and reused, never unmapped.
 */
#pragma once

#include "arch/x86_64/context.h"
#include "arch/x86_64/percpu.h"
#include "core/spinlock.h"
#include "lib/list.h"
#include "sched/clock.h"
#include "sched/timer.h"

struct task;

/* What a thread has read and written by calls, as /proc/self/io tells it. */
struct io_count {
    uint64_t bytes_read, bytes_written, reads, writes;
};

enum thread_state {
    THREAD_RUNNING,  /* on a CPU or on a run queue */
    THREAD_SLEEPING, /* the same, but about to block: a wake-up turns it back */
    THREAD_BLOCKED,  /* on neither: only thread_wake() brings it back */
    THREAD_DEAD,
};

struct thread {
    struct spinlock lock;
    struct context context; /* registers while switched out; kernel stack, FPU, FS base */
    enum thread_state state;
    uint32_t cpu;              /* where it runs or ran last */
    uint64_t affinity;         /* bit per CPU it may run on */
    volatile bool on_cpu;      /* its stack is in use by a CPU */
    bool interruptible;        /* blocked, and thread_interrupt() may wake it */
    bool timed_out;            /* its timeout came */
    volatile bool interrupted; /* something (a signal) waits for it */
    bool wants_switches;       /* WORK_NOTIFY after each switch (rseq) */
    uint64_t cpu_time;         /* ns on a CPU, up to `started` */
    uint64_t started;
    uint64_t switches;    /* times it left a CPU by itself */
    uint64_t preemptions; /* times it was made to */
    struct io_count io;
    struct list run_link;
    struct timer timeout;
    struct task *task;   /* NULL for a kernel thread */
    int fault;           /* why fault_handle() said no: enum fault of vm/fault.h */
    uint64_t fault_addr; /* the last one (CR2 of signal frames) */
    char name[16];
};

static inline struct thread *thread_current(void)
{
    return percpu_current();
}

/* Makes the caller this CPU's idle thread; it must not block, and calls thread_idle() in the end.
 */
void thread_init(void);
/* Runs threads for ever. */
_Noreturn void thread_idle(void);

/* A thread that will run fn(arg) in the kernel; not started. -ENOMEM. */
int thread_create(struct thread **out, const char *name, void (*fn)(void *), void *arg);
void thread_start(struct thread *t);
/* Frees a thread that was never started. */
void thread_discard(struct thread *t);
/* Ends the caller; its stack is freed by the next thread on this CPU. */
_Noreturn void thread_exit(void);
/*
 * Sleeps until woken: see sched/waitq.h. `deadline` is clock_now() based,
 * CLOCK_NEVER for none. 0, -ETIMEDOUT, or -EINTR when `interruptible`.
 */
int thread_block(uint64_t deadline, bool interruptible);
/* For waitq.c: the caller is about to block; and is not, after all. */
void thread_prepare_sleep(void);
void thread_cancel_sleep(void);
/* Makes a sleeping thread runnable; harmless otherwise. Any context. */
void thread_wake(struct thread *t);
/* Wakes the thread if it sleeps interruptibly, and kicks it out of user mode. */
void thread_interrupt(struct thread *t);
void thread_yield(void);
/* Sleeps, not interruptibly. */
void thread_sleep_until(uint64_t deadline);
/* Runs on `cpus` (bit per CPU) from now on; moves the caller if it must. For another
 * thread the caller may hold locks. */
void thread_set_affinity(struct thread *t, uint64_t cpus);
/* Calls fn(arg) once on every CPU that runs, one after another, in the caller. Sleeps. */
void thread_each_cpu(void (*fn)(void *arg), void *arg);
/* Set by proc/: a user thread comes onto this CPU; interrupts are off. NULL: nobody cares. */
extern void (*thread_switch_hook)(void);
/* Set by net/: this CPU has nothing to run; interrupts are off. NULL: nobody cares. */
extern void (*thread_idle_hook)(void);
/* Threads that run or want to; the caller's included. */
unsigned thread_active(void);
/* Switches on all CPUs so far. */
uint64_t thread_switches(void);
/* ns that a CPU had nothing to do. */
uint64_t thread_idle_time(unsigned cpu);
/* CPU time so far, ns. */
uint64_t thread_cpu_time(const struct thread *t);
