/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU clocks of the program, and timers that run by them. While one is armed, a
 * kernel timer is set for the earliest moment at which it could be due (all CPUs
 * busy), and for no longer than some thread runs: an idle guest has no
 * interrupts, and a timer is late by at most a quarter of a millisecond.
 */
#pragma once

#include "lib/list.h"
#include "sched/ticker.h"

struct cpu_timer {
    struct list link; /* armed ones, under the lock of cputimer.c; so are the fields below */
    int owner;        /* the thread whose time counts; 0: the process */
    uint64_t next, interval, count;
    void (*fn)(struct cpu_timer *t); /* it fired: interrupts off, must not set a CPU timer */
};

/* Whose time a clock id counts: a thread's id, 0 for the process; -EINVAL: no CPU clock of ours. */
int cpu_clock_owner(int clock);
/* ns; -EINVAL when the thread has ended. */
int cpu_clock_read(int owner, uint64_t *ns);

void cpu_timer_init(struct cpu_timer *t, int owner, void (*fn)(struct cpu_timer *t));
void cpu_timer_fini(struct cpu_timer *t);
/* As ticker_set(), ticker_get() and ticker_take(). */
void cpu_timer_set(struct cpu_timer *t, const struct ticker_time *new, bool absolute,
                   struct ticker_time *old);
void cpu_timer_get(struct cpu_timer *t, struct ticker_time *out);
uint64_t cpu_timer_take(struct cpu_timer *t);
/* Sleeps until the clock has advanced by `ns` (or reached it): 0, -EINTR with what is left. */
int cpu_clock_sleep(int owner, uint64_t ns, bool absolute, uint64_t *left);
