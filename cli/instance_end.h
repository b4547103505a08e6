/* SPDX-License-Identifier: Apache-2.0 */
/* Ending a detached machine in good order. */
#pragma once

#include <stdbool.h>

#include "err.h"

#define INSTANCE_END      10 /* seconds the program has by default */
#define INSTANCE_END_MOST 1000000

/* Ends it if it runs: SIGTERM, the power after `seconds`. It is over, with its locks, when this
 * returns. */
bool instance_end(const char *name, unsigned long seconds, struct err *err);
