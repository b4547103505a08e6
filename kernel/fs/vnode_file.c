/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open file of a regular file or directory: struct file over struct vnode.
 * No lock of its own: positions are under file.pos_lock, contents under the
 * vnode's lock.
 */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs/fs.h"
#include "fs/inotify.h"
#include "fs/mount.h"
#include "fs/writeback.h"

/* Positions of names that exist as mount points only, behind all others. */
#define POS_SYNTHETIC (1ull << 62)
#define SECTOR        512

/* O_DIRECT goes through the cache, and so is coherent with it; only whole sectors are taken. */
static bool direct_allowed(const struct file *f, const struct uio *u, uint64_t pos)
{
    return !(f->flags & O_DIRECT) || !f->vnode->cache.ops->write_pages ||
           ((pos | u->left | (u->vec ? u->vec->base + u->offset : 0)) & (SECTOR - 1)) == 0;
}

static ssize_t vfile_read(struct file *f, struct uio *u, uint64_t *pos)
{
    if (vnode_is_dir(f->vnode))
        return -EISDIR;
    if (!direct_allowed(f, u, *pos))
        return -EINVAL;
    bool wanted = u->left;
    ssize_t n = vnode_read(f->vnode, u, pos);
    if (n >= 0 && wanted && !(f->flags & O_NOATIME))
        vnode_accessed(f->vnode);
    if (n > 0)
        inotify_vnode(f->vnode, IN_ACCESS);
    return n;
}

static ssize_t vfile_pages(struct file *f, uint64_t pos, size_t n, struct file_pages *p)
{
    if (vnode_is_dir(f->vnode) || f->flags & O_DIRECT)
        return -EOPNOTSUPP;
    ssize_t got = vnode_pages(f->vnode, pos, n, p);
    if (got >= 0 && !(f->flags & O_NOATIME))
        vnode_accessed(f->vnode);
    if (got > 0)
        inotify_vnode(f->vnode, IN_ACCESS);
    return got;
}

static int vfile_fsync(struct file *f, bool data_only)
{
    struct vnode *v = f->vnode;
    int err = vnode_write_back(v);
    int failed = v->ops->fsync ? v->ops->fsync(v, data_only) : 0;
    int seen = page_cache_error(&v->cache, &f->errors_seen);
    return seen ? seen : err ? err : failed;
}

/* What an O_DIRECT write left in the cache goes to the disk; perhaps by the hand of another. */
static int direct_write_back(struct file *f, uint64_t from, uint64_t to)
{
    struct page_cache *c = &f->vnode->cache;
    int err = page_cache_write(c, from >> PAGE_SHIFT, (to + PAGE_SIZE - 1) >> PAGE_SHIFT);
    int seen = page_cache_error(c, &f->errors_seen);
    return seen ? seen : err;
}

static ssize_t vfile_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct vnode *v = f->vnode;
    if (!direct_allowed(f, u, *pos))
        return -EINVAL;
    bool sync = (f->flags & O_SYNC) == O_SYNC || u->flags & UIO_SYNC;
    ssize_t n = vnode_write(v, u, pos, f->flags & O_APPEND || u->flags & UIO_APPEND);
    if (n <= 0)
        return n;
    inotify_vnode(v, IN_MODIFY);
    int err = 0;
    if (sync || f->flags & O_DSYNC || u->flags & UIO_DSYNC)
        err = vfile_fsync(f, !sync);
    else if (f->flags & O_DIRECT)
        err = direct_write_back(f, *pos - (uint64_t)n, *pos);
    if (!err)
        return n;
    u->done -= (size_t)n; /* it is not where it was to be: that is the answer, not a count */
    return err == -EAGAIN ? -ENOMEM : err;
}

int64_t vnode_file_seek(struct file *f, int64_t off, int whence)
{
    uint64_t size = f->vnode->size, limit = f->vnode->fs->size_limit, old = f->pos;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (off < 0 || (uint64_t)off >= size)
            return -ENXIO;
        if (f->vnode->ops->seek)
            off = f->vnode->ops->seek(f->vnode, (uint64_t)off, whence == SEEK_HOLE);
        else if (whence == SEEK_HOLE)
            off = (int64_t)size;
        if (off < 0)
            return off;
        whence = SEEK_SET;
    }
    off = file_seek_size(f, off, whence, size);
    if (off < 0 || !limit || (uint64_t)off <= limit || !vnode_is_regular(f->vnode))
        return off;
    f->pos = old;
    return -EINVAL;
}

