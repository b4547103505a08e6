/* SPDX-License-Identifier: Apache-2.0 */
/* `ops run --watch`: the machine again, from a new image, whenever a file of it changes. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "plan.h"

/* Until a signal asks for the end; *status is then the program's. A machine that ends by itself
 * starts again with the next change. Errors: it cannot be planned at first. */
bool watch_run(const struct request *r, int *status, struct err *err);
