/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own code, for packages of languages: `ops pkg load python3 app.py`. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "strlist.h"
#include "tree.h"

/*
 * If one of the arguments argv[first...] names a file or directory of this host, the first that
 * does is code: the current directory is copied to `into` and the program starts there. An argument
 * outside of it, or a home directory as the current one, means that file or directory alone, and
 * the argument is changed to where it is. *taken: there is code.
 */
bool package_code(struct tree *t, const char *into, struct strlist *argv, size_t first, bool *taken,
                  struct err *err);
