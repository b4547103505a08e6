/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of tmpfs share. Fields change under the vnode's lock. */
#pragma once

#include "fs/vnode.h"

struct tmp_entry {
    struct list link; /* tmp_node.entries */
    struct tmp_entry *chain;
    uint64_t pos; /* grows with each new entry */
    struct vnode *vnode;
    uint32_t hash;
    uint16_t len;
    char name[];
};

struct tmp_node {
    struct vnode v;
    struct list entries; /* in order of pos */
    struct tmp_entry **bucket;
    unsigned bucket_count, count;
    uint64_t next_pos, parent_ino;
    char *target; /* of a symbolic link, terminated */
    struct tmp_xattr *xattrs;
};

struct tmpfs {
    struct fs fs;
    uint64_t limit, used; /* pages; used: atomic */
    uint64_t nodes, next_ino;
};

static inline struct tmp_node *tmp_node(struct vnode *v)
{
    return CONTAINER_OF(v, struct tmp_node, v);
}

extern const struct vnode_ops tmpfs_ops;

int tmpfs_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out);
int tmpfs_truncate(struct vnode *v, uint64_t size);
int tmpfs_allocate(struct vnode *v, int mode, uint64_t off, uint64_t len);
/* A page that is there is data. */
int64_t tmpfs_seek(struct vnode *v, uint64_t off, bool hole);

int tmpfs_xattr_get(struct vnode *v, const char *name, void *value, size_t size);
int tmpfs_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags);
int tmpfs_xattr_list(struct vnode *v, char *list, size_t size);
void tmpfs_xattr_free(struct tmp_node *n);
