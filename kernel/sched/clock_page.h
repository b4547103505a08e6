/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock's parameters, in one page that the vDSO maps read-only into the
 * program: now = mono_base + (tsc - tsc_base) * mult / 2^32 nanoseconds.
 * Readers retry while `seq` is odd or has changed.
 * The wall clock is slewed by a part of the time that passes, 1 in 2^CLOCK_SLEW_SHIFT (488 ppm),
 * from `slew_from` on for `slew_span`: slow enough that it never stands still or goes back.
 */
#pragma once

#include "lib/types.h"

#define CLOCK_SLEW_SHIFT 11

struct clock_page {
    volatile uint32_t seq;
    uint32_t usable; /* 0: user code must make the system call */
    uint64_t tsc_base;
    uint64_t mono_base;        /* ns since boot at tsc_base */
    uint64_t mult;             /* ns * 2^32 per TSC tick */
    uint64_t wall_base;        /* ns since 1970 at boot: wall = wall_base + now, and the slew */
    uint64_t slew_from;        /* ns since boot */
    uint64_t slew_span;        /* ns; 0: none */
    uint32_t slew_back;        /* the wall clock is ahead and is slowed down */
    uint32_t cpu_from_tsc_aux; /* rdtscp tells the CPU's number */
};

static inline uint64_t clock_page_now(const struct clock_page *p, uint64_t tsc)
{
    uint64_t delta = tsc > p->tsc_base ? tsc - p->tsc_base : 0;
    return p->mono_base + (uint64_t)((unsigned __int128)delta * p->mult >> 32);
}

/* ns of the slew that are done at `now` (ns since boot). */
static inline uint64_t clock_page_slewed(const struct clock_page *p, uint64_t now)
{
    uint64_t past = now > p->slew_from ? now - p->slew_from : 0;
    return (past < p->slew_span ? past : p->slew_span) >> CLOCK_SLEW_SHIFT;
}

/* ns since 1970 at `now`. */
static inline uint64_t clock_page_wall(const struct clock_page *p, uint64_t now)
{
    uint64_t slewed = clock_page_slewed(p, now);
    return p->wall_base + now + (p->slew_back ? -slewed : slewed);
}
