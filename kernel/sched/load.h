/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load averages: how many threads ran or wanted to, over about 1, 5 and 15 minutes.
 * A sample is due every LOAD_PERIOD, but nothing wakes up for it: the scheduler takes
 * those that are due when it next looks at its queues, and the reader the rest. Nothing
 * has changed in between, so each of them sees what it would have seen in time.
 */
#pragma once

#include "lib/types.h"

#define LOAD_PERIOD   (5 * 1000000000ull) /* ns */
#define LOAD_AVERAGES 3
#define LOAD_SHIFT    20 /* an average of 1.0 is 1 << LOAD_SHIFT */

/* When the next sample is due; read without the lock. */
extern volatile uint64_t load_next;

/* Takes the samples that are due, with `active` threads at work. Any context. */
void load_sample(uint64_t now, unsigned active);
/* The averages now. */
void load_get(uint64_t average[LOAD_AVERAGES]);
