/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: names: make, link, unlink, rename. Each is one operation. The directories'
 * vnode locks are held; link counts change in the operation that changes the names.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"
#include "fs/writeback.h"
#include "sched/clock.h"

#define MAKE_CREDITS (2 * EXT4_DIR_CREDITS + 16)
#define LINKS_MAX    65000 /* names of a file */

static const struct vnode_name dotdot = {"..", 2};

static void changed(struct vnode *v, bool content)
{
    v->ctime = (int64_t)clock_wall();
    if (content)
        v->mtime = v->ctime;
}

/* A directory gets or loses a subdirectory; 1 means "more than can be counted". */
static void links_change(struct vnode *dir, int by)
{
    if (dir->nlink == 1)
        return;
    dir->nlink += (uint32_t)by;
    if (dir->nlink >= EXT4_LINKS_MAX)
        dir->nlink = 1;
}

static int dir_may_have(struct ext4_fs *fs, const struct vnode *dir)
{
    return dir->nlink + 1 >= EXT4_LINKS_MAX && !(fs->ro_compat & RO_COMPAT_DIR_NLINK) ? -EMLINK : 0;
}

/* A long text of a symbolic link: one metadata block. */
static int target_store(struct ext4_inode *n, const char *target, size_t len)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t start, count = 1;
    struct ext4_block b;
    ext4_map_init(n);
    int err = ext4_room(fs) ? ext4_alloc(fs, n->goal, &start, &count) : -ENOSPC;
    if (!err)
        err = ext4_block_new(fs, start, &b);
    if (err)
        return err;
    memcpy(b.data, target, len);
    ext4_block_put(&b);
    n->v.blocks += fs->block_size / 512;
    return ext4_map_insert(n, 0, start, 1, false);
}

/* What the new inode holds from the beginning. */
static int content_make(struct ext4_inode *n, const struct vnode *dir, const struct vnode_new *what)
{
    if (S_ISDIR(what->mode)) {
        n->v.nlink = 2;
        return ext4_dir_init(n, (uint32_t)dir->ino);
    }
    if (!S_ISLNK(what->mode))
        return 0;
    size_t len = strlen(what->target);
    n->v.size = n->disk_size = len;
    if (len >= IN_BLOCK_SIZE)
        return target_store(n, what->target, len);
    memcpy(n->block, what->target, len);
    return 0;
}

/* Takes back an inode that got no name. */
static int undo_make(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    int more = ext4_has_map(n) ? ext4_map_remove(n, 0, 1ull << 32) : 0;
    return more < 0 ? more : ext4_inode_free(fs, (uint32_t)n->v.ino, vnode_is_dir(&n->v));
}

/* `name` NULL: the inode goes to the list of those without. */
static int make_locked(struct ext4_fs *fs, struct vnode *dir, const struct vnode_name *name,
                       const struct vnode_new *what, struct ext4_inode **out)
{
    struct ext4_inode *n;
    bool is_dir = S_ISDIR(what->mode);
    uint32_t ino;
    int err = ext4_inode_alloc(fs, dir, is_dir, &ino);
    if (err)
        return err;
    err = ext4_inode_make(fs, dir, what, ino, &n);
    if (err) {
        int failed = ext4_inode_free(fs, ino, is_dir);
        return failed ? failed : err == -ENOMEM ? -EAGAIN : err;
    }
    err = content_make(n, dir, what);
    if (!err && name)
        err = ext4_dir_add(ext4_inode(dir), name, ino, what->mode);
    else if (!err) {
        n->v.nlink = 0;
        err = ext4_orphan_add(n);
    }
    if (err) {
        int failed = undo_make(n);
        list_remove(&n->orphan_link);
        ext4_inode_discard(n);
        return failed ? failed : err == -ENOMEM ? -EAGAIN : err;
    }
    *out = n;
    return 0;
}

