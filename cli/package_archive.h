/* SPDX-License-Identifier: Apache-2.0 */
/* Packages as archives, NAME_VERSION.tar.gz, and trees of them (repo.h). */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "strlist.h"

/* Writes the directory `dir` as the new file `file`, with `top` as its one top directory; equal
 * directories give equal bytes. Compressed if its name ends in "gz". */
bool package_archive(const char *dir, const char *top, const char *file, struct err *err);

/* Puts packages of the store (their directories' names) into the tree `dir`, made if need be, and
 * signs its index anew with the secret key in the file `key`, for so many days (0: for ever). */
bool package_publish(const char *dir, const struct strlist *names, const char *key, unsigned days,
                     struct err *err);
