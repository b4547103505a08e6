/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the dynamic loaders look for libraries when the files themselves do not
 * say: glibc by /etc/ld.so.conf and its built-in directories, musl by
 * /etc/ld-musl-x86_64.path or its built-in ones.
 */
#pragma once

#include <stdbool.h>

#include "strlist.h"

/* Is this loader (a PT_INTERP path) musl's? */
bool ldpath_is_musl(const char *loader);

/* Adds the directories that `loader` searches, in its order; as it does in the root directory
 * `root` (NULL: /), which has no ld.so.conf as long as it has no ld.so.cache made of it. */
void ldpath_add(struct strlist *dirs, const char *loader, const char *root);

/* Adds the directories that a DT_RPATH, DT_RUNPATH or LD_LIBRARY_PATH text names, for an object
 * in directory `origin`: $ORIGIN, $LIB and $PLATFORM, with and without braces. */
void ldpath_expand(struct strlist *dirs, const char *text, const char *origin);
