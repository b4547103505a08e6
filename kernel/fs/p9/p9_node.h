/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of fs/p9 share: a mounted directory of the host and its files.
 *
 * The host changes files whenever it likes, so nothing is believed for long: names
 * are looked up each time (VNODE_LIVE), attributes are asked for when somebody wants
 * them (p9_node_refresh), reads and writes go to the host. Only mappings use the page
 * cache; its pages are dropped when a refresh finds that the file has changed.
 *
 * QEMU knows a fid that is not open by its path: when a file has lost the name that
 * it was found by, its fid means another file or none. A refresh sees that by the
 * file's number, and the node is `gone` until a look-up finds it again: its
 * attributes are then what is known here, and only open fids are used.
 *
 * Locks: attributes change under the vnode's lock; `fids` (spin) guards the fids.
 */
#pragma once

#include "fs/p9/p9_calls.h"
#include "fs/vnode.h"

struct p9_fs {
    struct fs fs;
    struct p9_client client;
};

struct p9_node {
    struct vnode v;
    struct spinlock fids;
    struct p9_fid *fid;             /* as the last look-up found it; referenced, as the others */
    struct p9_fid *reader, *writer; /* open ones, for the page cache; NULL: none yet */
    struct p9_fid *created;         /* open for both, from make to the open that follows; or NULL */
    uint32_t version;               /* the qid's, of what the page cache holds */
    unsigned opens;                 /* open files; atomic */
    bool gone;                      /* no name leads to it that we know of */
};

/* An open file: file.priv. */
struct p9_handle {
    struct p9_fid *fid;
    struct p9_fid *plain; /* for writes once O_APPEND was taken back; or NULL */
    bool append;          /* with `fid` the host appends, wherever the file ends for it */
};

extern const struct vnode_ops p9_file_ops, p9_special_ops;

static inline struct p9_node *p9_node(struct vnode *v)
{
    return CONTAINER_OF(v, struct p9_node, v);
}

static inline struct p9_client *p9_client(const struct p9_node *n)
{
    return &CONTAINER_OF(n->v.fs, struct p9_fs, fs)->client;
}

/* The vnode for what a walk has found, referenced; takes over the fid, also on failure. */
int p9_node_find(struct p9_fs *fs, struct p9_fid *fid, const struct p9_qid *qid,
                 struct vnode **out);
/* One of the node's fids with a reference for the caller, or NULL. */
struct p9_fid *p9_node_fid(struct p9_node *n, struct p9_fid *const *which);
/* Sets one of them; takes over the reference. */
void p9_node_set(struct p9_node *n, struct p9_fid **which, struct p9_fid *fid);
/* The fid that stands for its path, referenced: -ENOENT when it is gone. */
int p9_node_path(struct p9_node *n, struct p9_fid **out);
/* A fid of its own, opened. */
int p9_node_open(struct p9_node *n, uint32_t flags, struct p9_fid **out);
/*
 * Attributes as the host has them now. The vnode is locked. -ESTALE: another kind of file
 * has its number now; look the name up again.
 */
int p9_node_refresh(struct p9_node *n);
/* One name of it is gone. Locked. */
void p9_node_lost(struct p9_node *n);

/* p9_dir.c */
int p9_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out);
int p9_make_entry(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
                  struct vnode **out);
int p9_link_entry(struct vnode *dir, const struct vnode_name *name, struct vnode *target);
int p9_unlink_entry(struct vnode *dir, const struct vnode_name *name, struct vnode *victim);
int p9_rename_entry(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                    struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                    unsigned flags);
/* Entries of an open directory from f->pos on. */
int p9_list(struct file *f, dirent_fn *fn, void *arg);

/* p9_data.c */
int p9_read_pages(struct vnode *v, uint64_t index, struct page **pages, unsigned n);
int p9_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out);
int p9_write_pages(struct vnode *v, struct page **pages, unsigned n);
int p9_truncate(struct vnode *v, uint64_t size);
int p9_sync(struct vnode *v, bool data_only);
/* Cached pages that nobody has changed are forgotten, and leave mappings. */
void p9_drop_pages(struct p9_node *n);
/*
 * Content between a fid and a uio; for writing the vnode is locked. `known`: the host
 * writes at *pos, so pages in memory are changed alike.
 */
ssize_t p9_read_content(struct p9_node *n, struct p9_fid *f, struct uio *u, uint64_t *pos);
ssize_t p9_write_content(struct p9_node *n, struct p9_fid *f, struct uio *u, uint64_t *pos,
                         bool known);
/* The length of a file without a name: only we know it. */
int p9_cut_gone(struct p9_node *n, struct p9_fid *f, uint64_t size);

/* Dirty content of the page that holds byte `at` is written. */
int p9_write_edge(struct vnode *v, uint64_t at);

/* p9_file.c */
int p9_open(struct vnode *v, uint32_t flags, struct file **out);

/* p9_xattr.c */
int p9_xattr_get(struct vnode *v, const char *name, void *value, size_t size);
int p9_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags);
int p9_xattr_list(struct vnode *v, char *list, size_t size);
