/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long work on files that must not be cut off: SIGINT, SIGTERM and SIGHUP wait until
 * it has come to a clean stop. On a terminal it says how far it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "err.h"

struct hold {
    uint64_t bytes, files;
    struct timespec begin, shown;
    bool terminal; /* standard error is one */
};

/* From now on signals wait. */
void hold_begin(struct hold *h);

/* Counts what was done; false, with err filled, when a signal is waiting. */
bool hold_step(struct hold *h, uint64_t files, uint64_t bytes, struct err *err);

/* Shows on a terminal how far `what` is, from 0 to 1; below 0: only `what`. hold_step() counts
 * nothing then. */
void hold_bar(struct hold *h, const char *what, double part);

/* Takes the progress line away and lets the signals through: one that waited ends ops here. */
void hold_end(struct hold *h);
