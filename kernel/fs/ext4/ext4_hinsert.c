/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: inserting into hashed directories. A leaf that is full is split at the
 * middle of its hashes; index blocks that are full are split before, from the top.
 * Each step leaves a valid tree and the insertion starts again from the root.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_dir.h"
#include "mem/kmalloc.h"

#define SPLITS_MAX 8 /* steps of one insertion: more means that the tree is damaged */

/* An entry of a leaf that is being split. */
struct hashed {
    uint32_t hash;
    uint16_t off, size;
};

static void index_count_set(struct frame *f, unsigned count)
{
    f->count = count;
    put16(f->entries + 2, count);
}

/* Puts {hash, block} behind the frame's place. */
static void index_insert(struct htree *t, struct frame *f, uint32_t hash, uint64_t block)
{
    uint8_t *at = f->entries + (f->at + 1) * 8;
    memmove(at + 8, at, (f->count - f->at - 1) * 8);
    put32(at, hash);
    put32(at + 4, block);
    index_count_set(f, f->count + 1);
    dir_index_seal(t->dir, f->offset, &f->b);
}

static unsigned node_limit(const struct ext4_fs *fs, unsigned offset)
{
    return (fs->block_size - offset - (fs->csum ? 8 : 0)) / 8;
}

/* An index node without entries. */
static void node_init(const struct ext4_fs *fs, uint8_t *data)
{
    put16(data + 4, fs->block_size);
    put16(data + INDEX_NODE, node_limit(fs, INDEX_NODE));
}

/* The root is full: its entries move to a node of their own. */
static int root_grow(struct htree *t)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    struct frame *root = &t->frame[0];
    struct ext4_block b;
    uint64_t logical;
    unsigned most = fs->incompat & INCOMPAT_LARGEDIR ? 2 : 1;
    if (t->levels >= most)
        return -ENOSPC;
    int err = dir_append(t->dir, &b, &logical);
    if (!err && (err = ext4_block_change(fs, &root->b)))
        ext4_block_put(&b);
    if (err)
        return err;
    node_init(fs, b.data);
    memcpy(b.data + INDEX_NODE + 4, root->entries + 4, root->count * 8 - 4);
    put16(b.data + INDEX_NODE + 2, root->count);
    dir_index_seal(t->dir, INDEX_NODE, &b);
    ext4_block_put(&b);
    index_count_set(root, 1);
    put32(root->entries + 4, logical);
    root->b.data[ROOT_INFO + 6] = (uint8_t)(t->levels + 1);
    dir_index_seal(t->dir, INDEX_ROOT, &root->b);
    return 0;
}

/* The upper half of an index node goes to a new one, which the level above gets to know. */
static int node_split(struct htree *t, unsigned level)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    struct frame *f = &t->frame[level], *up = f - 1;
    struct ext4_block b;
    uint64_t logical;
    unsigned keep = f->count / 2, moved = f->count - keep;
    int err = dir_append(t->dir, &b, &logical);
    if (err)
        return err;
    err = ext4_block_change(fs, &f->b);
    if (!err)
        err = ext4_block_change(fs, &up->b);
    if (!err) {
        uint32_t hash = le32(f->entries + keep * 8);
        node_init(fs, b.data);
        memcpy(b.data + INDEX_NODE + 4, f->entries + keep * 8 + 4, moved * 8 - 4);
        put16(b.data + INDEX_NODE + 2, moved);
        dir_index_seal(t->dir, INDEX_NODE, &b);
        index_count_set(f, keep);
        dir_index_seal(t->dir, INDEX_NODE, &f->b);
        index_insert(t, up, hash, logical);
    }
    ext4_block_put(&b);
    return err;
}

/* The entries of a leaf by hash; their number, or an error. */
static int leaf_hashes(struct htree *t, const uint8_t *data, struct hashed *h)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    uint32_t size = dir_leaf_size(fs);
    struct dir_entry e;
    int n = 0;
    for (uint32_t off = 0; off < size; off += e.length) {
        if (!dir_entry_decode(data, size, off, &e))
            return ext4_bad(fs, "directory entry, inode", t->dir->v.ino);
        if (!e.ino || !e.name_len)
            continue;
        struct hashed x = {ext4_hash(fs, t->version, e.name, e.name_len), (uint16_t)off,
                           (uint16_t)dir_entry_size(e.name_len)};
        int at = n++;
        for (; at && h[at - 1].hash > x.hash; at--)
            h[at] = h[at - 1];
        h[at] = x;
    }
    return n;
}

/* Writes entries of `from`, packed, over the block; the last one gets all the room left. */
static void leaf_pack(struct ext4_inode *dir, const struct ext4_block *b, const uint8_t *from,
                      const struct hashed *h, int n)
{
    uint8_t *to = b->data;
    uint32_t size = dir_leaf_size(ext4_fs(&dir->v)), at = 0;
    memset(to, 0, size);
    for (int i = 0; i < n; i++) {
        uint32_t length = i + 1 < n ? h[i].size : size - at;
        memcpy(to + at, from + h[i].off, MIN(h[i].size, ENTRY_HEADER + from[h[i].off + 6]));
        put16(to + at + 4, length);
        at += length;
    }
    if (!n)
        put16(to + 4, size);
    dir_leaf_seal(dir, b);
}

/* Where to part n entries: about half of the bytes on each side, none empty. */
static int split_point(const struct hashed *h, int n)
{
    uint32_t total = 0, half = 0;
    int i = 0;
    for (int k = 0; k < n; k++)
        total += h[k].size;
    while (i < n - 1 && half + h[i].size <= total / 2)
        half += h[i++].size;
    return MAX(i, 1);
}

