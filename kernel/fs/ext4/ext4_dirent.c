/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: changing directories, entry by entry. A removed entry's room goes to the
 * one in front of it; the first of a block is only marked unused. Directories grow
 * and never shrink.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_dir.h"

static const struct vnode_name dot = {".", 1}, dotdot = {"..", 2};

static unsigned disk_type(uint32_t mode)
{
    static const uint8_t type[16] = {
        [1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6};
    return type[(mode & S_IFMT) >> 12];
}

void dir_entry_encode(const struct ext4_fs *fs, uint8_t *p, const struct vnode_name *name,
                      uint32_t ino, uint32_t mode, unsigned length)
{
    put32(p, ino);
    put16(p + 4, length);
    p[6] = (uint8_t)name->len;
    p[7] = fs->incompat & INCOMPAT_FILETYPE ? (uint8_t)disk_type(mode) : 0;
    memcpy(p + ENTRY_HEADER, name->text, name->len);
}

int dir_leaf_insert(struct ext4_inode *dir, struct ext4_block *b, const struct vnode_name *name,
                    uint32_t ino, uint32_t mode)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint32_t size = dir_leaf_size(fs), need = dir_entry_size((unsigned)name->len);
    struct dir_entry e;
    for (uint32_t off = 0; off < size; off += e.length) {
        if (!dir_entry_decode(b->data, size, off, &e))
            return ext4_bad(fs, "directory entry, inode", dir->v.ino);
        uint32_t used = e.ino ? dir_entry_size(e.name_len) : 0;
        if (e.length < used + need)
            continue;
        int err = ext4_block_change(fs, b);
        if (err)
            return err;
        if (used)
            put16(b->data + off + 4, used);
        dir_entry_encode(fs, b->data + off + used, name, ino, mode, e.length - used);
        dir_leaf_seal(dir, b);
        return 0;
    }
    return -ENOSPC;
}

int dir_append(struct ext4_inode *dir, struct ext4_block *out, uint64_t *logical)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint64_t start, count = 1, goal = dir->goal;
    *logical = dir->v.size >> fs->block_shift;
    if (*logical >= HTREE_BLOCK_MASK || !ext4_room(fs))
        return -ENOSPC;
    if (!goal)
        goal = ext4_group_first(fs, (uint32_t)((dir->v.ino - 1) / fs->inodes_per_group)) + 1;
    int err = ext4_alloc(fs, goal, &start, &count);
    if (err)
        return err;
    err = ext4_block_new(fs, start, out);
    if (!err && (err = ext4_map_insert(dir, *logical, start, 1, false)))
        ext4_block_put(out);
    if (err == -ENOSPC || err == -ENOMEM) {
        int failed = ext4_free(fs, start, 1, true);
        return failed ? failed : err == -ENOMEM ? -EAGAIN : err;
    }
    if (err)
        return err;
    dir->goal = start + 1;
    dir->v.blocks += fs->block_size / 512;
    dir->v.size += fs->block_size;
    dir->disk_size = dir->v.size;
    return 0;
}

/* Tries the blocks there are: -ENOSPC when the name fits nowhere. */
static int linear_insert(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                         uint32_t mode)
{
    uint64_t blocks = dir->v.size >> ext4_fs(&dir->v)->block_shift;
    int err = -ENOSPC;
    for (uint64_t i = 0; i < blocks && err == -ENOSPC; i++) {
        struct ext4_block b;
        err = ext4_dir_block(dir, i, &b);
        if (err)
            return err;
        err = dir_leaf_insert(dir, &b, name, ino, mode);
        ext4_block_put(&b);
    }
    return err;
}

static int append_insert(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                         uint32_t mode)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    struct ext4_block b;
    uint64_t logical;
    int err = dir_append(dir, &b, &logical);
    if (err)
        return err;
    dir_entry_encode(fs, b.data, name, ino, mode, dir_leaf_size(fs));
    dir_leaf_seal(dir, &b);
    ext4_block_put(&b);
    return 0;
}

/* An index we cannot keep up is given up: the blocks can be searched one by one. */
static int index_drop(struct ext4_inode *dir)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    return fs->csum ? -EOPNOTSUPP : (dir->flags &= ~(uint32_t)INODE_INDEX, 0);
}

