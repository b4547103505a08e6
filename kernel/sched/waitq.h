/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues: where threads sleep for a condition. The pattern, which never
 * loses a wake-up:
 *
 *     struct waiter w;
 *     int err = 0;
 *     waiter_init(&w);
 *     for (;;) {
 *         waitq_add(&q, &w);            (also marks the thread as going to sleep)
 *         if (condition || err)
 *             break;
 *         err = thread_block(deadline, true); (0, -ETIMEDOUT, -EINTR)
 *     }
 *     waitq_remove(&w);                 (also marks it running again)
 *
 * A waiter with its own `wake` function is a call-back (poll, epoll); it runs
 * under the queue's lock, in any context, and must not sleep.
 */
#pragma once

#include "core/spinlock.h"
#include "lib/list.h"

struct thread;
struct waiter;

struct waitq {
    struct spinlock lock; /* taken with interrupts off; before any run-queue lock */
    struct list waiters;
};

typedef void waiter_wake_fn(struct waiter *w, uint32_t events);

struct waiter {
    struct list link;
    struct waitq *queue;   /* NULL while on none */
    struct thread *thread; /* who sleeps */
    waiter_wake_fn *wake;  /* default: make `thread` runnable */
    bool exclusive;        /* a wake-one stops after the first of these */
};

#define WAITQ_INIT(name)                                                                           \
    {                                                                                              \
        SPINLOCK_INIT, LIST_INIT((name).waiters)                                                   \
    }

void waitq_init(struct waitq *q);
void waiter_init(struct waiter *w);
void waitq_add(struct waitq *q, struct waiter *w);
void waitq_remove(struct waiter *w);
/* Wakes every waiter; `events` (poll bits, 0 if none) goes to call-backs. */
void waitq_wake(struct waitq *q, uint32_t events);
/* Wakes the non-exclusive waiters and one exclusive one. */
void waitq_wake_one(struct waitq *q, uint32_t events);