/* `b` is the leaf that the last frame leads to. */
static int leaf_split(struct htree *t, struct ext4_block *b)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    struct frame *f = &t->frame[t->open - 1];
    struct ext4_block fresh;
    uint64_t logical;
    uint8_t *old = kmemdup(b->data, fs->block_size);
    struct hashed *h = kmalloc(fs->block_size / 12 * sizeof *h);
    int err = old && h ? 0 : -ENOMEM, n = 0;
    if (!err && (n = leaf_hashes(t, old, h)) < 2)
        err = n < 0 ? n : -ENOSPC;
    if (!err)
        err = dir_append(t->dir, &fresh, &logical);
    if (!err) {
        err = ext4_block_change(fs, b);
        if (!err)
            err = ext4_block_change(fs, &f->b);
        if (!err) {
            int at = split_point(h, n);
            uint32_t same = h[at].hash == h[at - 1].hash; /* the hash goes on in the new block */
            leaf_pack(t->dir, &fresh, old, h + at, n - at);
            leaf_pack(t->dir, b, old, h, at);
            index_insert(t, f, h[at].hash | same, logical);
        }
        ext4_block_put(&fresh);
    }
    kfree(h);
    kfree(old);
    return err;
}

/* One try: 0 when the name is in, -EAGAIN after a split. */
static int insert_step(struct htree *t, const struct vnode_name *name, uint32_t ino, uint32_t mode)
{
    struct ext4_fs *fs = ext4_fs(&t->dir->v);
    struct ext4_block b;
    unsigned level = t->open - 1;
    int err = ext4_dir_block(t->dir, frame_block(&t->frame[level]), &b);
    if (err)
        return err;
    err = dir_leaf_insert(t->dir, &b, name, ino, mode);
    if (err == -ENOSPC) {
        while (level && t->frame[level].count == t->frame[level].limit)
            level--;
        bool full = t->frame[level].count == t->frame[level].limit;
        if (full && level == 0)
            err = root_grow(t);
        else if (level + 1 < t->open)
            err = node_split(t, level + 1);
        else
            err = leaf_split(t, &b);
        if (!err)
            err = -EAGAIN;
    }
    (void)fs;
    ext4_block_put(&b);
    return err;
}

int htree_insert(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino, uint32_t mode)
{
    int err = -EAGAIN;
    for (unsigned i = 0; i < SPLITS_MAX && err == -EAGAIN; i++) {
        struct htree t;
        err = htree_open(&t, dir, name);
        if (!err)
            err = insert_step(&t, name, ino, mode);
        htree_close(&t, 0);
    }
    return err == -EAGAIN ? ext4_bad(ext4_fs(&dir->v), "directory index, inode", dir->v.ino) : err;
}

/* The root of an index over one block. */
static void root_init(struct ext4_inode *dir, const struct ext4_block *b, uint64_t block)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint8_t *data = b->data;
    memset(data + ROOT_INFO, 0, fs->block_size - ROOT_INFO);
    put16(data + 12 + 4, fs->block_size - 12);
    data[ROOT_INFO + 4] = (uint8_t)fs->hash_version;
    data[ROOT_INFO + 5] = ROOT_INFO_SIZE;
    put16(data + INDEX_ROOT, node_limit(fs, INDEX_ROOT));
    put16(data + INDEX_ROOT + 2, 1);
    put32(data + INDEX_ROOT + 4, block);
    dir_index_seal(dir, INDEX_ROOT, b);
}

/* Whether the block begins with "." (12 bytes) and "..". */
static bool begins_with_dots(const uint8_t *data, uint32_t size)
{
    struct dir_entry a, b;
    return dir_entry_decode(data, size, 0, &a) && a.length == 12 && a.name_len == 1 &&
           a.name[0] == '.' && dir_entry_decode(data, size, 12, &b) && b.name_len == 2 &&
           !memcmp(b.name, "..", 2);
}

/* Moves what is behind ".." from one block to another, as it stands. */
static int entries_move(struct ext4_inode *dir, const uint8_t *from, uint8_t *to)
{
    uint32_t size = dir_leaf_size(ext4_fs(&dir->v)), at = 0, last = 0;
    struct dir_entry e;
    for (uint32_t off = 12 + le16(from + 12 + 4); off < size; off += e.length) {
        if (!dir_entry_decode(from, size, off, &e))
            return ext4_bad(ext4_fs(&dir->v), "directory entry, inode", dir->v.ino);
        if (!e.ino)
            continue;
        uint32_t length = dir_entry_size(e.name_len);
        memcpy(to + at, from + off, ENTRY_HEADER + e.name_len);
        put16(to + at + 4, length);
        last = at;
        at += length;
    }
    put16(to + last + 4, size - last);
    return 0;
}

int htree_make(struct ext4_inode *dir)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    struct ext4_block root, leaf;
    uint64_t logical;
    int err = ext4_dir_block(dir, 0, &root);
    if (err)
        return err;
    if (fs->hash_version > EXT4_HASH_TEA || !begins_with_dots(root.data, dir_leaf_size(fs)))
        err = -EOPNOTSUPP;
    if (!err)
        err = dir_append(dir, &leaf, &logical);
    if (!err) {
        err = ext4_block_change(fs, &root);
        if (!err)
            err = entries_move(dir, root.data, leaf.data);
        if (!err) {
            dir_leaf_seal(dir, &leaf);
            dir->flags |= INODE_INDEX;
            root_init(dir, &root, logical);
        }
        ext4_block_put(&leaf);
    }
    ext4_block_put(&root);
    return err;
}
