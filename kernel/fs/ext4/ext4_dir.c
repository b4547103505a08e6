/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: directories, block by block. An entry is {inode 4, length 2, name length
 * 1, type 1, name}; index blocks look like blocks with one unused entry, so
 * reading in order of blocks lists indexed directories too. The position is the
 * byte offset of the entry.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_dir.h"
#include "lib/crc.h"

#define INLINE_FIRST 4 /* inline directories begin with the parent's number */

bool dir_entry_decode(const uint8_t *data, uint32_t size, uint32_t off, struct dir_entry *e)
{
    if (size - off < ENTRY_HEADER)
        return false;
    const uint8_t *p = data + off;
    *e = (struct dir_entry){le32(p), le16(p + 4), p[6], p[7], (const char *)p + ENTRY_HEADER};
    return e->length >= ENTRY_HEADER && !(e->length & 3) && e->length <= size - off &&
           e->name_len + ENTRY_HEADER <= e->length;
}

/* DT_* of the entry's type. */
static unsigned entry_type(const struct ext4_fs *fs, const struct dir_entry *e)
{
    static const uint8_t type[] = {0, 8, 4, 2, 6, 1, 12, 10};
    return (fs->incompat & INCOMPAT_FILETYPE) && e->type < sizeof type ? type[e->type] : 0;
}

bool dir_block_is_index(const struct ext4_inode *dir, uint64_t logical, const uint8_t *data)
{
    if (!(dir->flags & INODE_INDEX))
        return false;
    return logical == 0 || (le32(data) == 0 && le16(data + 4) == ext4_fs(&dir->v)->block_size);
}

/* An index block: {limit 2, count 2} in front of the entries, the checksum behind their limit. */
static bool index_csum(const struct ext4_fs *fs, uint32_t seed, uint32_t at, const uint8_t *data,
                       uint32_t *tail, uint32_t *out)
{
    uint32_t limit = le16(data + at), count = le16(data + at + 2);
    static const uint8_t zero[4];
    *tail = at + limit * 8;
    if (count > limit || *tail + 8 > fs->block_size)
        return false;
    uint32_t c = crc32c(seed, data, at + count * 8);
    c = crc32c(c, data + *tail, 4);
    *out = crc32c(c, zero, 4);
    return true;
}

static bool index_block_valid(const struct ext4_inode *dir, uint64_t logical, const uint8_t *data)
{
    uint32_t tail, c;
    return index_csum(ext4_fs(&dir->v), dir->seed, logical == 0 ? INDEX_ROOT : INDEX_NODE, data,
                      &tail, &c) &&
           c == le32(data + tail + 4);
}

static void index_seal(const struct ext4_fs *fs, uint32_t seed, uint32_t at, uint8_t *data)
{
    uint32_t tail, c;
    if (index_csum(fs, seed, at, data, &tail, &c))
        put32(data + tail + 4, c);
}

static void root_seal(const struct ext4_fs *fs, uint32_t seed, uint8_t *data)
{
    index_seal(fs, seed, INDEX_ROOT, data);
}

static void node_seal(const struct ext4_fs *fs, uint32_t seed, uint8_t *data)
{
    index_seal(fs, seed, INDEX_NODE, data);
}

void dir_index_seal(struct ext4_inode *dir, uint32_t at, const struct ext4_block *b)
{
    ext4_block_seal(ext4_fs(&dir->v), b, at == INDEX_ROOT ? root_seal : node_seal, dir->seed);
}

uint32_t dir_leaf_size(const struct ext4_fs *fs)
{
    return fs->block_size - (fs->csum ? TAIL_SIZE : 0);
}

static void leaf_seal(const struct ext4_fs *fs, uint32_t seed, uint8_t *data)
{
    put32(data + dir_leaf_size(fs) + 8, crc32c(seed, data, dir_leaf_size(fs)));
}

void dir_leaf_seal(struct ext4_inode *dir, const struct ext4_block *b)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint8_t *t = b->data + dir_leaf_size(fs);
    if (!fs->csum)
        return;
    put32(t, 0);
    put16(t + 4, TAIL_SIZE);
    t[6] = 0;
    t[7] = TAIL_TYPE;
    ext4_block_seal(fs, b, leaf_seal, dir->seed);
}

static bool leaf_block_valid(const struct ext4_inode *dir, const uint8_t *data)
{
    uint32_t at = dir_leaf_size(ext4_fs(&dir->v));
    const uint8_t *t = data + at;
    return le32(t) == 0 && le16(t + 4) == TAIL_SIZE && t[6] == 0 && t[7] == TAIL_TYPE &&
           crc32c(dir->seed, data, at) == le32(t + 8);
}

int ext4_dir_block(struct ext4_inode *dir, uint64_t logical, struct ext4_block *out)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    struct ext4_run run;
    int err = ext4_map(dir, logical, &run);
    if (err)
        return err;
    if (!run.mapped)
        return ext4_bad(fs, "hole in directory", dir->v.ino);
    err = ext4_block_get(fs, run.physical, out);
    if (err || !fs->csum || ext4_block_known(fs, out))
        return err;
    bool valid = dir_block_is_index(dir, logical, out->data)
                     ? index_block_valid(dir, logical, out->data)
                     : leaf_block_valid(dir, out->data);
    if (valid) {
        ext4_block_set_known(fs, out);
        return 0;
    }
    ext4_block_put(out);
    return ext4_bad(fs, "directory checksum, inode", dir->v.ino);
}