int ext4_dir_add(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino, uint32_t mode)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    int err = -EOPNOTSUPP;
    if (dir->flags & INODE_INDEX) {
        err = htree_insert(dir, name, ino, mode);
        if (err == -EOPNOTSUPP)
            err = index_drop(dir);
        if (err || dir->flags & INODE_INDEX)
            return err;
    }
    err = linear_insert(dir, name, ino, mode);
    if (err != -ENOSPC)
        return err;
    if (fs->compat & COMPAT_DIR_INDEX && dir->v.size == fs->block_size) {
        err = htree_make(dir);
        if (!err)
            return htree_insert(dir, name, ino, mode);
        if (err != -EOPNOTSUPP)
            return err;
    }
    return append_insert(dir, name, ino, mode);
}

/* Where an entry stands in a leaf; `prev`: the one in front of it, or `off` itself. */
struct place {
    struct ext4_block b;
    uint64_t logical;
    uint32_t off, prev;
    struct dir_entry e;
};

static int place_find(struct ext4_inode *dir, const struct vnode_name *name, struct place *p)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    int64_t ino = ext4_dir_find(dir, name, &p->logical);
    if (ino <= 0)
        return ino ? (int)ino : -ENOENT;
    int err = ext4_dir_block(dir, p->logical, &p->b);
    if (err)
        return err;
    for (p->off = p->prev = 0; dir_entry_decode(p->b.data, fs->block_size, p->off, &p->e);) {
        if (dir_entry_is(&p->e, name)) {
            err = ext4_block_change(fs, &p->b);
            if (err)
                ext4_block_put(&p->b);
            return err;
        }
        p->prev = p->off;
        p->off += p->e.length;
        if (p->off >= fs->block_size)
            break;
    }
    ext4_block_put(&p->b);
    return ext4_bad(fs, "directory entry, inode", dir->v.ino);
}

/* The entry was changed: the block is a leaf, or the root of an index, which begins with two. */
static void place_seal(struct ext4_inode *dir, struct place *p)
{
    if (dir_block_is_index(dir, p->logical, p->b.data))
        dir_index_seal(dir, INDEX_ROOT, &p->b);
    else
        dir_leaf_seal(dir, &p->b);
}

int ext4_dir_remove(struct ext4_inode *dir, const struct vnode_name *name)
{
    struct place p;
    int err = place_find(dir, name, &p);
    if (err)
        return err;
    if (p.prev != p.off)
        put16(p.b.data + p.prev + 4, p.off - p.prev + p.e.length);
    else
        put32(p.b.data + p.off, 0);
    place_seal(dir, &p);
    ext4_block_put(&p.b);
    return 0;
}

int ext4_dir_change(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                    uint32_t mode)
{
    struct place p;
    int err = place_find(dir, name, &p);
    if (err)
        return err;
    put32(p.b.data + p.off, ino);
    if (ext4_fs(&dir->v)->incompat & INCOMPAT_FILETYPE)
        p.b.data[p.off + 7] = (uint8_t)disk_type(mode);
    place_seal(dir, &p);
    ext4_block_put(&p.b);
    return 0;
}

int ext4_dir_init(struct ext4_inode *dir, uint32_t parent)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    struct ext4_block b;
    uint64_t logical;
    int err = dir_append(dir, &b, &logical);
    if (err)
        return err;
    dir_entry_encode(fs, b.data, &dot, (uint32_t)dir->v.ino, S_IFDIR, 12);
    dir_entry_encode(fs, b.data + 12, &dotdot, parent, S_IFDIR, dir_leaf_size(fs) - 12);
    dir_leaf_seal(dir, &b);
    ext4_block_put(&b);
    return 0;
}

static int stop_at_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                        uint64_t next)
{
    (void)ino, (void)type, (void)next, (void)arg;
    return !(len <= 2 && !memcmp(name, "..", len));
}

int ext4_dir_empty(struct ext4_inode *dir)
{
    uint64_t pos = 0;
    int stopped = ext4_readdir(&dir->v, &pos, stop_at_name, NULL);
    return stopped < 0 ? stopped : !stopped;
}
