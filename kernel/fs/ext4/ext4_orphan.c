/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: inodes without names. The disk has a list of them (the superblock names the
 * first, i_dtime of each the next), so that a crash does not leak their blocks; an
 * inode that is being cut is on it too. When the last user of a deleted file goes,
 * it is queued (ext4_fs.reap) and its blocks and number are freed by the write-back
 * thread or whoever next asks for room.
 */
#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4_fs.h"
#include "sched/clock.h"

#define ORPHANS_MAX 1000000 /* bounds what a looping list can cost */

static void super_orphan(struct ext4_fs *fs, uint8_t *sb)
{
    uint64_t first = 0;
    if (!list_empty(&fs->orphans))
        first = LIST_ENTRY(fs->orphans.next, struct ext4_inode, orphan_link)->v.ino;
    put32(sb + SB_LAST_ORPHAN, first);
}

int ext4_orphan_add(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    if (!list_empty(&n->orphan_link))
        return 0;
    list_add_head(&fs->orphans, &n->orphan_link);
    int err = ext4_super_store(fs, super_orphan);
    return err ? err : ext4_inode_store(n);
}

int ext4_orphan_remove(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct list *before = n->orphan_link.prev;
    if (list_empty(&n->orphan_link))
        return 0;
    list_remove(&n->orphan_link);
    int err = before == &fs->orphans
                  ? ext4_super_store(fs, super_orphan)
                  : ext4_inode_store(LIST_ENTRY(before, struct ext4_inode, orphan_link));
    return err ? err : ext4_inode_store(n);
}

/* The last operation of an inode: its number is free. */
static int inode_end(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    int err = ext4_begin(fs, 8);
    if (err)
        return err;
    n->dtime = (uint32_t)(clock_wall() / NSEC_PER_SEC);
    n->disk_size = 0;
    err = ext4_xattr_free(n);
    if (!err)
        err = ext4_orphan_remove(n);
    if (!err)
        err = ext4_inode_store(n);
    if (!err)
        err = ext4_inode_free(fs, (uint32_t)n->v.ino, vnode_is_dir(&n->v));
    return ext4_end(fs, err);
}

/* Frees everything the inode has. */
static int inode_reap(struct ext4_inode *n)
{
    bool blocks = !(n->flags & INODE_INLINE) && !S_ISCHR(n->v.mode) && !S_ISBLK(n->v.mode) &&
                  !S_ISFIFO(n->v.mode) && !S_ISSOCK(n->v.mode) &&
                  !(vnode_is_link(&n->v) && ext4_link_is_fast(n));
    int err = blocks && n->flags & INODE_EXTENTS ? ext4_cut(n, 0, UINT64_MAX) : 0;
    return err ? err : inode_end(n);
}

/* The next one; NULL: there is none, and none is under way any more. */
static struct ext4_inode *reap_next(struct ext4_fs *fs)
{
    spin_lock(&fs->reap_lock);
    struct ext4_inode *n = fs->reap;
    if (n)
        fs->reap = n->reap_next;
    fs->reap_busy = n != NULL;
    spin_unlock(&fs->reap_lock);
    return n;
}

static bool reap_all(struct ext4_fs *fs)
{
    for (struct ext4_inode *n; (n = reap_next(fs));) {
        int err = inode_reap(n);
        if (err == -ENOMEM) { /* later */
            spin_lock(&fs->reap_lock);
            n->reap_next = fs->reap;
            fs->reap = n;
            fs->reap_busy = false;
            spin_unlock(&fs->reap_lock);
            return true;
        }
        if (err) /* e2fsck or the next mount finds them on the list */
            log_warn("ext4 %s: blocks of a deleted file (%llu) are not freed: error %d",
                     fs->dev->name, (unsigned long long)n->v.ino, -err);
        mutex_lock(&fs->op);
        list_remove(&n->orphan_link);
        mutex_unlock(&fs->op);
        ext4_inode_discard(n);
    }
    return false;
}

bool ext4_reap(struct ext4_fs *fs)
{
    mutex_lock(&fs->reaping); /* what another thread has begun is waited for */
    bool more = reap_all(fs);
    mutex_unlock(&fs->reaping);
    return more;
}

bool ext4_reap_for_room(struct ext4_fs *fs)
{
    spin_lock(&fs->reap_lock);
    bool some = fs->reap || fs->reap_busy;
    spin_unlock(&fs->reap_lock);
    return some && !ext4_reap(fs);
}

/* One inode of the list found at mount; *next is the one behind it. */
static int orphan_finish(struct ext4_fs *fs, uint32_t ino, uint32_t *next)
{
    struct vnode *v;
    int err = ext4_inode_get(fs, ino, true, &v);
    if (err)
        return err;
    struct ext4_inode *n = ext4_inode(v);
    *next = n->dtime;
    n->dtime = 0;
    if (v->nlink) { /* was being cut */
        uint64_t first = (v->size + fs->block_size - 1) >> fs->block_shift;
        err = vnode_is_regular(v) && n->flags & INODE_EXTENTS ? ext4_cut(n, first, UINT64_MAX) : 0;
        if (!err)
            err = ext4_store(v);
    }
    vnode_put(v); /* one without names is queued here */
    return err;
}

static void super_no_orphans(struct ext4_fs *fs, uint8_t *sb)
{
    (void)fs;
    put32(sb + SB_LAST_ORPHAN, 0);
}

int ext4_orphan_finish(struct ext4_fs *fs, uint32_t first)
{
    unsigned count = 0;
    int err = 0;
    for (uint32_t ino = first; ino && !err && count < ORPHANS_MAX; count++)
        err = orphan_finish(fs, ino, &ino);
    if (!err && !ext4_reap(fs) && !(err = ext4_begin(fs, 2)))
        err = ext4_end(fs, ext4_super_store(fs, super_no_orphans));
    if (err)
        log_error("ext4 %s: list of deleted files: error %d", fs->dev->name, -err);
    else
        log_info("ext4 %s: %u deleted or cut files finished", fs->dev->name, count);
    return err;
}