int64_t ext4_dir_search(struct ext4_inode *dir, const uint8_t *data, uint32_t size,
                        const struct vnode_name *name)
{
    struct dir_entry e;
    for (uint32_t off = 0; off < size; off += e.length) {
        if (!dir_entry_decode(data, size, off, &e))
            return ext4_bad(ext4_fs(&dir->v), "directory entry, inode", dir->v.ino);
        if (dir_entry_is(&e, name))
            return e.ino;
    }
    return 0;
}

static int64_t inline_search(struct ext4_inode *dir, const struct vnode_name *name)
{
    int64_t ino =
        ext4_dir_search(dir, dir->block + INLINE_FIRST, IN_BLOCK_SIZE - INLINE_FIRST, name);
    if (ino || !dir->inline_more)
        return ino;
    return ext4_dir_search(dir, dir->inline_more, dir->inline_more_size, name);
}

static int64_t linear_search(struct ext4_inode *dir, const struct vnode_name *name,
                             uint64_t *logical)
{
    struct ext4_fs *fs = ext4_fs(&dir->v);
    uint64_t blocks = dir->v.size >> fs->block_shift;
    int64_t ino = 0;
    for (uint64_t i = 0; i < blocks && ino == 0; i++) {
        struct ext4_block b;
        int err = ext4_dir_block(dir, i, &b);
        if (err)
            return err;
        ino = ext4_dir_search(dir, b.data, fs->block_size, name);
        *logical = i;
        ext4_block_put(&b);
    }
    return ino;
}

int64_t ext4_dir_find(struct ext4_inode *dir, const struct vnode_name *name, uint64_t *logical)
{
    int64_t ino = -EOPNOTSUPP;
    bool dots = name->len <= 2 && !memcmp(name->text, "..", name->len); /* not in the index */
    if (dir->flags & INODE_INDEX && !dots)
        ino = htree_find(dir, name, logical);
    return ino == -EOPNOTSUPP ? linear_search(dir, name, logical) : ino;
}

int ext4_lookup(struct vnode *v, const struct vnode_name *name, struct vnode **out)
{
    struct ext4_inode *dir = ext4_inode(v);
    uint64_t logical;
    int64_t ino =
        dir->flags & INODE_INLINE ? inline_search(dir, name) : ext4_dir_find(dir, name, &logical);
    if (ino <= 0)
        return ino ? (int)ino : -ENOENT;
    return ext4_inode_get(ext4_fs(v), (uint64_t)ino, false, out);
}

/* A sink for the entries of one directory and where it stands. */
struct listing {
    struct ext4_inode *dir;
    uint64_t *pos;
    dirent_fn *fn;
    void *arg;
};

/* Lists a region that begins at position `base`: 0, 1 when the sink is full, -EIO. */
static int list_region(struct listing *l, uint64_t base, const uint8_t *data, uint32_t size)
{
    struct ext4_fs *fs = ext4_fs(&l->dir->v);
    struct dir_entry e;
    for (uint32_t off = 0; off < size; off += e.length) {
        if (!dir_entry_decode(data, size, off, &e))
            return ext4_bad(fs, "directory entry, inode", l->dir->v.ino);
        if (base + off < *l->pos)
            continue;
        uint64_t next = base + off + e.length;
        bool named = e.ino && e.name_len && !memchr(e.name, '/', e.name_len) &&
                     !memchr(e.name, 0, e.name_len);
        if (named && l->fn(l->arg, e.name, e.name_len, e.ino, entry_type(fs, &e), next))
            return 1;
        *l->pos = next;
    }
    *l->pos = MAX(*l->pos, base + size);
    return 0;
}

/* "." and "..", which inline directories do not store, are positions 0 and 1. */
static int list_inline(struct listing *l)
{
    struct ext4_inode *dir = l->dir;
    uint64_t second = IN_BLOCK_SIZE;
    if (*l->pos == 0) {
        if (l->fn(l->arg, ".", 1, dir->v.ino, 4, 1))
            return 1;
        *l->pos = 1;
    }
    if (*l->pos == 1) {
        if (l->fn(l->arg, "..", 2, le32(dir->block), 4, INLINE_FIRST))
            return 1;
        *l->pos = INLINE_FIRST;
    }
    int err = 0;
    if (*l->pos < second)
        err = list_region(l, INLINE_FIRST, dir->block + INLINE_FIRST, IN_BLOCK_SIZE - INLINE_FIRST);
    if (err || !dir->inline_more)
        return err;
    return list_region(l, second, dir->inline_more, dir->inline_more_size);
}

int ext4_readdir(struct vnode *v, uint64_t *pos, dirent_fn *fn, void *arg)
{
    struct ext4_inode *dir = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    struct listing l = {dir, pos, fn, arg};
    if (dir->flags & INODE_INLINE)
        return list_inline(&l);
    while (*pos < v->size) {
        uint64_t logical = *pos >> fs->block_shift;
        struct ext4_block b;
        int err = ext4_dir_block(dir, logical, &b);
        if (err)
            return err;
        err = list_region(&l, logical << fs->block_shift, b.data, fs->block_size);
        ext4_block_put(&b);
        if (err)
            return err;
    }
    return 0;
}
