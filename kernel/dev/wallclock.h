/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of time beside the TSC: the PC's real-time clock, and what KVM tells its guests. */
#pragma once

#include "lib/types.h"

/*
 * The real-time clock, taken as UTC, in seconds since 1970. Waits for at most
 * one update. -ENODEV: there is none, or it holds no date.
 */
int rtc_read(uint64_t *seconds);
/* Days since 1970-01-01 of a date of the Gregorian calendar; month and day from 1. */
int64_t civil_days(int year, unsigned month, unsigned day);

/* KVM's clock at one moment: ns = base_ns + ((tsc - base_tsc) << shift) * mult >> 32. */
struct kvmclock {
    uint64_t base_tsc, base_ns;
    uint32_t mult;
    int8_t shift;    /* negative: to the right */
    bool stable;     /* the same on all CPUs, now and after migration within this run */
    uint64_t tsc_hz; /* from mult and shift */
};

/* -ENODEV: not under KVM, or without its clock. On the boot CPU. */
int kvmclock_init(struct kvmclock *clock);
/* On every other CPU as it starts, so that kvmclock_now() works there. Nothing without the clock.
 */
void kvmclock_start_cpu(void);
/* Nanoseconds of KVM's clock by this CPU's record; any context. After kvmclock_init(). */
uint64_t kvmclock_now(void);
/* Nanoseconds since 1970 now. -ENODEV as above; after kvmclock_init(). */
int kvmclock_wall(uint64_t *ns);
