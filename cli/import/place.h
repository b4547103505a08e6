/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of layout.h on disk. A node's directory is opened by its whole path with openat2(2),
 * which neither follows a symlink nor leaves the root; everything else happens in that directory.
 */
#pragma once

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "import/layout.h"

struct place {
    int root;
    const struct node *tree;
    const struct node *open; /* the directory that `dir` is; NULL: none */
    int dir;
};

struct place_file {
    int fd;
    uint64_t at; /* written or skipped up to here */
    char *path;
    crypto_hash_sha256_state digest;
};

/* Each makes what the node says; its directory is there and it is not. */
bool place_dir(struct place *p, const struct node *n, struct err *err);
bool place_symlink(struct place *p, const struct node *n, struct err *err);
bool place_link(struct place *p, const struct node *to, const struct node *n, struct err *err);

/* A file's content, front to back; what is left out between the pieces is a hole. */
bool place_file_begin(struct place_file *f, struct place *p, const struct node *n, struct err *err);
bool place_file_add(struct place_file *f, uint64_t at, const void *bytes, size_t n,
                    struct err *err);
/* Gives it size, mode and time of `meta` and that its SHA-256, if `ok`; closes it in any case. */
bool place_file_end(struct place_file *f, struct mtree_entry *meta, bool ok, struct err *err);

/* A directory's mode and time, when nothing more comes into it. */
bool place_dir_end(struct place *p, const struct node *n, struct err *err);

/* Takes the node away, here and on disk. It has no children. */
bool place_remove(struct place *p, struct node *n, struct err *err);

void place_free(struct place *p);
