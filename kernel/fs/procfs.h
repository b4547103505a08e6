/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc. Content comes from registered generators: whoever has the data
 * registers a function for a path. "self/..." stands for the directory of the
 * one process, "/sys/..." for a file of sysfs, which is a second tree of the same kind.
 * Registration is for boot only and takes no lock.
 */
#pragma once

#include "fs/seq.h"
#include "fs/vnode.h"

struct fd_table;
struct fs_context;

/* Writes the whole text; runs at a read from position 0, in the reader's thread; may sleep. */
typedef int procfs_text_fn(struct seq *out);
/* Where a magic link leads, referenced; -ENOENT. */
typedef int procfs_link_fn(struct path **out);

/* Takes what was written, terminated and without a newline at its end: 0 or -errno. */
typedef int procfs_write_fn(int id, const char *text);

/* A file, for instance "meminfo" or "self/maps"; missing directories are made. -ENOMEM, -EEXIST. */
int procfs_register(const char *path, procfs_text_fn *fn);
int procfs_register_mode(const char *path, uint32_t mode, procfs_text_fn *fn);
/* The generator finds `id` in seq->id. */
int procfs_register_id(const char *path, int id, procfs_text_fn *fn);
/* A magic link, for instance "self/exe". */
int procfs_register_link(const char *path, procfs_link_fn *fn);
/* A link whose text `text` writes: its length, not terminated, cut at n. */
int procfs_register_text_link(const char *path, int (*text)(char *buf, size_t n));
/* A file with constant text, which stays the caller's. */
int procfs_register_const(const char *path, const char *text);
/* The file, registered before, can be written to. */
int procfs_register_write(const char *path, procfs_write_fn *fn);
/*
 * A directory of numbered directories: `next` gives the smallest number above
 * `after`, or -1. What they hold is registered under PATH/[n], for instance
 * "self/task/[n]/comm"; a generator finds the number in seq->id.
 */
int procfs_register_numbers(const char *path, int (*next)(int after));

/* Writes the text of a file outside of numbered directories, for nobody's thread. -ENOENT. */
int procfs_text(const char *path, struct seq *out);

/*
 * The file system for /proc, with what fs/ itself knows: self, thread-self,
 * self/{fd,fdinfo,cwd,root,mounts,mountinfo}, mounts, filesystems, version, uptime,
 * meminfo, loadavg and constants under sys/.
 */
int procfs_create(struct fs **out);
/* The file system for /sys: what was registered under "/sys/". */
int sysfs_create(struct fs **out);
/* What self/fd, self/cwd and self/root show, and the directory's name. Once the process exists. */
void procfs_set_process(struct fd_table *fds, struct fs_context *ctx, unsigned pid);
