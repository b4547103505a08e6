/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What system calls (and exec) do with paths: open, stat, create, remove. Each
 * takes a context, a start for relative paths (NULL: the working directory)
 * and a terminated path in kernel memory; each may sleep and answers -errno as
 * the Linux call of that name.
 */
#pragma once

#include "fs/path.h"

/* flags: O_* of open(2); O_CLOEXEC is the caller's business. walk: WALK_NO_XDEV and its like. */
int fs_open(struct fs_context *ctx, struct path *start, const char *name, uint32_t flags,
            uint32_t mode, unsigned walk, struct file **out);
/* Opens what a walk has found already. Checks permissions. */
int fs_open_path(struct fs_context *ctx, struct path *p, uint32_t flags, struct file **out);
int fs_stat(struct fs_context *ctx, struct path *start, const char *name, unsigned walk,
            struct file_stat *st);
/* Of what a walk found; `followed`: links at the end were to be followed. */
int fs_stat_path(struct path *p, bool followed, struct file_stat *st);
/* Bytes of the link's text, cut at n. */
ssize_t fs_readlink(struct fs_context *ctx, struct path *start, const char *name, char *buf,
                    size_t n);
int fs_access(struct fs_context *ctx, struct path *start, const char *name, unsigned walk,
              unsigned may, const struct cred *cred);
/* File, device (type in mode) or directory; ctx's umask is applied. */
int fs_make(struct fs_context *ctx, struct path *start, const char *name, uint32_t mode,
            uint64_t rdev);
int fs_symlink(struct fs_context *ctx, struct path *start, const char *name, const char *target);
int fs_link(struct fs_context *ctx, struct path *target, struct path *start, const char *name);
/* unlink(2), or rmdir(2) when `dir`. */
int fs_unlink(struct fs_context *ctx, struct path *start, const char *name, bool dir);
int fs_rename(struct fs_context *ctx, struct path *from, const char *old, struct path *to,
              const char *name, unsigned flags);
int fs_chdir(struct fs_context *ctx, struct path *p);
int fs_chroot(struct fs_context *ctx, struct path *p);
/* Attributes; permission is checked, set-id bits are cleared by a change of owner. */
int fs_setattr(struct fs_context *ctx, struct vnode *v, const struct vnode_attr *a);
int fs_truncate(struct fs_context *ctx, struct vnode *v, uint64_t size);

/* A vnode's file, generic (regular files, directories). `p` may be NULL. */
int vnode_file_create(struct vnode *v, struct path *p, uint32_t flags, struct file **out);
/* Makes a file of another kind (device, /proc) known as the vnode's: its own references. */
void vnode_file_attach(struct file *f, struct vnode *v, struct path *p);
/* Operations of the generic file, for those that replace some of the others. */
int64_t vnode_file_seek(struct file *f, int64_t off, int whence);
int vnode_file_mmap(struct file *f, struct vm_object **out);
void vnode_file_release(struct file *f);
/* Names in a directory that are mount points only; the first has position `first`. */
int vnode_file_list_mounts(struct file *f, uint64_t first, dirent_fn *fn, void *arg);
/* For device files: stat of the vnode they were opened through. */
int vnode_file_stat(struct file *f, struct file_stat *st);
