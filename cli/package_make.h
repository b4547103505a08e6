/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packages from recipes: the distribution's packages are fetched and unpacked, and of their files
 * only those stay that the program needs. The bytes depend on the recipe and those packages alone.
 * Which they were, with versions and digests, is kept in the package as package.origin.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "recipe.h"

#define PACKAGE_ORIGIN "package.origin"

/* Makes the package and puts it into the store: *dir, freed with free(). `version` (NULL: any) is
 * the one that is wanted. Says on stderr what it does if that is a terminal. Errors: the
 * distribution has no such package or another version; no network. */
bool package_make(struct recipe *r, const char *version, char **dir, struct err *err);

/* The version that the distribution has now and, in `origin`, what the package would be made of;
 * freed with free() and cJSON_Delete(). */
bool package_newest(const struct recipe *r, char **version, cJSON **origin, struct err *err);
