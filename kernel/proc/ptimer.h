/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers: timer_create(2). They send a signal each time they fire, or none at all. */
#pragma once

#include <asm/siginfo.h>

#include "sched/ticker.h"

struct ptimer_spec {
    bool cpu;  /* runs by a CPU clock: owner as in proc/cputimer.h */
    bool wall; /* runs by the wall clock */
    int owner;
    int signal;     /* 0: none */
    int tid;        /* who gets it; 0: the process */
    bool own_value; /* the signal carries the timer's id instead of `value` */
    sigval_t value;
};

/* The id (>= 0), -EAGAIN (RLIMIT_SIGPENDING), -ENOMEM. */
int ptimer_create(const struct ptimer_spec *spec);
/* -EINVAL: no such timer; so in the calls below. */
int ptimer_delete(int id);
int ptimer_set(int id, const struct ticker_time *new, bool absolute, struct ticker_time *old);
int ptimer_get(int id, struct ticker_time *out);
/* Firings that the signal delivered last stood for, itself not counted. */
int ptimer_overrun(int id);
/* For signal.c, with its lock held: a timer's signal is taken out of its queue. */
void ptimer_taken(siginfo_t *info);
