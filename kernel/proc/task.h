/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task is the program's side of a thread: id, signals, TLS and the addresses
 * that the kernel writes when it ends. Fields belong to the thread itself
 * unless a lock is named.
 */
#pragma once

#include "arch/x86_64/trap.h"
#include "lib/list.h"
#include "proc/signal.h"
#include "sched/thread.h"

struct restart {
    long (*fn)(struct restart *r); /* continues an interrupted call (restart_syscall) */
    uint64_t deadline;
    uint64_t arg[4];
};

struct task {
    struct thread *thread;
    int tid;
    struct list link;       /* process.tasks, under process.lock */
    uint64_t sigmask;       /* blocked; changed under process.signals.lock */
    uint64_t saved_sigmask; /* to restore after the handler (sigsuspend, ppoll) */
    bool restore_sigmask;
    struct sigqueue pending; /* under process.signals.lock */
    uint64_t altstack, altstack_size;
    uint32_t altstack_flags;
    uint64_t clear_child_tid; /* user address, 0 if none */
    uint64_t robust_list;
    bool pi_exited; /* its PI futexes were handed over: it owns none any more; process.lock */
    uint64_t rseq;  /* user address of struct rseq, 0 if none */
    uint32_t rseq_signature;
    struct restart restart;
    int sched_policy, sched_priority, nice, ioprio;
    uint64_t timer_slack;
};

static inline struct task *task_current(void)
{
    return thread_current()->task;
}

/* The registers the program had when it entered the kernel. */
static inline struct trap_frame *task_frame(struct task *t)
{
    return (struct trap_frame *)(t->thread->context.stack_top - FRAME_SIZE);
}

/*
 * A thread of the program with its own extended state; enters user mode with
 * `frame` once started. -EAGAIN (too many), -ENOMEM.
 */
int task_create(struct task **out, const struct trap_frame *frame, const char *name);
void task_start(struct task *t);
/* Undoes task_create() for a task that was never started. */
void task_destroy(struct task *t);
/* Ends the calling thread; the last one ends the process with `status`. */
_Noreturn void task_exit(int status);
/* Keeps the calling thread where it is until the machine ends. */
_Noreturn void task_park(void);
/* The task with that id, process.lock held; NULL. */
struct task *task_find_locked(int tid);
