/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open, create, look at: the calls that leave the tree's names alone or add one.
 * See fs.h; removal and renaming are in fs_tree.c. A new name is made under the
 * directory's lock, between a look-up there and the attachment of its node.
 */
#include "fs/fs.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/devfs.h"
#include "fs/inotify.h"
#include "sched/clock.h"

#define UNNAMED     (O_TMPFILE & ~O_DIRECTORY)
#define STALE_TRIES 4 /* a name that others give to ever new files meanwhile */
#define OPEN_ONCE   (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

/*
 * Owner and permissions of a new entry of a directory. A program that would run with the
 * directory's group is only made by members of that group.
 */
static void new_own(const struct fs_context *ctx, const struct vnode *d, struct vnode_new *what)
{
    const struct cred *cred = &ctx->cred;
    const uint32_t group_program = S_ISGID | S_IXGRP;
    bool inherits = d->mode & S_ISGID;
    what->uid = cred->uid;
    what->gid = inherits ? d->gid : cred->gid;
    if (S_ISDIR(what->mode))
        what->mode |= d->mode & S_ISGID;
    else if (inherits && (what->mode & group_program) == group_program && cred->uid &&
             !cred_in_group(cred, d->gid))
        what->mode &= ~(uint32_t)S_ISGID;
    if (!S_ISLNK(what->mode))
        what->mode &= ~ctx->umask;
}

/* New entry `child->name` in a locked directory; *child (without vnode) is replaced by its node. */
static int make_locked(struct fs_context *ctx, struct path *dir, struct path **child,
                       struct vnode_new *what)
{
    struct vnode *d = dir->vnode, *v;
    struct path *old = *child, *fresh;
    struct vnode_name name = {old->name, old->len};
    if (old->mounted)
        return -EEXIST;
    if (d->fs->read_only || !d->ops->make)
        return -EROFS;
    int err = vnode_access(d, &ctx->cred, MAY_WRITE | MAY_EXEC);
    if (err)
        return err;
    new_own(ctx, d, what);
    err = d->ops->make(d, &name, what, &v);
    if (err)
        return err;
    err = path_attach(dir, old->name, old->len, v, &fresh);
    if (err) {
        d->ops->unlink(d, &name, v);
    } else {
        inotify_entry(d, old->name, old->len, v, IN_CREATE, 0);
        path_put(old);
        *child = fresh;
    }
    vnode_put(v);
    return err;
}

/* Creates the entry a path names; it must not exist. */
static int make_at(struct fs_context *ctx, struct path *start, const char *name,
                   struct vnode_new *what)
{
    struct path_last last;
    struct path *child = NULL;
    int err = path_walk_parent(ctx, start, name, WALK_NOFOLLOW, &last);
    if (err)
        return err;
    if (last.kind != LAST_NAME) {
        path_put(last.dir);
        return -EEXIST;
    }
    mutex_lock(&last.dir->vnode->lock);
    err = path_child_locked(last.dir, last.name, last.len, &child);
    if (!err && child->vnode)
        err = -EEXIST;
    else if (!err && last.slash && !S_ISDIR(what->mode))
        err = -ENOENT;
    if (!err)
        err = make_locked(ctx, last.dir, &child, what);
    mutex_unlock(&last.dir->vnode->lock);
    path_put(child);
    path_put(last.dir);
    return err;
}

int fs_make(struct fs_context *ctx, struct path *start, const char *name, uint32_t mode,
            uint64_t rdev)
{
    struct vnode_new what = {.mode = mode, .rdev = rdev};
    if (!(mode & S_IFMT))
        what.mode |= S_IFREG;
    return make_at(ctx, start, name, &what);
}

int fs_symlink(struct fs_context *ctx, struct path *start, const char *name, const char *target)
{
    struct vnode_new what = {.mode = S_IFLNK | 0777, .target = target};
    if (!*target)
        return -ENOENT;
    return make_at(ctx, start, name, &what);
}

