/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping lock, not recursive; for thread context only. */
#pragma once

#include "sched/waitq.h"

struct mutex {
    volatile uint32_t state; /* 0 free, 1 held, 2 held and somebody waits */
    struct thread *owner;
    struct waitq waiters;
};

#define MUTEX_INIT(name)                                                                           \
    {                                                                                              \
        0, NULL, WAITQ_INIT((name).waiters)                                                        \
    }

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m); /* not interruptible */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by the calling thread */
