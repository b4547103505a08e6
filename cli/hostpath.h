/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as text, and small files read whole. Nothing here follows symlinks
 * unless it says so. Results are freed with free().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "strlist.h"

char *path_join(const char *dir, const char *name); /* `name` alone when it is absolute */
char *path_dirname(const char *path);               /* "/" and "." as dirname(1) */
const char *path_basename(const char *path);        /* points into `path` */

/* Absolute and without `.`, `..` and doubled slashes, by text alone. */
char *path_normal(const char *path);

/* `path` made absolute (from the current directory), otherwise as it is, then normal. */
char *path_absolute(const char *path);

/* Where `rest` (NULL: nothing) below the symlink `link` with this target leads; normal. */
char *path_through(const char *link, const char *target, const char *rest);

/* The whole file with a NUL added; more than `limit` bytes is an error. NULL: see err. */
char *path_read(const char *path, size_t limit, size_t *size, struct err *err);

/* `rest` below the user's directory that a variable of the XDG base directories names, or below its
 * place in $HOME. NULL: see err. */
char *path_user(const char *variable, const char *in_home, const char *rest, struct err *err);

/* Adds the names in a directory that end in `suffix`, which is taken off, in order; none that begin
 * with a dot. A directory that is not there has none. */
bool path_names(const char *dir, const char *suffix, struct strlist *names, struct err *err);

/* Creates the directory and what is missing above it, mode 0700. False: errno says why. */
bool path_make_dirs(const char *path);

/* Creates the directory (not what is above it), which must then be one that only we may enter. */
bool path_private_dir(const char *path, struct err *err);

/* The directory, made if need be, and locked (flock) until it is closed; waits. -1: see err. */
int path_lock(const char *path, struct err *err);

/* May something of ours be called that: 1 to `most` letters, digits, `.`, `_` or `-`, the first a
 * letter or digit? */
bool path_name_ok(const char *name, size_t most);

/* Writes all at the start of the file. False: errno says why. */
bool path_put(int fd, const char *bytes, size_t n);

/* A new file in the directory, on the disk when this returns. False: errno says why. */
bool path_write(int dir, const char *name, const char *bytes, size_t n);

/* Removes a directory with all in it, and never what is outside. False: errno says why. */
bool path_remove_all(int dir, const char *name);