static int vfile_readdir(struct file *f, dirent_fn *fn, void *arg)
{
    struct vnode *v = f->vnode;
    int err = 0;
    if (!vnode_is_dir(v) || !v->ops->readdir)
        return -ENOTDIR;
    if (!(f->flags & O_NOATIME))
        vnode_accessed(v);
    if (f->pos < POS_SYNTHETIC) {
        mutex_lock(&v->lock);
        err = v->ops->readdir(v, &f->pos, fn, arg);
        mutex_unlock(&v->lock);
        if (err)
            return err > 0 ? 0 : err;
        if (!f->path)
            return 0;
    }
    return vnode_file_list_mounts(f, POS_SYNTHETIC, fn, arg);
}

int vnode_file_list_mounts(struct file *f, uint64_t first, dirent_fn *fn, void *arg)
{
    uint64_t pos = MAX(f->pos, first), ino;
    struct path *p;
    while (f->path && (p = mount_synthetic_child(f->path, (unsigned)(pos - first), &ino))) {
        bool full = fn(arg, p->name, p->len, ino, S_IFDIR >> 12, pos + 1);
        path_put(p);
        if (full)
            return 0;
        f->pos = ++pos;
    }
    return 0;
}

int vnode_file_stat(struct file *f, struct file_stat *st)
{
    if (!f->vnode)
        return -EBADF;
    int err = vnode_refresh(f->vnode);
    if (!err || err == -ESTALE) { /* it was that file when it was opened */
        vnode_stat(f->vnode, st);
        err = 0;
    }
    return err;
}

int vnode_file_mmap(struct file *f, struct vm_object **out)
{
    if (!vnode_is_regular(f->vnode))
        return -ENODEV;
    if (!(f->flags & O_NOATIME))
        vnode_accessed(f->vnode);
    vnode_get(f->vnode);
    *out = &f->vnode->cache.object;
    return 0;
}

static int vfile_truncate(struct file *f, uint64_t size)
{
    return vnode_is_regular(f->vnode) ? vnode_truncate(f->vnode, size) : -EINVAL;
}

void vnode_file_release(struct file *f)
{
    if (!(f->flags & O_PATH))
        inotify_vnode(f->vnode, file_writable(f) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

/* fstrim(8): the parts of the file system that are free are told to its disk. */
static long vfile_trim(struct file *f, struct uptr arg)
{
    struct fstrim_range r;
    struct fs *fs = f->vnode->fs;
    uint64_t done = 0;
    if (!fs->ops->trim)
        return -EOPNOTSUPP;
    int err = copy_from_user(&r, arg, sizeof r);
    if (!err)
        err = fs->ops->trim(fs, r.start, r.len, r.minlen, &done);
    r.len = done;
    return err ? err : copy_to_user(arg, &r, sizeof r);
}

static long vfile_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    return cmd == FITRIM && !(f->flags & O_PATH) ? vfile_trim(f, arg) : -ENOTTY;
}

static const struct file_ops vnode_file_ops = {
    .release = vnode_file_release,
    .read = vfile_read,
    .write = vfile_write,
    .pages = vfile_pages,
    .seek = vnode_file_seek,
    .readdir = vfile_readdir,
    .stat = vnode_file_stat,
    .mmap = vnode_file_mmap,
    .truncate = vfile_truncate,
    .fsync = vfile_fsync,
    .ioctl = vfile_ioctl,
};

static void vfile_detach(struct file *f)
{
    if (f->vnode)
        vnode_put(f->vnode);
    path_put(f->path);
}

void vnode_file_attach(struct file *f, struct vnode *v, struct path *p)
{
    file_detach = vfile_detach;
    vnode_get(v);
    f->vnode = v;
    if (p)
        path_get(p);
    f->path = p;
}

int vnode_file_create(struct vnode *v, struct path *p, uint32_t flags, struct file **out)
{
    struct file *f = file_create(&vnode_file_ops, flags, NULL);
    if (!f)
        return -ENOMEM;
    vnode_file_attach(f, v, p);
    f->errors_seen = page_cache_sample(&v->cache);
    *out = f;
    return 0;
}
