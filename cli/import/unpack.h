/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar archives to a directory, as they come: nothing is written outside of it whatever they say.
 * Paths are resolved in memory (layout.h), and every access to the disk goes through openat2(2)
 * that follows no symlink. Several archives make one tree. On disk are names, contents and modes
 * that need no privilege; the rest is collected for the list (mtree.h).
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "mtree.h"
#include "import/stream.h"

enum unpack_style {
    UNPACK_PLAIN,   /* what is there already may be replaced, but a directory only by one */
    UNPACK_PACKAGE, /* the same, and a directory over a symlink to one leaves the symlink */
    UNPACK_LAYER,   /* of a container image: whiteouts, and everything may be replaced */
};

struct unpack;

/* Into the empty directory `root` (a descriptor, kept open by the caller). Never NULL. */
struct unpack *unpack_create(int root, struct budget *budget);

/* An archive of one top directory, whose name is left out; sysroot/ in it is a root of its own
 * for symlinks. Call before the archive. */
void unpack_strip_top(struct unpack *u, const char *inner);

/* Adds an archive. Errors: see unpack_finish(). The caller removes the tree after one. */
bool unpack_archive(struct unpack *u, struct stream *s, enum unpack_style style, struct err *err);

/* Device nodes, FIFOs and the like that were left out. */
size_t unpack_skipped(const struct unpack *u);

/* The one top directory's name; NULL: none yet. */
const char *unpack_top(const struct unpack *u);

/* Sets the modes and times of directories, and gives the list of what is below `inner` ("/" for
 * all). Once, at the end. */
bool unpack_finish(struct unpack *u, const char *inner, struct mtree *m, struct err *err);

/* Takes everything out of the directory again. */
bool unpack_remove(struct unpack *u, struct err *err);

void unpack_free(struct unpack *u);
