/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of this host that a program finds mounted, live: HOST:/path[:ro] as
 * --share and `Shares` say it (--mounts and `Mounts` too, when HOST is a directory).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mounts.h"
#include "strlist.h"
#include "tree.h"

struct share {
    char *host; /* absolute, no symlinks */
    char *path; /* in the guest; normal */
    bool read_only;
};

struct shares {
    struct share *items; /* parents of a path before it; the index is part of the device's tag */
    size_t count;
};

/* Whether a word of --mounts means a directory of this host. */
bool share_meant(const char *word);

/* Reads the words and adds the mount points to the tree. Errors: no directory of this host; else
 * as mounts_parse() (OPS_EXIT_USAGE), also for a path that is in the way of a volume's. */
bool shares_parse(struct shares *s, const struct strlist *words, const struct mounts *m,
                  struct tree *t, struct err *err);

/* What the kernel is told of them; the name of the n-th device is SHARE_TAG and its index. */
#define SHARE_TAG "share"
void shares_declare(const struct shares *s, struct strlist *manifest);

void shares_free(struct shares *s);
