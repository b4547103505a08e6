/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories of a share: file.priv is a struct p9_handle with a fid of
 * its own, which the host keeps open, also when the file has lost its names. See
 * p9_node.h.
 */
#include <linux/errno.h>
#include <linux/fs.h>

#include "fs/fs.h"
#include "fs/inotify.h"
#include "fs/p9/p9_node.h"
#include "fs/page_cache.h"
#include "fs/writeback.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "vm/map.h"

static ssize_t p9_file_read(struct file *f, struct uio *u, uint64_t *pos)
{
    const struct p9_handle *h = f->priv;
    if (vnode_is_dir(f->vnode))
        return -EISDIR;
    if (u->flags & UIO_CACHED)
        return -EAGAIN; /* nothing is here that the host need not be asked for */
    ssize_t n = p9_read_content(p9_node(f->vnode), h->fid, u, pos);
    if (n > 0)
        inotify_vnode(f->vnode, IN_ACCESS);
    return n;
}

static int p9_file_fsync(struct file *f, bool data_only)
{
    const struct p9_handle *h = f->priv;
    struct vnode *v = f->vnode;
    int err = vnode_write_back(v);
    int failed = v->fs->read_only ? 0 : p9_fsync(h->fid, data_only);
    int seen = page_cache_error(&v->cache, &f->errors_seen);
    return seen ? seen : err ? err : failed;
}

/* At the end of the file, wherever that is for the host. The vnode is locked. */
static ssize_t append_locked(struct p9_node *n, const struct p9_handle *h, struct uio *u,
                             uint64_t *pos)
{
    int err = h->append ? 0 : p9_node_refresh(n);
    if (!err)
        err = p9_write_edge(&n->v, n->v.size);
    if (err)
        return err;
    *pos = n->v.size;
    ssize_t done = p9_write_content(n, h->fid, u, pos, !h->append);
    if (done > 0 && h->append && !p9_node_refresh(n))
        *pos = n->v.size;
    return done;
}

/* The same at *pos. */
static ssize_t write_locked(struct p9_node *n, struct p9_handle *h, struct uio *u, uint64_t *pos)
{
    if (!h->append)
        return p9_write_content(n, h->fid, u, pos, true);
    int err = h->plain ? 0 : p9_node_open(n, O_WRONLY, &h->plain);
    return err ? err : p9_write_content(n, h->plain, u, pos, true);
}

static ssize_t p9_file_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct vnode *v = f->vnode;
    if (v->fs->read_only)
        return -EROFS;
    mutex_lock(&v->lock);
    ssize_t n = f->flags & O_APPEND || u->flags & UIO_APPEND
                    ? append_locked(p9_node(v), f->priv, u, pos)
                    : write_locked(p9_node(v), f->priv, u, pos);
    if (n > 0)
        v->mtime = v->ctime = (int64_t)clock_wall();
    mutex_unlock(&v->lock);
    if (n <= 0)
        return n;
    inotify_vnode(v, IN_MODIFY);
    bool sync = (f->flags & O_SYNC) == O_SYNC || u->flags & UIO_SYNC;
    int err = sync || f->flags & O_DSYNC || u->flags & UIO_DSYNC ? p9_file_fsync(f, !sync) : 0;
    if (!err)
        return n;
    u->done -= (size_t)n; /* it is not where it was to be: that is the answer, not a count */
    return err == -EAGAIN ? -ENOMEM : err;
}

static int64_t p9_file_seek(struct file *f, int64_t off, int whence)
{
    int err = whence == SEEK_SET || whence == SEEK_CUR ? 0 : vnode_refresh(f->vnode);
    return err ? err : vnode_file_seek(f, off, whence);
}

