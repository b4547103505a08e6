/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of our own beside the machine: they end with us, however we end. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

/* Starts `run` in a child; it is not expected to return. `keep`: a descriptor it needs, beside
 * the standard ones all others are closed; signals of the terminal do not reach it. */
bool helper_start(pid_t *pid, void (*run)(void *arg), void *arg, const int *keep, size_t count,
                  struct err *err);

/* Ends it; 0 is fine. */
void helper_stop(pid_t *pid);
