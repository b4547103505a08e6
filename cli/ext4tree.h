/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the entries of a tree into an open ext4 filesystem, new or with files in it:
 * directories that are there are entered, files and links are replaced. Owners,
 * modes, times, holes, symlinks and hard links stay.
 */
#pragma once

#include <ext2fs/ext2fs.h>
#include <stdbool.h>

#include "err.h"
#include "tree.h"

struct ext4tree_options {
    ext2_ino_t base;        /* the directory that is the tree's "/" */
    bool keep_base;         /* it keeps its mode and times */
    const char *large_hint; /* what to do when there is no room */
    /* Called before each entry and after each piece of a file (bytes written, not counting holes);
     * false, with err filled, ends the work between two changes. NULL: never. */
    bool (*step)(void *context, const struct tree_entry *e, uint64_t bytes, struct err *err);
    void *context;
};

/* Errors: a source that cannot be read, no room, a directory where a file is or the reverse. What
 * was written before the error stays; the filesystem is consistent. */
bool ext4tree_write(ext2_filsys fs, const struct tree *t, const struct ext4tree_options *options,
                    struct err *err);

/* Takes away one name of an inode, and the inode with its last name. A directory must be empty and
 * loses all its names. */
errcode_t ext4tree_unlink(ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t inode);