/* O_CREAT: finds or creates. */
static int open_create(struct fs_context *ctx, struct path *start, const char *name, uint32_t flags,
                       uint32_t mode, unsigned walk, struct path **out, bool *created)
{
    struct path_last last;
    struct path *child = NULL;
    bool follow = !(flags & (O_NOFOLLOW | O_EXCL));
    struct vnode_new what = {.mode = S_IFREG | (mode & 07777), .opens = true};
    int err = path_walk_parent(ctx, start, name, walk | (follow ? 0 : WALK_NOFOLLOW), &last);
    if (err)
        return err;
    if (last.kind != LAST_NAME || last.slash) {
        path_put(last.dir);
        return -EISDIR;
    }
    mutex_lock(&last.dir->vnode->lock);
    err = path_child_locked(last.dir, last.name, last.len, &child);
    if (!err && (child->vnode || child->mounted))
        err = flags & O_EXCL ? -EEXIST : 0;
    else if (!err) {
        err = make_locked(ctx, last.dir, &child, &what);
        *created = !err;
        if (err == -EEXIST && !(flags & O_EXCL))
            err = -ESTALE; /* made by somebody else after it was looked for */
    }
    mutex_unlock(&last.dir->vnode->lock);
    if (err) {
        path_put(child);
    } else if (child->vnode && vnode_is_link(child->vnode) && follow) {
        /* A magic link: it leads to an object, so the walker must take it. */
        err = path_walk(ctx, last.dir, last.name, walk, NULL, out);
        path_put(child);
    } else if (child->mounted && walk & WALK_NO_XDEV) {
        err = -EXDEV;
        path_put(child);
    } else {
        *out = path_cross(child);
    }
    path_put(last.dir);
    return err;
}

