/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a package really are: a list in mtree(5)'s text, one line a file, beside
 * a directory that anybody may own. On disk modes are limited to what needs no privilege
 * (mtree_disk_mode()); owners, special bits, xattrs and times stand here alone. Beside
 * mtree(5)'s keywords there is `xattr.NAME=BASE64`. Hard links are such on disk too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "digest.h"
#include "err.h"
#include "strlist.h"
#include "tree.h"

#define MTREE_PATH 4000 /* longest path in bytes: below PATH_MAX with room for where it stands */

struct mtree_xattr {
    char *name;
    unsigned char *value;
    size_t size;
};

struct mtree_entry {
    char *path; /* "/usr/bin/x", normal; "/" is the root */
    enum tree_kind kind;
    unsigned mode;  /* 07777 */
    unsigned nlink; /* TREE_FILE: its names in this list; 1 for all else */
    uint32_t uid, gid;
    uint64_t size; /* TREE_FILE alone, as is sha256 */
    struct timespec mtime;
    char *link; /* TREE_LINK: the target; otherwise NULL */
    unsigned char sha256[DIGEST_SIZE];
    struct mtree_xattr *xattrs;
    size_t xattr_count;
};

/* Sorted by path (strcmp), so parents come first; every path but "/" has its directory. All zero
 * is an empty list. */
struct mtree {
    struct mtree_entry *entries;
    size_t count;
};

/* Reads a file. It may come from anywhere: a path twice, out of order or below what is no
 * directory, a keyword that is missing, unknown or misplaced are errors with their line. Freed with
 * mtree_free(), also after a failure. */
bool mtree_read(struct mtree *m, const char *path, struct err *err);

/* The same for `size` bytes with a NUL behind them, called `name` in messages. */
bool mtree_parse(struct mtree *m, const char *name, const char *text, size_t size, struct err *err);

/* Writes `name` in the directory `dir` (a descriptor), on the disk when this returns. */
bool mtree_write(const struct mtree *m, int dir, const char *name, struct err *err);

const struct mtree_entry *mtree_find(const struct mtree *m, const char *path);

/* Compares the directory `root` with the list; adds one line a difference to `faults`: "missing",
 * "added", "changed kind|mode|target|content" and the path. Times and the numbers of links are
 * not compared. False: the tree cannot be read. */
bool mtree_verify(const struct mtree *m, const char *root, struct strlist *faults, struct err *err);

/* The mode of a file on disk: no set-id or sticky bit, and its owner may read and change it. */
unsigned mtree_disk_mode(enum tree_kind kind, unsigned mode);

/* `text` with everything but printing ASCII without space, #, = and \ as \ooo. Freed with free().
 */
char *mtree_escape(const char *text);

void mtree_entry_free(struct mtree_entry *e);
void mtree_free(struct mtree *m);
