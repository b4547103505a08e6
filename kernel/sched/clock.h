/* SPDX-License-Identifier: Apache-2.0 */
/* Time. All values are nanoseconds. */
#pragma once

#include "lib/types.h"

#define NSEC_PER_SEC 1000000000ull
#define CLOCK_NEVER  UINT64_MAX /* a deadline that never comes */

/* Since boot, never goes back; any context. */
uint64_t clock_now(void);
/* Since 1970, UTC. */
uint64_t clock_wall(void);
/* Sets the wall clock; `wall` is the time now. */
void clock_set_wall(uint64_t wall);
