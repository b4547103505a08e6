/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests that write to ext4: an image made by the host's mke2fs, mounted on the
 * fake device; calls by path, as the system calls make them; e2fsck as the judge.
 */
#pragma once

#include "fs_test.h"

#include "fake_blkdev.h"
#include "fs/ext4/ext4.h"
#include "fs/writeback.h"
#include "mem/page.h"

struct rig {
    char dir[64]; /* on the host, for the image */
    struct blkdev dev;
    char *image;
    size_t bytes;
    struct fs *fs;
};

extern struct rig rig;

/* Runs a command; aborts when it fails. */
void rig_run(const char *fmt, ...);
/* The option of mke2fs that says "ext4", but where there is one already. */
const char *rig_type(const char *options);
/* mke2fs with these options and size, and the mount. */
void rig_make(const char *options, const char *size);
void rig_mount(void);
/* Unmounts (which leaves a clean volume), and e2fsck must find nothing to say. */
void rig_end(void);
void rig_unmount(void);
void rig_check(void);
void rig_free(void);
/* The image as a file in rig.dir. */
const char *rig_save(void);

/* By path from the root. 0 or -errno. */
int rig_get(const char *path, struct vnode **out);
int rig_create(const char *path, uint32_t mode, const char *target);
int rig_unlink(const char *path);
int rig_rename(const char *from, const char *to, unsigned flags);
int rig_link(const char *from, const char *to);
int rig_truncate(const char *path, uint64_t size);
int rig_allocate(const char *path, int mode, uint64_t off, uint64_t len);
ssize_t rig_write(const char *path, uint64_t off, const void *data, size_t n);
ssize_t rig_read(const char *path, uint64_t off, void *data, size_t n);
int rig_fsync(const char *path);
