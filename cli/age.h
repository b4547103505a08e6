/* SPDX-License-Identifier: Apache-2.0 */
/* Ages as people write them: 3d, 2w, 6m, 1y, which is days, weeks, months and years of the
 * calendar. */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "err.h"

/* The moment `text` before `now`. Errors (OPS_EXIT_USAGE): it is no age. */
bool age_before(const char *text, time_t now, time_t *then, struct err *err);
