/* SPDX-License-Identifier: Apache-2.0 */
/* The process's interval timers: alarm(2), setitimer(2). */
#pragma once

#include "sched/ticker.h"

/* `which`: ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. */
void itimer_get(int which, struct ticker_time *out);
void itimer_set(int which, const struct ticker_time *new, struct ticker_time *old);
