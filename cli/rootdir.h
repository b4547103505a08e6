/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host that is the root of a guest: files as they were unpacked, and the
 * list (mtree.h) of what they truly are, owners and modes included. Paths are the guest's; symlinks
 * are followed by the list alone, so none leads out.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "mtree.h"
#include "tree.h"

struct rootdir {
    char *dir; /* on the host */
    struct mtree files;
    bool *taken; /* by entry: rootdir_take() passed it */
};

/* The files in `dir` with the list in the file `list`. Freed with rootdir_free(), also after a
 * failure. */
bool rootdir_open(struct rootdir *r, const char *dir, const char *list, struct err *err);

/* Where `path` leads, symlinks followed; NULL: nowhere. */
const struct mtree_entry *rootdir_find(const struct rootdir *r, const char *path);

/* The same, and what is passed on the way is taken: links, directories, the file. */
const struct mtree_entry *rootdir_take(struct rootdir *r, const char *path);

/* Takes the entry itself and the directories above it. */
void rootdir_take_entry(struct rootdir *r, const struct mtree_entry *e);

/* The host's path of an entry, freed with free(). */
char *rootdir_host(const struct rootdir *r, const struct mtree_entry *e);

/* Adds all of it to the tree, but for what the kernel mounts over. The tree borrows from `r`. */
bool rootdir_add(const struct rootdir *r, struct tree *t, const char *why, struct err *err);

void rootdir_free(struct rootdir *r);
