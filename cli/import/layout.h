/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree being unpacked, in memory: names, and what they name (a hard link is a second name).
 * Where a path of an archive leads is decided here, inside the tree alone: a symlink's absolute
 * target starts at the tree's root, and `..` never leaves it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mtree.h"

struct inode {
    struct mtree_entry meta; /* path NULL; nlink counts the names */
};

struct node {
    char *name; /* "" for the root */
    struct node *parent;
    struct inode *inode;
    void *children;   /* of tsearch(3), by name; TREE_DIR alone */
    unsigned archive; /* the last one that named it; 0: none, it only has something below */
};

/* A root directory without anything in it. */
struct node *node_create_root(void);

/* A name in a directory that has none of that name. `inode` NULL: a new one of that kind, with
 * mode 0755. */
struct node *node_add(struct node *dir, const char *name, enum tree_kind kind, struct inode *inode);

/* Takes it out of its directory. It has no children. */
void node_remove(struct node *n);

struct node *node_child(const struct node *dir, const char *name);

/* The children in order, a NULL behind the last; freed with free(). */
struct node **node_children(const struct node *dir);

/* The path from `root` down, "/" for that itself; freed with free(). */
char *node_path(const struct node *n, const struct node *root);

/*
 * The directory below `root` in which the last component of `path` stands, which goes to *last
 * (freed with free(); "" when it is the root itself). What is missing on the way is left in *rest
 * (freed with free(); NULL: nothing is). Symlinks are followed, but not the last component.
 * NULL: `path` has a `..`, is too long, runs through a file or a loop; *why is the end of
 * a sentence.
 */
struct node *node_walk(struct node *root, const char *path, char **rest, char **last,
                       const char **why);

void node_free_all(struct node *root);
