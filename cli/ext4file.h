/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ext4 filesystem in a file of the host, read and changed without mounting it:
 * a bare filesystem (a volume, an image of `ops run`'s cache) or the partition of
 * a disk made by `ops build`.
 *
 * Locks: flock(2) on the file, exclusive for who writes, shared for who reads. `ops
 * run` holds it, through QEMU, as long as the machine lives. A journal that was left
 * behind is replayed (by e2fsck) before anything is read, where the file can be written.
 * While it is being changed the filesystem is marked as such: a killed ops leaves
 * one that asks for `check --repair`, never one that looks sound and is not.
 */
#pragma once

#include <ext2fs/ext2fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "buf.h"
#include "err.h"

struct ext4file {
    char *path;
    const char *partition; /* GPT name that was asked for */
    uint64_t offset, size; /* of the filesystem in the file; bytes */
    bool disk;             /* it is a partition */
    bool writable;
    bool held;   /* for a machine, which replays the journal itself */
    bool busy;   /* somebody else writes it: what is read may be torn */
    bool marked; /* as being changed, until it is closed */
    int fd;      /* holds the lock */
    ext2_filsys fs;
};

/* HOLD: locked like WRITE, for somebody else (a machine) who will write it. */
enum ext4file_mode { EXT4FILE_READ, EXT4FILE_WRITE, EXT4FILE_HOLD };

/* Opens and locks the file and, where it is a disk, finds the partition with this GPT name.
 * Errors: cannot be opened, in use (writing), neither ext4 nor such a disk, damaged. */
bool ext4file_open(struct ext4file *f, const char *path, const char *partition,
                   enum ext4file_mode mode, struct err *err);

/* Only file, lock and place: `fs` stays NULL. */
bool ext4file_locate(struct ext4file *f, const char *path, const char *partition,
                     enum ext4file_mode mode, struct err *err);

/* Reads the superblock of a located filesystem, after a journal was replayed. */
bool ext4file_attach(struct ext4file *f, struct err *err);

/* Writes what changed to the medium. Errors leave the file closed as well. */
bool ext4file_close(struct ext4file *f, struct err *err);

/* Closes it when another error is there already. */
void ext4file_abandon(struct ext4file *f);

/* "clean", "damaged", ...: the state in a few words. */
const char *ext4file_state(const struct ext4file *f);

/* A UUID as text, in lower case. */
void ext4file_uuid(const uint8_t uuid[16], char text[37]);

/* The inode of a path, symlinks followed (the last one if `follow`). */
bool ext4file_lookup(struct ext4file *f, const char *path, bool follow, ext2_ino_t *ino,
                     struct err *err);

/* Mode, owner, size, times, links and blocks. */
bool ext4file_stat(struct ext4file *f, ext2_ino_t ino, struct stat *st, struct err *err);

struct ext4name {
    char *name;
    ext2_ino_t ino;
};

/* The names of a directory without . and .., sorted, the array ended by a NULL name. */
bool ext4file_names(struct ext4file *f, ext2_ino_t dir, struct ext4name **names, struct err *err);
void ext4file_names_free(struct ext4name *names);

/* The target of a symlink, freed with free(); NULL: see err. */
char *ext4file_link(struct ext4file *f, ext2_ino_t ino, struct err *err);

/* Gives the content of a file to `take`, in pieces, holes as zeros, until it returns false. */
typedef bool ext4file_take_fn(void *context, const char *bytes, size_t n, struct err *err);
bool ext4file_read(struct ext4file *f, ext2_ino_t ino, ext4file_take_fn *take, void *context,
                   struct err *err);
