/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer as the program sees one: it fires once or again and again, at moments
 * of the wall clock or of the one that never goes back, and counts how often it
 * did. timerfd, POSIX timers and ITIMER_REAL are made of it. All times are ns.
 */
#pragma once

#include "core/spinlock.h"
#include "lib/list.h"
#include "sched/timer.h"

struct ticker_time {
    uint64_t value, interval; /* until it fires, 0: off; between firings, 0: once */
};

struct ticker {
    struct spinlock lock; /* interrupts off; before a timer queue's */
    struct timer timer;
    bool wall_clock;  /* absolute times are of the wall clock */
    bool on, by_wall; /* armed; `next` is a moment of the wall clock */
    uint64_t next, interval;
    uint64_t count;      /* expirations that ticker_take() has not told yet */
    uint64_t clock_sets; /* how often the wall clock was set while it ran by that */
    struct list link;    /* those with wall_clock */
    /* It fired, or the clock was set: in interrupt context, its lock not held; NULL: nothing. */
    void (*fn)(struct ticker *t);
};

void ticker_init(struct ticker *t, bool wall_clock, void (*fn)(struct ticker *t));
/* On return fn does not run and will not. May not be called from fn. */
void ticker_fini(struct ticker *t);
/* `value` counts from now, or is a moment with `absolute`. Forgets what was counted. */
void ticker_set(struct ticker *t, const struct ticker_time *new, bool absolute,
                struct ticker_time *old);
void ticker_get(struct ticker *t, struct ticker_time *out);
/* Expirations since the last call. */
uint64_t ticker_take(struct ticker *t);
/* After clock_set_wall(): what waits for a moment of the wall clock waits anew. */
void ticker_clock_set(void);
