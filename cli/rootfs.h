/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a tree as an ext4 filesystem with libext2fs: no mount, no root rights.
 * The bytes depend only on the tree (paths, modes, times, content) and the
 * options: identifiers are derived from them, the only clock is the newest file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "tree.h"

struct rootfs_options {
    const char *label;
    const char *shown;    /* what messages call the file; NULL: its path */
    uint64_t offset;      /* of the filesystem in the file, in bytes */
    uint64_t size;        /* bytes; 0: as large as needed, rootfs_size() */
    bool journal;         /* will be written to and must survive a power cut */
    bool volume;          /* may be grown later; is dated now, not by its files */
    unsigned char id[64]; /* what the filesystem's UUID and hash seed are derived from */
    /* As in ext4tree.h; may be NULL. */
    bool (*step)(void *context, const struct tree_entry *e, uint64_t bytes, struct err *err);
    void *context;
};

/* The UUID that comes of an id, as text. */
void rootfs_uuid(const unsigned char id[64], char text[37]);

/* Bytes the tree takes with the default free space: a quarter, at least 16 MiB. */
uint64_t rootfs_size(const struct tree *t, bool journal);

/* Digest of everything of the tree that the image shows, file content by size and time. */
void rootfs_digest(const struct tree *t, unsigned char digest[64]);

/* Writes the filesystem into the existing file `path` (grown if shorter). `options->size` is set.
 * Errors: a source that cannot be read, disk full, more files than `size` has room for. */
bool rootfs_write(const char *path, const struct tree *t, const struct rootfs_options *options,
                  struct err *err);
