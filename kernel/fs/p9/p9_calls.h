/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of 9P2000.L, one function each: 0 or what p9_call() answers, -ENOMEM.
 * All sleep until the server has answered. Names are not terminated.
 */
#pragma once

#include "fs/p9/p9_client.h"
#include "fs/vnode.h"

/* Attaches to the directory as the user; *out is its root. */
int p9_attach(struct p9_client *c, uint32_t uid, struct p9_fid **out, struct p9_qid *qid);
/* A fid for the entry of `dir`; name NULL: for the same file. */
int p9_walk(struct p9_fid *dir, const struct vnode_name *name, struct p9_fid **out,
            struct p9_qid *qid);
int p9_getattr(struct p9_fid *f, struct p9_attr *a);
/* `mask`: P9_SETATTR_*, which tell what of the others counts. */
int p9_setattr(struct p9_fid *f, unsigned mask, const struct vnode_attr *a, uint64_t size);
/* Opens the file that the fid stands for; O_* of open(2). */
int p9_lopen(struct p9_fid *f, uint32_t flags);
/* A new file in the directory: the fid stands for it from then on, and is open. */
int p9_lcreate(struct p9_fid *dir, const struct vnode_name *name, uint32_t flags, uint32_t mode,
               uint32_t gid);
/* A new directory, link or special file. */
int p9_make(struct p9_fid *dir, const struct vnode_name *name, const struct vnode_new *what);
int p9_link(struct p9_fid *dir, const struct vnode_name *name, struct p9_fid *target);
int p9_rename(struct p9_fid *from, const struct vnode_name *old, struct p9_fid *to,
              const struct vnode_name *name);
int p9_unlink(struct p9_fid *dir, const struct vnode_name *name, bool directory);
/* Length of the text, cut at n. */
int p9_readlink(struct p9_fid *f, char *buf, size_t n);
/*
 * Reads to or writes from kernel memory of the direct map, at most p9_data_max()
 * bytes in P9_PAGES pieces. Bytes; fewer than asked for where the file ends.
 */
ssize_t p9_read(struct p9_fid *f, uint64_t off, const struct p9_piece *piece, unsigned n);
ssize_t p9_write(struct p9_fid *f, uint64_t off, const struct p9_piece *piece, unsigned n);
/* Whole entries of an open directory from the position on: their bytes; 0 at the end. */
ssize_t p9_readdir(struct p9_fid *f, uint64_t pos, void *buf, uint32_t n);
int p9_fsync(struct p9_fid *f, bool data_only);
int p9_statfs(struct p9_fid *f, struct fs_stats *st);
/* A fid to read an attribute's value (name "": the list of names) from; its size. */
int p9_xattr_walk(struct p9_fid *f, const char *name, struct p9_fid **out, uint64_t *size);
/* The fid becomes the attribute's, and takes `size` bytes; p9_clunk() sets it. */
int p9_xattr_create(struct p9_fid *f, const char *name, uint64_t size, int flags);
/* Gives the caller's only reference back and waits for what the server says to that. */
int p9_clunk(struct p9_fid *f);

/* Bytes of data that one message may carry. */
static inline uint32_t p9_data_max(const struct p9_client *c)
{
    return (uint32_t)ALIGN_DOWN(c->msize - 24, PAGE_SIZE);
}