/* Names are changed by this driver in directories of blocks only. */
static int dir_ready(struct vnode *dir)
{
    struct ext4_inode *n = ext4_inode(dir);
    return n->flags & INODE_INLINE ? ext4_inline_out(n) : 0;
}

static int make_once(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
                     struct ext4_inode **out)
{
    struct ext4_fs *fs = ext4_fs(dir);
    int err = ext4_begin(fs, MAKE_CREDITS);
    if (err)
        return err;
    err = make_locked(fs, dir, name, what, out);
    if (!err) {
        if (S_ISDIR(what->mode))
            links_change(dir, 1);
        changed(dir, true);
        err = ext4_inode_store(*out);
    }
    int stored = ext4_inode_store(ext4_inode(dir)); /* it may have grown even so */
    return ext4_end(fs, err ? err : stored);
}

int ext4_make(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
              struct vnode **out)
{
    struct ext4_fs *fs = ext4_fs(dir);
    struct ext4_inode *n = NULL;
    if (dir->nlink == 0)
        return -ENOENT;
    if (S_ISLNK(what->mode) && strlen(what->target) >= fs->block_size)
        return -ENAMETOOLONG;
    int err = S_ISDIR(what->mode) ? dir_may_have(fs, dir) : 0;
    if (!err)
        err = dir_ready(dir);
    if (!err)
        err = make_once(dir, name, what, &n);
    if (err == -ENOSPC && ext4_reap_for_room(fs))
        err = make_once(dir, name, what, &n);
    if (err && n)
        ext4_inode_discard(n);
    if (!err)
        *out = vnode_publish(&n->v);
    return err == -EAGAIN ? -ENOMEM : err;
}

static int make_unnamed_once(struct vnode *dir, const struct vnode_new *what,
                             struct ext4_inode **out)
{
    struct ext4_fs *fs = ext4_fs(dir);
    int err = ext4_begin(fs, MAKE_CREDITS);
    return err ? err : ext4_end(fs, make_locked(fs, dir, NULL, what, out));
}

int ext4_make_unnamed(struct vnode *dir, const struct vnode_new *what, struct vnode **out)
{
    struct ext4_inode *n = NULL;
    int err = make_unnamed_once(dir, what, &n);
    if (err == -ENOSPC && ext4_reap_for_room(ext4_fs(dir)))
        err = make_unnamed_once(dir, what, &n);
    if (!n)
        return err == -EAGAIN ? -ENOMEM : err;
    struct vnode *v = vnode_publish(&n->v);
    if (err)
        vnode_put(v);
    else
        *out = v;
    return err;
}

int ext4_link(struct vnode *dir, const struct vnode_name *name, struct vnode *target)
{
    struct ext4_fs *fs = ext4_fs(dir);
    if (dir->nlink == 0)
        return -ENOENT;
    if (target->nlink >= LINKS_MAX)
        return -EMLINK;
    int err = dir_ready(dir);
    if (!err)
        err = ext4_begin(fs, EXT4_DIR_CREDITS + 4);
    if (err)
        return err;
    err = ext4_dir_add(ext4_inode(dir), name, (uint32_t)target->ino, target->mode);
    if (!err) {
        target->nlink++;
        changed(target, false);
        changed(dir, true);
        err = ext4_orphan_remove(ext4_inode(target));
        if (!err)
            err = ext4_inode_store(ext4_inode(target));
    }
    int stored = ext4_inode_store(ext4_inode(dir));
    err = ext4_end(fs, err ? err : stored);
    return err == -EAGAIN ? -ENOMEM : err;
}

/* One name of v in dir is gone. */
static int link_lost(struct vnode *dir, struct vnode *v)
{
    if (vnode_is_dir(v)) {
        v->nlink = 0;
        links_change(dir, -1);
    } else {
        v->nlink--;
    }
    changed(v, false);
    int err = v->nlink ? 0 : ext4_orphan_add(ext4_inode(v));
    return err ? err : ext4_inode_store(ext4_inode(v));
}

