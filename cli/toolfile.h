/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to the tool and is installed with it. */
#pragma once

#include "err.h"

/* The file or directory `name` beside the tool, else in ../share/ops/ of it, freed with free().
 * NULL: see err. */
char *tool_file(const char *name, struct err *err);
