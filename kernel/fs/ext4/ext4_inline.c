/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: inline data moves out. Content that stands in the inode (60 bytes, the rest
 * in the attribute "system.data") is only read there; before the first change it
 * gets a block, in one operation, and the inode is like all others.
 */
#include <linux/errno.h>

#include "dev/blkdev.h"
#include "fs/ext4/ext4_dir.h"
#include "mem/kmalloc.h"

#define CREDITS      (EXT4_DIR_CREDITS + 10)
#define INLINE_FIRST 4 /* inline directories begin with the parent's number */

static const struct vnode_name dot = {".", 1}, dotdot = {"..", 2};

/* The inode is one with an (empty) block map. */
static void become_mapped(struct ext4_inode *n)
{
    mutex_lock(&n->map_lock);
    n->flags &= ~(uint32_t)INODE_INLINE;
    ext4_map_init(n);
    mutex_unlock(&n->map_lock);
}

/* A block with the file's content, written already: nothing shows it before the commit. */
static int content_write(struct ext4_inode *n, uint64_t *start)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t count = 1;
    uint8_t *data = kzalloc(fs->block_size);
    if (!data)
        return -ENOMEM;
    size_t first = MIN(n->v.size, (uint64_t)IN_BLOCK_SIZE);
    memcpy(data, n->block, first);
    if (n->inline_more && n->v.size > first)
        memcpy(data + first, n->inline_more, MIN(n->v.size - first, (uint64_t)n->inline_more_size));
    int err = ext4_room(fs) ? ext4_alloc(fs, n->goal, start, &count) : -ENOSPC;
    if (!err)
        err = blkdev_write(fs->dev, *start << fs->block_shift, data, fs->block_size);
    kfree(data);
    return err;
}

static int file_out(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t start;
    if (n->v.size > fs->block_size)
        return ext4_bad(fs, "inline file is too large, inode", n->v.ino);
    int err = n->v.size ? content_write(n, &start) : 0;
    if (err)
        return err;
    become_mapped(n);
    if (!n->v.size)
        return 0;
    n->v.blocks += fs->block_size / 512;
    return ext4_map_insert(n, 0, start, 1, false);
}

/* Copies entries of an inline region behind `at`; *last is the one written last. */
static int entries_copy(struct ext4_inode *n, uint8_t *to, uint32_t *at, uint32_t *last,
                        const uint8_t *from, uint32_t size)
{
    uint32_t end = dir_leaf_size(ext4_fs(&n->v));
    struct dir_entry e;
    for (uint32_t off = 0; off < size; off += e.length) {
        if (!dir_entry_decode(from, size, off, &e))
            return ext4_bad(ext4_fs(&n->v), "directory entry, inode", n->v.ino);
        uint32_t length = dir_entry_size(e.name_len);
        if (!e.ino)
            continue;
        if (length > end - *at)
            return ext4_bad(ext4_fs(&n->v), "inline directory, inode", n->v.ino);
        memcpy(to + *at, from + off, ENTRY_HEADER + e.name_len);
        put16(to + *at + 4, length);
        *last = *at;
        *at += length;
    }
    return 0;
}

static int dir_fill(struct ext4_inode *n, const uint8_t *old, struct ext4_block *b)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint32_t at = 24, last = 12;
    dir_entry_encode(fs, b->data, &dot, (uint32_t)n->v.ino, S_IFDIR, 12);
    dir_entry_encode(fs, b->data + 12, &dotdot, le32(old), S_IFDIR, 12);
    int err =
        entries_copy(n, b->data, &at, &last, old + INLINE_FIRST, IN_BLOCK_SIZE - INLINE_FIRST);
    if (!err && n->inline_more)
        err = entries_copy(n, b->data, &at, &last, n->inline_more, n->inline_more_size);
    put16(b->data + last + 4, dir_leaf_size(fs) - last);
    dir_leaf_seal(n, b);
    return err;
}

static int dir_out(struct ext4_inode *n)
{
    uint8_t old[IN_BLOCK_SIZE];
    uint64_t logical, size = n->v.size;
    struct ext4_block b;
    memcpy(old, n->block, sizeof old);
    become_mapped(n);
    n->v.size = 0;
    int err = dir_append(n, &b, &logical);
    if (err) { /* nothing was changed but this inode, in memory */
        memcpy(n->block, old, sizeof old);
        n->flags = (n->flags | INODE_INLINE) & ~(uint32_t)INODE_EXTENTS;
        n->v.size = size;
        return err;
    }
    err = dir_fill(n, old, &b);
    ext4_block_put(&b);
    return err;
}

int ext4_inline_out(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    int err = ext4_begin(fs, CREDITS);
    if (err)
        return err;
    if (!(n->flags & INODE_INLINE)) /* another thread was faster */
        return ext4_end(fs, 0);
    err = vnode_is_dir(&n->v) ? dir_out(n) : file_out(n);
    if (!err) {
        kfree(n->inline_more);
        n->inline_more = NULL;
        n->inline_more_size = 0;
        err = ext4_xattr_drop_inline(n);
    }
    return ext4_end(fs, err);
}
