/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link, unlink, rmdir, rename: changes to names that exist. Locks, outermost
 * first: the file system's rename lock (rename only), directories (an ancestor
 * before what is below it), then the file that loses or gains a name.
 */
#include <linux/errno.h>

#include "fs/fs.h"
#include "fs/inotify.h"

/* May cred change entries of dir, in particular remove `victim` (NULL: none) from it? */
static int tree_may_change(struct vnode *dir, const struct vnode *victim, const struct cred *cred)
{
    if (dir->fs->read_only)
        return -EROFS;
    int err = vnode_access(dir, cred, MAY_WRITE | MAY_EXEC);
    if (!err && victim && (dir->mode & S_ISVTX) && cred->uid && cred->uid != victim->uid &&
        cred->uid != dir->uid)
        err = -EPERM;
    return err;
}

int fs_link(struct fs_context *ctx, struct path *target, struct path *start, const char *name)
{
    struct path_last last;
    struct path *child = NULL, *fresh;
    struct vnode *v = target->vnode, *d;
    int err = path_walk_parent(ctx, start, name, WALK_NOFOLLOW, &last);
    if (err)
        return err;
    d = last.dir->vnode;
    if (last.kind != LAST_NAME) {
        path_put(last.dir);
        return -EEXIST;
    }
    mutex_lock(&d->lock);
    err = path_child_locked(last.dir, last.name, last.len, &child);
    if (!err && (child->vnode || child->mounted))
        err = -EEXIST;
    else if (!err && last.slash)
        err = -ENOENT;
    else if (!err && d->fs != v->fs)
        err = -EXDEV;
    else if (!err && (vnode_is_dir(v) || !d->ops->link))
        err = -EPERM;
    if (!err)
        err = tree_may_change(d, NULL, &ctx->cred);
    if (!err) {
        mutex_lock(&v->lock);
        err = v->nlink || v->flags & VNODE_LINK
                  ? d->ops->link(d, &(struct vnode_name){last.name, last.len}, v)
                  : -ENOENT; /* deleted */
        if (!err)
            v->flags &= ~(uint32_t)VNODE_LINK;
        mutex_unlock(&v->lock);
    }
    if (!err) {
        path_detach(child); /* "no such name" is not true any more */
        if (!path_attach(last.dir, last.name, last.len, v, &fresh))
            path_put(fresh);
        inotify_vnode(v, IN_ATTRIB);
        inotify_entry(d, last.name, last.len, v, IN_CREATE, 0);
    }
    mutex_unlock(&d->lock);
    path_put(child);
    path_put(last.dir);
    return err;
}

/* The answer where the last component is no name that could be removed. */
static int unlink_kind(const struct path_last *last, bool dir)
{
    if (last->kind == LAST_NAME)
        return 0;
    if (!dir)
        return -EISDIR;
    return last->kind == LAST_DOT ? -EINVAL : last->kind == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
}

static int unlink_check(struct fs_context *ctx, const struct path_last *last,
                        const struct path *child, bool dir)
{
    struct vnode *v = child->vnode;
    if (child->mounted)
        return -EBUSY;
    if (!v)
        return -ENOENT;
    int err = tree_may_change(last->dir->vnode, v, &ctx->cred);
    if (err)
        return err;
    if (dir && !vnode_is_dir(v))
        return -ENOTDIR;
    if (!dir && vnode_is_dir(v))
        return -EISDIR;
    if (!dir && last->slash)
        return -ENOTDIR;
    return last->dir->vnode->ops->unlink ? 0 : -EPERM;
}

int fs_unlink(struct fs_context *ctx, struct path *start, const char *name, bool dir)
{
    struct path_last last;
    struct path *child = NULL;
    int err = path_walk_parent(ctx, start, name, WALK_NOFOLLOW, &last);
    if (err)
        return err;
    struct vnode *d = last.dir->vnode;
    err = unlink_kind(&last, dir);
    if (err) {
        path_put(last.dir);
        return err;
    }
    mutex_lock(&d->lock);
    err = path_child_locked(last.dir, last.name, last.len, &child);
    if (!err)
        err = unlink_check(ctx, &last, child, dir);
    if (!err) {
        mutex_lock(&child->vnode->lock);
        err = d->ops->unlink(d, &(struct vnode_name){last.name, last.len}, child->vnode);
        mutex_unlock(&child->vnode->lock);
    }
    if (!err) {
        path_detach(child);
        inotify_unlinked(child->vnode);
        inotify_entry(d, last.name, last.len, child->vnode, IN_DELETE, 0);
    }
    mutex_unlock(&d->lock);
    path_put(child);
    path_put(last.dir);
    return err;
}

/* Whether `below` is `above` or lies under it; the rename lock keeps parents in place. */
static bool path_under(const struct path *below, const struct path *above)
{
    for (; below; below = below->parent)
        if (below == above)
            return true;
    return false;
}

static void lock_directories(struct path *a, struct path *b)
{
    if (a->vnode == b->vnode) {
        mutex_lock(&a->vnode->lock);
        return;
    }
    bool b_first = path_under(a, b) || (!path_under(b, a) && b->vnode < a->vnode);
    mutex_lock(b_first ? &b->vnode->lock : &a->vnode->lock);
    mutex_lock(b_first ? &a->vnode->lock : &b->vnode->lock);
}

