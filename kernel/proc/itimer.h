/* SPDX-License-Identifier: Apache-2.0 */
/* The process's real-time interval timer: alarm(2), setitimer(2) ITIMER_REAL. */
#pragma once

#include "lib/types.h"

struct itimer_state {
    uint64_t value, interval; /* ns until it fires, 0: off; ns between firings */
};

void itimer_get(struct itimer_state *out);
void itimer_set(const struct itimer_state *new, struct itimer_state *old);