/* What open(2) with these flags needs of the vnode. */
static int open_check(struct vnode *v, const struct cred *cred, uint32_t flags)
{
    static const unsigned may[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    unsigned want = may[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
    if (vnode_is_dir(v) && ((want & MAY_WRITE) || (flags & O_CREAT)))
        return -EISDIR;
    int err = vnode_access(v, cred, want);
    if (!err && flags & O_NOATIME && !vnode_owned(v, cred))
        err = -EPERM;
    if (err)
        return err;
    return (want & MAY_WRITE) && vnode_is_regular(v) && v->fs->read_only ? -EROFS : 0;
}

/* The file of the vnode's kind. */
static int open_vnode(struct path *p, uint32_t flags, struct file **out)
{
    struct vnode *v = p->vnode;
    if (flags & O_PATH)
        return vnode_file_create(v, p, flags, out);
    if (v->ops->open) {
        int failed = v->ops->open(v, flags, out);
        if (!failed && (*out)->vnode == v && !(*out)->path) {
            path_get(p);
            (*out)->path = p;
        }
        return failed;
    }
    if (vnode_is_regular(v) || vnode_is_dir(v))
        return vnode_file_create(v, p, flags, out);
    if (!S_ISCHR(v->mode))
        return -ENXIO; /* FIFOs and sockets by name, block devices: nobody is behind them */
    int err = device_open(v, flags, out);
    if (!err)
        vnode_file_attach(*out, v, p);
    return err;
}

static int open_found(struct fs_context *ctx, struct path *p, uint32_t flags, bool created,
                      struct file **out)
{
    struct vnode *v = p->vnode;
    int err = 0;
    if ((flags & O_DIRECTORY) && !vnode_is_dir(v))
        return -ENOTDIR;
    if (vnode_is_link(v) && !(flags & O_PATH) && ((flags & O_NOFOLLOW) || !v->ops->open))
        return -ELOOP;
    if (!(flags & O_PATH) && !vnode_is_link(v) && !created) {
        err = vnode_refresh(v);
        err = err ? err : open_check(v, &ctx->cred, flags);
    }
    if (!err && (flags & O_TRUNC) && !created && vnode_is_regular(v) && v->ops->truncate)
        err = vnode_truncate(v, 0);
    if (err)
        return err;
    err = open_vnode(p, (flags & ~(uint32_t)OPEN_ONCE) | O_LARGEFILE, out);
    if (!err && !(flags & O_PATH))
        inotify_vnode(v, IN_OPEN);
    return err;
}

/* O_TMPFILE: a file without a name in the directory's file system. */
static int open_unnamed(struct fs_context *ctx, struct path *dir, uint32_t flags, uint32_t mode,
                        struct file **out)
{
    struct vnode *d = dir->vnode, *v;
    struct path *p;
    struct vnode_new what = {.mode = S_IFREG | (mode & 07777)};
    if (d->fs->read_only)
        return -EROFS;
    int err = vnode_access(d, &ctx->cred, MAY_WRITE | MAY_EXEC);
    if (err)
        return err;
    if (!d->ops->make_unnamed)
        return -EOPNOTSUPP;
    new_own(ctx, d, &what);
    mutex_lock(&d->lock);
    err = d->ops->make_unnamed(d, &what, &v);
    mutex_unlock(&d->lock);
    if (err)
        return err;
    if (!(flags & O_EXCL))
        v->flags |= VNODE_LINK;
    err = path_attach_unnamed(dir, v, &p);
    if (!err) {
        err = open_vnode(p, (flags & ~(uint32_t)OPEN_ONCE) | O_LARGEFILE, out);
        path_put(p);
    }
    vnode_put(v);
    return err;
}

int fs_open_path(struct fs_context *ctx, struct path *p, uint32_t flags, struct file **out)
{
    return open_found(ctx, p, flags, false, out);
}

static int open_once(struct fs_context *ctx, struct path *start, const char *name, uint32_t flags,
                     uint32_t mode, unsigned walk, struct file **out)
{
    struct path *p;
    bool created = false;
    int err;
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if ((flags & O_CREAT) && (flags & O_DIRECTORY))
        return -EINVAL;
    bool unnamed = flags & UNNAMED;
    if (unnamed && (!(flags & O_DIRECTORY) || !(flags & (O_WRONLY | O_RDWR))))
        return -EINVAL;
    if (flags & O_CREAT)
        err = open_create(ctx, start, name, flags, mode, walk, &p, &created);
    else
        err = path_walk(ctx, start, name,
                        walk | (flags & O_NOFOLLOW ? WALK_NOFOLLOW : 0) | (unnamed ? WALK_DIR : 0),
                        NULL, &p);
    if (err)
        return err;
    if (unnamed)
        err = open_unnamed(ctx, p, flags, mode, out);
    else
        err = open_found(ctx, p, flags, created, out);
    path_put(p);
    return err;
}

int fs_open(struct fs_context *ctx, struct path *start, const char *name, uint32_t flags,
            uint32_t mode, unsigned walk, struct file **out)
{
    int err = -ESTALE;
    for (unsigned i = 0; err == -ESTALE && i < STALE_TRIES; i++)
        err = open_once(ctx, start, name, flags, mode, walk, out);
    return err;
}

int fs_stat_path(struct path *p, bool followed, struct file_stat *st)
{
    struct vnode *v = p->vnode;
    struct file *f;
    int err = vnode_refresh(v);
    if (err)
        return err;
    if (!followed || !vnode_is_link(v) || !v->ops->follow || !v->ops->open) {
        vnode_stat(v, st);
        return 0;
    }
    err = v->ops->open(v, 0, &f); /* a descriptor's link: what is open there */
    if (err)
        return err;
    err = file_stat(f, st);
    file_put(f);
    return err;
}

int fs_stat(struct fs_context *ctx, struct path *start, const char *name, unsigned walk,
            struct file_stat *st)
{
    struct path *p;
    int err = -ESTALE;
    for (unsigned i = 0; err == -ESTALE && i < STALE_TRIES; i++) {
        err = path_walk(ctx, start, name, walk, NULL, &p);
        if (err)
            return err;
        err = fs_stat_path(p, !(walk & WALK_NOFOLLOW), st);
        path_put(p);
    }
    return err;
}

ssize_t fs_readlink(struct fs_context *ctx, struct path *start, const char *name, char *buf,
                    size_t n)
{
    struct path *p;
    int err = path_walk(ctx, start, name, WALK_NOFOLLOW | WALK_EMPTY, NULL, &p);
    if (err)
        return err;
    struct vnode *v = p->vnode;
    err = !vnode_is_link(v) || !v->ops->readlink ? (*name ? -EINVAL : -ENOENT)
                                                 : v->ops->readlink(v, buf, n);
    if (err >= 0)
        vnode_accessed(v);
    path_put(p);
    return err;
}

int fs_access(struct fs_context *ctx, struct path *start, const char *name, unsigned walk,
              unsigned may, const struct cred *cred)
{
    struct path *p;
    int err = path_walk(ctx, start, name, walk, cred, &p);
    if (err)
        return err;
    struct vnode *v = p->vnode;
    err = vnode_refresh(v);
    if (!err)
        err = vnode_access(v, cred ? cred : &ctx->cred, may);
    if (!err && (may & MAY_WRITE) && v->fs->read_only && !S_ISCHR(v->mode))
        err = -EROFS;
    path_put(p);
    return err;
}

/* A new working or root directory; takes over the reference. */
static void context_set(struct fs_context *ctx, struct path **which, struct path *p)
{
    spin_lock(&ctx->lock);
    struct path *old = *which;
    *which = p;
    spin_unlock(&ctx->lock);
    path_put(old);
}

static int context_change(struct fs_context *ctx, struct path **which, struct path *p)
{
    if (!vnode_is_dir(p->vnode))
        return -ENOTDIR;
    int err = vnode_access(p->vnode, &ctx->cred, MAY_EXEC);
    if (err)
        return err;
    path_get(p);
    context_set(ctx, which, p);
    return 0;
}

int fs_chdir(struct fs_context *ctx, struct path *p)
{
    return context_change(ctx, &ctx->cwd, p);
}

int fs_chroot(struct fs_context *ctx, struct path *p)
{
    return ctx->cred.uid ? -EPERM : context_change(ctx, &ctx->root, p);
}

int fs_setattr(struct fs_context *ctx, struct vnode *v, const struct vnode_attr *a)
{
    const struct cred *cred = &ctx->cred;
    struct vnode_attr change = *a;
    if (v->fs->read_only)
        return -EROFS;
    int err = vnode_refresh(v);
    if (err)
        return err;
    if ((a->mask & ATTR_MODE) && !vnode_owned(v, cred))
        return -EPERM;
    if ((a->mask & ATTR_UID) && a->uid != v->uid && cred->uid)
        return -EPERM;
    if ((a->mask & ATTR_GID) && a->gid != v->gid && cred->uid &&
        !(vnode_owned(v, cred) && cred_in_group(cred, a->gid)))
        return -EPERM;
    if ((a->mask & (ATTR_ATIME | ATTR_MTIME)) && !vnode_owned(v, cred)) {
        if (!(a->mask & ATTR_NOW))
            return -EPERM;
        err = vnode_access(v, cred, MAY_WRITE);
        if (err)
            return err;
    }
    if ((a->mask & ATTR_MODE) && cred->uid && !cred_in_group(cred, v->gid))
        change.mode &= ~(uint32_t)S_ISGID; /* of a group that is not the caller's */
    if ((a->mask & (ATTR_UID | ATTR_GID)) && !vnode_is_dir(v) && (v->mode & 06000)) {
        change.mask |= ATTR_MODE;
        change.mode = v->mode & 07777 & (v->mode & 010 ? ~06000u : ~04000u);
    }
    err = vnode_setattr(v, &change);
    if (!err)
        inotify_vnode(v, IN_ATTRIB);
    return err;
}

int fs_truncate(struct fs_context *ctx, struct vnode *v, uint64_t size)
{
    if (vnode_is_dir(v))
        return -EISDIR;
    int err = vnode_refresh(v);
    if (!err)
        err = vnode_access(v, &ctx->cred, MAY_WRITE);
    return err ? err : vnode_truncate(v, size);
}