int ext4_unlink(struct vnode *dir, const struct vnode_name *name, struct vnode *victim)
{
    struct ext4_fs *fs = ext4_fs(dir);
    if (vnode_is_dir(victim)) {
        int empty = ext4_dir_empty(ext4_inode(victim));
        if (empty <= 0)
            return empty ? empty : -ENOTEMPTY;
    }
    int err = dir_ready(dir);
    if (!err)
        err = ext4_begin(fs, 8);
    if (err)
        return err;
    err = ext4_dir_remove(ext4_inode(dir), name);
    if (!err)
        err = link_lost(dir, victim);
    if (!err) {
        changed(dir, true);
        err = ext4_inode_store(ext4_inode(dir));
    }
    return ext4_end(fs, err);
}

struct rename {
    struct vnode *from, *to, *moved, *victim;
    const struct vnode_name *old, *name;
};

/* A directory that changed its parent says so, and the parents count it. */
static int parent_changed(struct vnode *v, struct vnode *from, struct vnode *to)
{
    int err = 0;
    changed(v, false);
    if (vnode_is_dir(v) && from != to) {
        links_change(from, -1);
        links_change(to, 1);
        err = ext4_dir_change(ext4_inode(v), &dotdot, (uint32_t)to->ino, S_IFDIR);
    }
    return err ? err : ext4_inode_store(ext4_inode(v));
}

static int rename_swap(const struct rename *r)
{
    int err = ext4_dir_change(ext4_inode(r->to), r->name, (uint32_t)r->moved->ino, r->moved->mode);
    if (!err)
        err =
            ext4_dir_change(ext4_inode(r->from), r->old, (uint32_t)r->victim->ino, r->victim->mode);
    return err ? err : parent_changed(r->victim, r->to, r->from);
}

static int rename_names(const struct rename *r)
{
    struct ext4_inode *to = ext4_inode(r->to);
    int err = r->victim ? ext4_dir_change(to, r->name, (uint32_t)r->moved->ino, r->moved->mode)
                        : ext4_dir_add(to, r->name, (uint32_t)r->moved->ino, r->moved->mode);
    if (!err)
        err = ext4_dir_remove(ext4_inode(r->from), r->old);
    return err || !r->victim ? err : link_lost(r->to, r->victim);
}

static int rename_check(const struct rename *r, bool swap)
{
    int err = 0;
    if (r->to->nlink == 0)
        return -ENOENT;
    if (!swap && r->victim && vnode_is_dir(r->victim)) {
        int empty = ext4_dir_empty(ext4_inode(r->victim));
        if (empty <= 0)
            return empty ? empty : -ENOTEMPTY;
    }
    if (vnode_is_dir(r->moved)) {
        if (r->from != r->to && !r->victim)
            err = dir_may_have(ext4_fs(r->to), r->to);
        if (!err)
            err = dir_ready(r->moved);
    }
    if (!err && swap && vnode_is_dir(r->victim))
        err = dir_ready(r->victim);
    if (!err)
        err = dir_ready(r->from);
    return err ? err : dir_ready(r->to);
}

int ext4_rename(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                unsigned flags)
{
    const struct rename r = {from, to, moved, victim, old, name};
    struct ext4_fs *fs = ext4_fs(from);
    bool swap = flags & RENAME_SWAP;
    int err = rename_check(&r, swap);
    if (!err)
        err = ext4_begin(fs, EXT4_DIR_CREDITS + 12);
    if (err)
        return err;
    err = swap ? rename_swap(&r) : rename_names(&r);
    if (!err)
        err = parent_changed(moved, from, to);
    changed(from, true);
    changed(to, true);
    int stored = ext4_inode_store(ext4_inode(from));
    if (!stored && to != from)
        stored = ext4_inode_store(ext4_inode(to));
    err = ext4_end(fs, err ? err : stored);
    return err == -EAGAIN ? -ENOMEM : err;
}
