/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packages from elsewhere: a directory or a .tar.gz in OPS' layout, with or without our list. A
 * program that stands beside the manifest, as OPS allows, moves into the root directory.
 */
#pragma once

#include "err.h"

/* Takes it into the store: its directory there, freed with free(); NULL: see err. `name` and
 * `version` are what it is called here (NULL: as it is). */
char *package_add(const char *source, const char *name, const char *version, struct err *err);
