/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts: ext4 root, volumes (volume.h), shares (share.h), tmpfs on /tmp and /dev/shm, devfs on
 * /dev, procfs on /proc. A mount point need not exist on the file system it covers: its name is
 * then kept by the name cache alone and listed by readdir. Lock: mounts are made at boot and by one
 * mutex; the list only grows.
 */
#pragma once

#include "fs/path.h"

struct seq;
struct blkdev;

/*
 * Mounts everything. root_label: the volume label of the root file system,
 * looked for on every block device; NULL or "": the root is an empty tmpfs.
 * read_only: the root is not changed (a journal is replayed all the same).
 * -ENODEV when no device has it; else errors of the mount, logged. Needs the
 * block devices. May sleep.
 */
int fs_init(const char *root_label, bool read_only);
/* NAME:/path[:ro], as the manifest says what is to be mounted where. */
struct mount_spec {
    char name[40]; /* a UUID as text is the longest */
    char at[256];
    bool read_only;
};
/* False: the text is none. */
bool mount_spec_parse(const char *text, struct mount_spec *s);
/* Hangs fs on an absolute path; its parent directory must exist. -EBUSY, -ENOENT, -ENOMEM. */
int mount_add(struct fs *fs, const char *source, const char *at, const char *options);
/* The root of everything, referenced; NULL before fs_init(). */
struct path *mount_root(void);
/* Calls fn for each mount in order until it returns non-zero; `at` is its absolute path. */
int mount_for_each(int (*fn)(void *arg, const char *source, const char *at, const struct fs *fs,
                             const char *options),
                   void *arg);
/* The names under `dir` that exist as mount points only: the n-th from 0, or NULL. */
struct path *mount_synthetic_child(struct path *dir, unsigned n);
/* Every file system's sync. 0 or the first error. */
int mount_sync_all(void);
/* The machine ends: syncs, and leaves clean volumes. */
void mount_end_all(void);
