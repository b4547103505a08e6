/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes that a program finds mounted: NAME:/path[:ro] as --mounts and `Mounts` say
 * it. NAME is a volume's name or UUID, or a file if it has a slash.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "strlist.h"
#include "tree.h"

struct mount {
    char *name;
    char *path; /* in the guest; normal */
    bool read_only;
    char *file; /* on the host, once attached */
    int fd;     /* holds its lock; QEMU inherits it */
};

struct mounts {
    struct mount *items; /* parents of a path before it */
    size_t count;
};

/* Whether something may be mounted there. Errors (OPS_EXIT_USAGE) name the option's word. */
bool mount_path_check(const char *option, const char *word, const char *path, struct err *err);

/* Reads the words and adds the mount points to the tree. Errors (OPS_EXIT_USAGE): no absolute
 * path, a path that the kernel needs itself, a path or a volume twice. */
bool mounts_parse(struct mounts *m, const struct strlist *words, struct tree *t, struct err *err);

/* Adds what the manifest says of them: by name, as a disk elsewhere finds them. Errors: a file. */
bool mounts_declare(const struct mounts *m, struct strlist *manifest, struct err *err);

/* Finds and locks the volumes and says to the manifest which they are, by UUID. Errors: unknown, in
 * use, damaged, two that look the same, more than `most`. */
bool mounts_attach(struct mounts *m, struct strlist *manifest, size_t most, struct err *err);

void mounts_free(struct mounts *m);
