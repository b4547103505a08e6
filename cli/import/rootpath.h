/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into an unpacked sysroot as the program will: symlinks lead inside of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mtree.h"
#include "strlist.h"

struct rootfs_view {
    const struct mtree *list;
    int root; /* sysroot/ */
};

/* What `path` (absolute) leads to; NULL: nothing. */
const struct mtree_entry *rootpath_find(const struct rootfs_view *v, const char *path);

/* The program that `name` starts: a path, from `cwd` if relative, or a name that `PATH` (of `env`,
 * or the usual one) finds. Freed with free(); NULL: none that can be executed. */
char *rootpath_program(const struct rootfs_view *v, const char *name, const char *cwd,
                       const struct strlist *env);

/* At most `limit` bytes from the start of the file that `path` leads to, with a NUL behind them;
 * NULL: it is none. Freed with free(). */
char *rootpath_read(const struct rootfs_view *v, const char *path, size_t limit);
