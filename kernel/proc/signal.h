/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: actions, queues and delivery. Lock: process.signals.lock, a spinlock
 * taken with interrupts off, for actions, masks and queues; a thread's own lock
 * may be taken inside it.
 */
#pragma once

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "core/spinlock.h"
#include "lib/list.h"
#include "sched/waitq.h"

struct task;
struct trap_frame;

#define SIGNAL_COUNT       64
#define SIGNAL_BIT(sig)    (1ull << ((sig)-1))
#define SIGNAL_UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

/* sigaction(2) as the kernel sees it. */
struct signal_action {
    uint64_t handler; /* SIG_DFL, SIG_IGN or an address */
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct sigqueue {
    uint64_t set;     /* signals pending here */
    struct list info; /* struct signal_info, oldest first */
};

struct signal_state {
    struct spinlock lock;
    struct signal_action action[SIGNAL_COUNT];
    struct sigqueue pending; /* for whichever thread takes it */
    unsigned queued;         /* struct signal_info allocated */
    struct waitq arrived;    /* signalfd and sigtimedwait */
};

/* Sends to one thread, or (task NULL) to the process. 0, -EAGAIN (real-time queue full). */
int signal_send(struct task *task, int sig, const siginfo_t *info);
/* To the thread with that id; sig 0 only looks. -ESRCH. */
int signal_send_tid(int tid, int sig, const siginfo_t *info);
/* A fault of the calling thread: delivered even if blocked or ignored (then it kills). */
void signal_fault(int sig, int code, uint64_t addr, struct trap_frame *f);
/* A plain signal of the kernel's own to the process (Ctrl-C, SIGPIPE to the caller with self). */
void signal_kernel(int sig);
void signal_self(int sig);
/* Changes the caller's mask; returns the old one. */
uint64_t signal_set_mask(uint64_t mask);
/* Installs `act`, old action in *old; either may be NULL. -EINVAL. */
int signal_action(int sig, const struct signal_action *act, struct signal_action *old);
/* Takes a pending signal out of `set`, the caller's first: its number, or 0. */
int signal_take(uint64_t set, siginfo_t *info);
/* Pending and blocked, for sigpending(2). */
uint64_t signal_pending_set(void);
/* Looks again whether the thread has something to deliver (after a mask change). */
void signal_recheck(struct task *t);
/* Frees what a thread that ends leaves in its queue. */
void signal_drop(struct task *t);
/* On the way to user mode: builds frames, runs default actions. */
void signal_deliver(struct trap_frame *f);
const char *signal_name(int sig); /* "SIGSEGV"; "SIGRTMIN+n" */

/* sigframe.c: pushes a handler's frame. -EFAULT when the stack is bad. */
int sigframe_push(struct trap_frame *f, int sig, const siginfo_t *info,
                  const struct signal_action *act, uint64_t mask);
/* rt_sigreturn(2): the frame's registers become the program's. -EFAULT. */
int sigframe_pop(struct trap_frame *f);
