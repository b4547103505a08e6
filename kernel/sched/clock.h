/* SPDX-License-Identifier: Apache-2.0 */
/* Time, from the TSC. All values are nanoseconds. */
#pragma once

#include "lib/types.h"

#define NSEC_PER_SEC 1000000000ul
#define CLOCK_NEVER  UINT64_MAX /* a deadline that never comes */

struct clock_page;

/* Starts the clock at 0; rates are guesses until clock_calibrate(). */
void clock_init(void);
/*
 * Sets the rate: `tsc_hz` if the hypervisor told it, else (0) by comparing the
 * TSC with the APIC timer over the time since clock_init(). Timers armed before
 * start to run now.
 */
void clock_calibrate(uint64_t tsc_hz);
/* False: the rate is a guess still (up to 5 times too fast), and timers do not fire. */
bool clock_calibrated(void);
uint64_t clock_tsc_hz(void);
/*
 * For machines whose TSCs differ between CPUs: from now on time is read from
 * `read` (nanoseconds, any context), and programs have to ask the kernel for it.
 */
void clock_set_source(uint64_t (*read)(void));

/* Since boot, never goes back; any context. */
uint64_t clock_now(void);
/* Since 1970, UTC. */
uint64_t clock_wall(void);
/* About the same at a panic, where a CPU may have stopped while it wrote the page. */
uint64_t clock_wall_unlocked(void);
/* Sets the wall clock; `wall` is the time now. Ends a slew. */
void clock_set_wall(uint64_t wall);
/*
 * Brings the wall clock forward or back by `ns` in small parts, 488 us a second; it never goes
 * back meanwhile. What is left of an earlier slew is dropped.
 */
void clock_slew(int64_t ns);
int64_t clock_slew_left(void); /* ns still to come */
/* The clock runs faster by so many in 10^9 than its rate at boot; nothing with a `read` of its own.
 */
void clock_trim(int32_t ppb);
/* Somebody who knows the time has compared: the wall clock, slews included, is right to `error` ns.
 * Until it is set. */
void clock_set_synced(uint64_t error);
bool clock_is_synced(uint64_t *error); /* what it may be wrong by now, ns */
/* The page for the vDSO. */
struct clock_page *clock_shared_page(void);
/* Programs this CPU's timer interrupt for `deadline`; CLOCK_NEVER: none. Interrupts are off. */
void clock_program(uint64_t deadline);
