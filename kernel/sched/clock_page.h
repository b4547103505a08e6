/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock's parameters, in one page that the vDSO maps read-only into the
 * program: now = mono_base + (tsc - tsc_base) * mult / 2^32 nanoseconds.
 * Readers retry while `seq` is odd or has changed.
 */
#pragma once

#include "lib/types.h"

struct clock_page {
    volatile uint32_t seq;
    uint32_t usable; /* 0: user code must make the system call */
    uint64_t tsc_base;
    uint64_t mono_base;        /* ns since boot at tsc_base */
    uint64_t mult;             /* ns * 2^32 per TSC tick */
    uint64_t wall_base;        /* ns since 1970 at boot: wall = wall_base + now */
    uint32_t cpu_from_tsc_aux; /* rdtscp tells the CPU's number */
};

static inline uint64_t clock_page_now(const struct clock_page *p, uint64_t tsc)
{
    uint64_t delta = tsc > p->tsc_base ? tsc - p->tsc_base : 0;
    return p->mono_base + (uint64_t)((unsigned __int128)delta * p->mult >> 32);
}
