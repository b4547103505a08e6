/* SPDX-License-Identifier: Apache-2.0 */
/* Of all that was unpacked for a recipe, what the package keeps. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "recipe.h"

/* Lays the recipe's files over `dir`/sysroot, removes what is not needed there, and writes the list
 * anew. The manifest's program becomes the path its pattern means. Errors: the program is not
 * there, or lacks a library; a pattern of Keep means nothing. */
bool package_select(struct recipe *r, const char *dir, struct err *err);
