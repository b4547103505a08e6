/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that mean a package where a program could stand:
 *   pkg:NAME[:VERSION]     one of the store, made or fetched if it is not there
 *   oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], docker://NAME[:TAG|@DIGEST]
 *                          a container image, unpacked once and kept in the cache
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "package.h"

bool package_ref_is(const char *word);

/* Opens what the word means, to start its own program or `entrypoint` (NULL: none). Freed with
 * package_close(), also after a failure. */
bool package_ref_open(struct package *p, const char *word, const char *entrypoint, struct err *err);

/* The directory of the package NAME[:VERSION]: of the store, else of the first repository that has
 * it, else made of its recipe. *made: it was not in the store. Freed with free(); NULL: see err. */
char *package_get(const char *word, bool *made, struct err *err);
