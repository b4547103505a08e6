/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an image before it is written: guest path -> what stands there,
 * where it came from and why. Parents of an entry are made as needed, and a path
 * that runs through a symlink of the tree lands where the link leads. A later
 * file or link replaces an earlier one. The owner is root unless somebody says otherwise: the
 * numbers of the machine that builds mean nothing in the guest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"
#include "strlist.h"

struct mtree_entry;

enum tree_kind { TREE_DIR, TREE_FILE, TREE_LINK };

struct tree_entry {
    char *path; /* in the guest: absolute, normal, no symlink above the last component */
    enum tree_kind kind;
    char *source;   /* host file; NULL: made by ops */
    char *text;     /* TREE_LINK: the target; TREE_FILE without source: the content */
    char *why;      /* for people: "the program", "needed by /bin/sh", ... */
    struct stat st; /* mode, size, times, dev and ino of the source; zero times where made by ops */
    uint32_t uid, gid;
    const struct mtree_entry *listed; /* extended attributes; NULL: none */
    bool implied;                     /* a directory that only exists because something is in it */
    uint32_t inode;                   /* for the filesystem writer */
};

struct tree {
    void *root; /* of tsearch(3) */
    size_t count;
    const struct strlist *exclude; /* guest path patterns that are never added; NULL: none */
    uint32_t uid, gid; /* who owns what is added from now on, unless a list says otherwise */
    bool data; /* not a root filesystem: no directory is mounted over or linked as the host's */
};

/* Is `path` below a directory that the kernel mounts over (/dev, /proc, /tmp)? Nothing can be
 * added there but mount points. */
bool tree_hidden(const char *path);

/* Where tree_mirror() puts a host path: there too, or below /host where it would be hidden. Freed
 * with free(). */
char *tree_guest_path(const char *path);

/* Adds what ops itself makes. Errors: a file stands where a directory is needed, or the reverse. */
bool tree_add_dir(struct tree *t, const char *path, unsigned mode, const char *why,
                  struct err *err);
bool tree_add_text(struct tree *t, const char *path, unsigned mode, const char *text,
                   const char *why, struct err *err);
bool tree_add_bytes(struct tree *t, const char *path, unsigned mode, const void *bytes, size_t n,
                    const char *why, struct err *err);
bool tree_add_link(struct tree *t, const char *path, const char *target, const char *why,
                   struct err *err);

/* Adds the host's `source` (not followed when it is a symlink; a directory without its content)
 * as `path`. Sockets, pipes and devices are skipped. */
bool tree_add_host(struct tree *t, const char *path, const char *source, const char *why,
                   struct err *err);

/* The same for what stands in a list: its entry, where it is on the host, and its true stat. The
 * entry is borrowed until tree_free(). */
bool tree_add_listed(struct tree *t, const struct mtree_entry *listed, const char *source,
                     const struct stat *st, const char *why, struct err *err);

/* Adds host path `path` as tree_guest_path() says, with every symlink on the way and at its end. */
bool tree_mirror(struct tree *t, const char *path, const char *why, struct err *err);

/* Adds the directory `source` with all below as `path`. Each file's guest and host path are
 * also given to `seen` (may be NULL). */
typedef bool tree_seen_fn(void *context, const char *path, const char *source, struct err *err);
bool tree_add_all(struct tree *t, const char *path, const char *source, const char *why,
                  tree_seen_fn *seen, void *context, struct err *err);

struct tree_entry *tree_find(const struct tree *t, const char *path);

/* All entries sorted by path, parents first; the array is freed with free(). */
struct tree_entry **tree_entries(const struct tree *t);

void tree_free(struct tree *t);
