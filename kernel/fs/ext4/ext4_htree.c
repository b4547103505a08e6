/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: look-up in hashed directories. Block 0 is the root of a tree of index
 * blocks whose entries {hash 4, block 4} lead to ordinary directory blocks; a
 * hash that fills more than one block continues in the next one. A frame is the
 * place in one level of the tree.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_dir.h"

#define HASH_VERSIONS 3

static int frame_open(struct htree *t, uint64_t logical, unsigned offset)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    struct frame *f = &t->frame[t->open];
    int err = ext4_dir_block(t->dir, logical, &f->b);
    if (err)
        return err;
    t->open++;
    f->offset = offset;
    f->entries = f->b.data + offset;
    f->count = le16(f->entries + 2);
    f->limit = le16(f->entries);
    if (!f->count || f->count > f->limit || f->limit > (fs->block_size - offset) / 8)
        return ext4_bad(fs, "directory index, inode", t->dir->v.ino);
    return 0;
}

void htree_close(struct htree *t, unsigned down_to)
{
    while (t->open > down_to)
        ext4_block_put(&t->frame[--t->open].b);
}

static uint32_t frame_hash(const struct frame *f, unsigned i)
{
    return i ? le32(f->entries + i * 8) : 0;
}

uint64_t frame_block(const struct frame *f)
{
    return le32(f->entries + f->at * 8 + 4) & BLOCK_MASK;
}

/* The last entry whose hash is not above the one looked for. */
static void frame_search(struct frame *f, uint32_t hash)
{
    unsigned low = 1, high = f->count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (frame_hash(f, mid) <= hash)
            low = mid + 1;
        else
            high = mid;
    }
    f->at = low - 1;
}

/* Goes down to the lowest index level; `first`: at the first entries, else by hash. */
static int htree_descend(struct htree *t, bool first)
{
    while (t->open <= t->levels) {
        int err = frame_open(t, frame_block(&t->frame[t->open - 1]), INDEX_NODE);
        if (err)
            return err;
        struct frame *f = &t->frame[t->open - 1];
        f->at = 0;
        if (!first)
            frame_search(f, t->hash);
    }
    return 0;
}

/* The leaf behind the current one, if the same hash goes on there: 1, else 0. */
static int htree_next(struct htree *t)
{
    unsigned level = t->open;
    while (level && t->frame[level - 1].at + 1 >= t->frame[level - 1].count)
        level--;
    if (!level)
        return 0;
    struct frame *f = &t->frame[level - 1];
    if ((frame_hash(f, f->at + 1) & ~1u) != t->hash)
        return 0;
    f->at++;
    htree_close(t, level);
    int err = htree_descend(t, true);
    return err ? err : 1;
}

int htree_open(struct htree *t, struct ext4_inode *dir, const struct vnode_name *name)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    t->dir = dir;
    t->open = 0;
    int err = frame_open(t, 0, INDEX_ROOT);
    if (err)
        return err;
    const uint8_t *info = t->frame[0].b.data + ROOT_INFO;
    if (info[4] >= HASH_VERSIONS)
        return -EOPNOTSUPP;
    if (info[5] != ROOT_INFO_SIZE || info[6] >= LEVELS_MAX)
        return ext4_bad(fs, "directory index root, inode", t->dir->v.ino);
    t->levels = info[6];
    t->version = info[4];
    t->hash = ext4_hash(fs, info[4], name->text, name->len);
    frame_search(&t->frame[0], t->hash);
    return htree_descend(t, false);
}

int64_t htree_find(struct ext4_inode *dir, const struct vnode_name *name, uint64_t *logical)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint64_t left = dir->v.size >> fs->block_shift; /* bounds what a looping index can cost */
    struct htree t;
    int64_t ino = htree_open(&t, dir, name);
    int more = ino ? 0 : 1;
    while (more > 0 && !ino) {
        struct ext4_block b;
        ino = left-- ? ext4_dir_block(dir, frame_block(&t.frame[t.open - 1]), &b) : -EIO;
        if (ino)
            break;
        *logical = frame_block(&t.frame[t.open - 1]);
        ino = ext4_dir_search(dir, b.data, fs->block_size, name);
        ext4_block_put(&b);
        if (!ino)
            more = htree_next(&t);
    }
    htree_close(&t, 0);
    return more < 0 ? more : ino;
}