static int p9_file_mmap(struct file *f, struct vm_object **out)
{
    const struct p9_handle *h = f->priv;
    struct p9_node *n = p9_node(f->vnode);
    if (file_readable(f)) {
        p9_fid_get(h->fid);
        p9_node_set(n, &n->reader, h->fid);
    }
    if (file_readable(f) && file_writable(f)) {
        p9_fid_get(h->fid);
        p9_node_set(n, &n->writer, h->fid);
    }
    return vnode_file_mmap(f, out);
}

static int p9_file_truncate(struct file *f, uint64_t size)
{
    const struct p9_handle *h = f->priv;
    struct p9_node *n = p9_node(f->vnode);
    if (!vnode_is_regular(f->vnode))
        return -EINVAL;
    mutex_lock(&n->v.lock);
    int err = p9_node_refresh(n);
    bool gone = n->gone;
    if (!err && gone)
        err = size > INT64_MAX ? -EFBIG : p9_cut_gone(n, h->fid, size);
    mutex_unlock(&n->v.lock);
    if (err)
        return err;
    if (!gone)
        return vnode_truncate(f->vnode, size);
    inotify_vnode(f->vnode, IN_MODIFY);
    return 0;
}

/* What was mapped is written at the latest now; the host need not keep the file open. */
static void p9_file_release(struct file *f)
{
    struct p9_handle *h = f->priv;
    struct p9_node *n = p9_node(f->vnode);
    vnode_file_release(f);
    if (__atomic_load_n(&n->v.cache.dirty_count, __ATOMIC_RELAXED))
        vnode_write_back(&n->v);
    bool last = __atomic_sub_fetch(&n->opens, 1, __ATOMIC_ACQ_REL) == 0;
    if (last && !n->gone && !vm_object_mapped(&n->v.cache.object)) {
        p9_node_set(n, &n->reader, NULL);
        p9_node_set(n, &n->writer, NULL);
    }
    p9_fid_put(h->plain);
    p9_fid_put(h->fid);
    kfree(h);
}

static const struct file_ops p9_open_ops = {
    .release = p9_file_release,
    .read = p9_file_read,
    .write = p9_file_write,
    .seek = p9_file_seek,
    .readdir = p9_list,
    .stat = vnode_file_stat,
    .mmap = p9_file_mmap,
    .truncate = p9_file_truncate,
    .fsync = p9_file_fsync,
};

/* What the host is asked to open with; set-up of the file has been done. */
static uint32_t host_flags(const struct vnode *v, uint32_t flags)
{
    uint32_t access = flags & O_ACCMODE;
    if (vnode_is_dir(v))
        return O_RDONLY | O_DIRECTORY;
    return (access == O_ACCMODE ? O_RDWR : access) | (flags & O_APPEND);
}

/* The fid that make left open, taken once; NULL. */
static struct p9_fid *created_take(struct p9_node *n)
{
    spin_lock(&n->fids);
    struct p9_fid *f = n->created;
    n->created = NULL;
    spin_unlock(&n->fids);
    return f;
}

int p9_open(struct vnode *v, uint32_t flags, struct file **out)
{
    struct p9_node *n = p9_node(v);
    struct p9_handle *h = kzalloc(sizeof *h);
    if (!h)
        return -ENOMEM;
    h->fid = created_take(n);
    h->append = flags & O_APPEND;
    int err = 0;
    if (!h->fid) {
        err = p9_node_open(n, host_flags(v, flags), &h->fid);
    } else if (h->append) {
        struct p9_fid *better;
        h->append = !p9_node_open(n, host_flags(v, flags), &better);
        if (h->append) {
            p9_fid_put(h->fid);
            h->fid = better;
        }
    }
    struct file *f = err ? NULL : file_create(&p9_open_ops, flags, h);
    if (!f) {
        p9_fid_put(h->fid);
        kfree(h);
        return err ? err : -ENOMEM;
    }
    vnode_file_attach(f, v, NULL);
    f->errors_seen = page_cache_sample(&v->cache);
    __atomic_add_fetch(&n->opens, 1, __ATOMIC_ACQ_REL);
    *out = f;
    return 0;
}
