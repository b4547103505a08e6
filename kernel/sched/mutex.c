/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes: an atomic word, and a wait queue for the slow path (Drepper's mutex2). */
#include "sched/mutex.h"

#include "core/panic.h"
#include "sched/thread.h"

enum { FREE, HELD, CONTENDED };

void mutex_init(struct mutex *m)
{
    m->state = FREE;
    m->owner = NULL;
    waitq_init(&m->waiters);
}

bool mutex_trylock(struct mutex *m)
{
    uint32_t expected = FREE;
    if (!__atomic_compare_exchange_n(&m->state, &expected, HELD, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    m->owner = thread_current();
    return true;
}

void mutex_lock(struct mutex *m)
{
    if (LIKELY(mutex_trylock(m)))
        return;
    ASSERT(m->owner != thread_current());
    struct waiter w;
    waiter_init(&w);
    w.exclusive = true;
    for (;;) {
        waitq_add(&m->waiters, &w);
        if (__atomic_exchange_n(&m->state, CONTENDED, __ATOMIC_ACQUIRE) == FREE)
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
    m->owner = thread_current();
}

void mutex_unlock(struct mutex *m)
{
    m->owner = NULL;
    if (__atomic_exchange_n(&m->state, FREE, __ATOMIC_RELEASE) == CONTENDED)
        waitq_wake_one(&m->waiters, 0);
}

bool mutex_held(const struct mutex *m)
{
    return m->state != FREE && m->owner == thread_current();
}
