/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a package of what `ops run` would run: `ops pkg from-run`, from-pkg and from-oci. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "plan.h"

/* Copies the plan's tree and how its program starts into the store: *dir, freed with free(). */
bool package_write(const struct plan *p, const char *name, const char *version, char **dir,
                   struct err *err);
