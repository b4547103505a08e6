/* SPDX-License-Identifier: Apache-2.0 */
/* Vnodes of a shared directory: their fids and attributes. See p9_node.h. */
#include "fs/p9/p9_node.h"

#include <linux/errno.h>

#include "fs/page_cache.h"
#include "mem/kmalloc.h"

struct p9_fid *p9_node_fid(struct p9_node *n, struct p9_fid *const *which)
{
    spin_lock(&n->fids);
    struct p9_fid *f = *which;
    if (f)
        p9_fid_get(f);
    spin_unlock(&n->fids);
    return f;
}

void p9_node_set(struct p9_node *n, struct p9_fid **which, struct p9_fid *fid)
{
    spin_lock(&n->fids);
    struct p9_fid *old = *which;
    *which = fid;
    spin_unlock(&n->fids);
    p9_fid_put(old);
}

int p9_node_path(struct p9_node *n, struct p9_fid **out)
{
    *out = __atomic_load_n(&n->gone, __ATOMIC_ACQUIRE) ? NULL : p9_node_fid(n, &n->fid);
    return *out ? 0 : -ENOENT;
}

int p9_node_open(struct p9_node *n, uint32_t flags, struct p9_fid **out)
{
    struct p9_fid *path, *fid;
    int err = p9_node_path(n, &path);
    if (err)
        return err;
    err = p9_walk(path, NULL, &fid, NULL);
    p9_fid_put(path);
    if (err)
        return err;
    err = p9_lopen(fid, flags);
    if (err)
        p9_fid_put(fid);
    else
        *out = fid;
    return err;
}

static bool same_kind(const struct vnode *v, const struct p9_qid *qid)
{
    return vnode_is_dir(v) == !!(qid->type & P9_QTDIR) &&
           vnode_is_link(v) == !!(qid->type & P9_QTSYMLINK);
}

/* The attributes of the host; what the page cache holds of an older version goes. Locked. */
static void attributes_set(struct p9_node *n, const struct p9_attr *a)
{
    struct vnode *v = &n->v;
    if (n->version != a->qid.version || v->mtime != a->mtime || v->size != a->size) {
        n->version = a->qid.version;
        __atomic_store_n(&v->size, a->size, __ATOMIC_RELEASE);
        p9_drop_pages(n);
    }
    v->mode = a->mode;
    v->nlink = (uint32_t)MIN(a->nlink, (uint64_t)UINT32_MAX);
    v->uid = a->uid;
    v->gid = a->gid;
    v->rdev = a->rdev;
    v->blocks = a->blocks;
    v->atime = a->atime;
    v->mtime = a->mtime;
    v->ctime = v->btime = a->ctime;
}

void p9_node_lost(struct p9_node *n)
{
    struct vnode *v = &n->v;
    v->nlink = vnode_is_dir(v) || v->nlink == 0 ? 0 : v->nlink - 1;
    if (v->nlink == 0)
        __atomic_store_n(&n->gone, true, __ATOMIC_RELEASE);
}

int p9_node_refresh(struct p9_node *n)
{
    struct p9_fid *path;
    struct p9_attr a;
    struct vnode *v = &n->v;
    if (p9_node_path(n, &path))
        return 0;
    int err = p9_getattr(path, &a);
    p9_fid_put(path);
    if (err == -ENOENT || err == -ENOTDIR || (!err && a.qid.path != v->ino)) {
        /* The name it was found by leads elsewhere; it may have others. */
        p9_node_lost(n);
        __atomic_store_n(&n->gone, true, __ATOMIC_RELEASE);
        return 0;
    }
    if (err)
        return err;
    if ((a.mode & S_IFMT) != (v->mode & S_IFMT)) {
        vnode_unpublish(v);
        __atomic_store_n(&n->gone, true, __ATOMIC_RELEASE);
        return -ESTALE;
    }
    attributes_set(n, &a);
    return 0;
}

/* A node that is new to us; takes over the fid. */
static int node_create(struct p9_fs *fs, struct p9_fid *fid, struct vnode **out)
{
    struct p9_attr a;
    int err = p9_getattr(fid, &a);
    struct p9_node *n = err ? NULL : kzalloc(sizeof *n);
    if (!n) {
        p9_fid_put(fid);
        return err ? err : -ENOMEM;
    }
    bool plain = S_ISREG(a.mode) || S_ISDIR(a.mode);
    vnode_init(&n->v, &fs->fs, plain ? &p9_file_ops : &p9_special_ops, a.qid.path, a.mode);
    n->v.flags = VNODE_LIVE;
    n->fid = fid;
    attributes_set(n, &a);
    *out = vnode_publish(&n->v);
    return 0;
}

int p9_node_find(struct p9_fs *fs, struct p9_fid *fid, const struct p9_qid *qid, struct vnode **out)
{
    struct vnode *v = vnode_find(&fs->fs, qid->path);
    if (v) {
        struct p9_node *n = p9_node(v);
        /* A number is used again when its file is gone; one that is open keeps it. */
        bool held = __atomic_load_n(&n->opens, __ATOMIC_ACQUIRE) || n->reader || n->writer;
        if (same_kind(v, qid) && (held || !n->gone)) {
            p9_node_set(n, &n->fid, fid);
            __atomic_store_n(&n->gone, false, __ATOMIC_RELEASE);
            *out = v;
            return 0;
        }
        vnode_unpublish(v);
        vnode_put(v);
    }
    return node_create(fs, fid, out);
}