static void unlock_directories(struct path *a, struct path *b)
{
    mutex_unlock(&a->vnode->lock);
    if (a->vnode != b->vnode)
        mutex_unlock(&b->vnode->lock);
}

struct rename {
    struct path_last from, to;
    struct path *moved, *victim; /* nodes at both names */
    unsigned flags;
};

/* All that can be said before the file system is asked; 1: nothing is to be done. */
static int rename_check(struct fs_context *ctx, const struct rename *r)
{
    struct vnode *m = r->moved->vnode, *v = r->victim->vnode;
    bool swap = r->flags & RENAME_SWAP;
    if (!m)
        return -ENOENT;
    if (r->moved->mounted || r->victim->mounted)
        return -EBUSY;
    if ((r->flags & RENAME_NO_REPLACE) && v)
        return -EEXIST;
    if (swap && !v)
        return -ENOENT;
    if (!vnode_is_dir(m) && (r->from.slash || (r->to.slash && !swap)))
        return -ENOTDIR;
    if (path_under(r->to.dir, r->moved))
        return -EINVAL;
    if (v && path_under(r->from.dir, r->victim))
        return swap ? -EINVAL : -ENOTEMPTY;
    int err = tree_may_change(r->from.dir->vnode, m, &ctx->cred);
    if (!err)
        err = tree_may_change(r->to.dir->vnode, v, &ctx->cred);
    if (err)
        return err;
    if (m == v)
        return 1;
    if (v && !swap && vnode_is_dir(m) != vnode_is_dir(v))
        return vnode_is_dir(m) ? -ENOTDIR : -EISDIR;
    return r->from.dir->vnode->ops->rename ? 0 : -EPERM;
}

/* Tells both directories, and what was moved and replaced. */
static void rename_tell(const struct rename *r, struct vnode *moved, struct vnode *lost)
{
    static uint32_t last_cookie;
    uint32_t cookie = __atomic_add_fetch(&last_cookie, 1, __ATOMIC_RELAXED);
    inotify_entry(r->from.dir->vnode, r->from.name, r->from.len, moved, IN_MOVED_FROM, cookie);
    inotify_entry(r->to.dir->vnode, r->to.name, r->to.len, moved, IN_MOVED_TO, cookie);
    inotify_vnode(moved, IN_MOVE_SELF);
    if (lost)
        inotify_unlinked(lost);
}

/* Both directories are locked. */
static int rename_locked(struct fs_context *ctx, struct rename *r)
{
    struct vnode_name old = {r->from.name, r->from.len}, name = {r->to.name, r->to.len};
    struct vnode *from = r->from.dir->vnode, *to = r->to.dir->vnode;
    int err = path_child_locked(r->from.dir, old.text, old.len, &r->moved);
    if (!err)
        err = path_child_locked(r->to.dir, name.text, name.len, &r->victim);
    if (!err)
        err = rename_check(ctx, r);
    if (err)
        return err > 0 ? 0 : err;
    struct vnode *v = r->victim->vnode, *moved = r->moved->vnode;
    bool lose = v && !(r->flags & RENAME_SWAP);
    if (lose)
        mutex_lock(&v->lock);
    err = from->ops->rename(from, &old, moved, to, &name, v, r->flags);
    if (lose)
        mutex_unlock(&v->lock);
    if (err)
        return err;
    if (r->flags & RENAME_SWAP)
        path_swap(r->moved, r->victim);
    else if (path_move(r->moved, r->to.dir, name.text, name.len)) {
        path_detach(r->moved); /* no memory: look both names up again */
        path_detach(r->victim);
    }
    rename_tell(r, moved, lose ? v : NULL);
    return 0;
}

int fs_rename(struct fs_context *ctx, struct path *from, const char *old, struct path *to,
              const char *name, unsigned flags)
{
    struct rename r = {.flags = flags};
    if ((flags & ~(RENAME_NO_REPLACE | RENAME_SWAP)) || flags == (RENAME_NO_REPLACE | RENAME_SWAP))
        return -EINVAL;
    int err = path_walk_parent(ctx, from, old, WALK_NOFOLLOW, &r.from);
    if (err)
        return err;
    err = path_walk_parent(ctx, to, name, WALK_NOFOLLOW, &r.to);
    if (err)
        goto put_from;
    struct fs *fs = r.from.dir->vnode->fs;
    if (fs != r.to.dir->vnode->fs)
        err = -EXDEV;
    else if (r.from.kind != LAST_NAME || r.to.kind != LAST_NAME)
        err = flags & RENAME_NO_REPLACE ? -EEXIST : -EBUSY;
    if (err)
        goto put_both;
    mutex_lock(&fs->rename_lock);
    lock_directories(r.from.dir, r.to.dir);
    err = rename_locked(ctx, &r);
    unlock_directories(r.from.dir, r.to.dir);
    mutex_unlock(&fs->rename_lock);
    path_put(r.moved);
    path_put(r.victim);
put_both:
    path_put(r.to.dir);
put_from:
    path_put(r.from.dir);
    return err;
}
