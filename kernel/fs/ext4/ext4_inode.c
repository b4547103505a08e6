/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: inodes. `struct ext4_inode` is the vnode with the block map's root (or
 * the inline data) copied from the disk; it does not change, the file system is
 * read-only. Its cached run is under run_lock.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"

#define XATTR_MAGIC        0xea020000u
#define XATTR_INDEX_SYSTEM 7
#define XATTR_ENTRY_SIZE   16

static uint32_t inode_seed(const struct ext4_fs *fs, uint32_t ino, const uint8_t *raw)
{
    uint32_t c = crc32c(fs->seed, &ino, sizeof ino);
    return crc32c(c, raw + IN_GENERATION, 4);
}

/* How many bytes behind the first 128 are in use. */
static uint32_t inode_extra(const struct ext4_fs *fs, const uint8_t *raw)
{
    return fs->inode_size > IN_SIZE_MIN ? le16(raw + IN_EXTRA_SIZE) : 0;
}

static bool inode_valid(const struct ext4_fs *fs, uint32_t seed, const uint8_t *raw)
{
    static const uint8_t zero[2];
    uint32_t stored = le16(raw + IN_CHECKSUM);
    bool wide = inode_extra(fs, raw) >= 4;
    uint32_t c = crc32c(seed, raw, IN_CHECKSUM);
    c = crc32c(c, zero, 2);
    c = crc32c(c, raw + IN_CHECKSUM + 2, IN_SIZE_MIN - IN_CHECKSUM - 2);
    if (fs->inode_size > IN_SIZE_MIN) {
        c = crc32c(c, raw + IN_SIZE_MIN, IN_CHECKSUM_HI - IN_SIZE_MIN);
        c = crc32c(c, wide ? zero : raw + IN_CHECKSUM_HI, 2);
        c = crc32c(c, raw + IN_CHECKSUM_HI + 2, fs->inode_size - IN_CHECKSUM_HI - 2);
    }
    if (wide)
        stored |= (uint32_t)le16(raw + IN_CHECKSUM_HI) << 16;
    return stored == (wide ? c : c & 0xffff);
}

/* Seconds, and where the inode is large enough ns and two more bits of seconds. */
static int64_t inode_time(const uint8_t *raw, unsigned base, unsigned extra_at, uint32_t extra)
{
    int64_t sec = (int32_t)le32(raw + base);
    uint32_t more = extra_at + 4 <= IN_SIZE_MIN + extra ? le32(raw + extra_at) : 0;
    sec += (int64_t)(more & 3) << 32;
    return sec * (int64_t)NSEC_PER_SEC + (more >> 2) % (uint32_t)NSEC_PER_SEC;
}

static void inode_attributes(struct ext4_fs *fs, struct ext4_inode *n, const uint8_t *raw,
                             uint32_t extra)
{
    struct vnode *v = &n->v;
    v->nlink = le16(raw + IN_LINKS);
    v->uid = le16(raw + IN_UID) | (uint32_t)le16(raw + IN_UID_HI) << 16;
    v->gid = le16(raw + IN_GID) | (uint32_t)le16(raw + IN_GID_HI) << 16;
    v->size = le32(raw + IN_SIZE);
    if (vnode_is_regular(v) || vnode_is_dir(v))
        v->size |= (uint64_t)le32(raw + IN_SIZE_HI) << 32;
    v->blocks = le32(raw + IN_BLOCKS);
    if (fs->ro_compat & RO_COMPAT_HUGE_FILE) {
        v->blocks |= (uint64_t)le16(raw + IN_BLOCKS_HI) << 32;
        if (n->flags & INODE_HUGE)
            v->blocks <<= fs->block_shift - 9;
    }
    v->atime = inode_time(raw, IN_ATIME, IN_ATIME_EXTRA, extra);
    v->ctime = inode_time(raw, IN_CTIME, IN_CTIME_EXTRA, extra);
    v->mtime = inode_time(raw, IN_MTIME, IN_MTIME_EXTRA, extra);
    v->btime =
        IN_BTIME + 4 <= IN_SIZE_MIN + extra ? inode_time(raw, IN_BTIME, IN_BTIME_EXTRA, extra) : 0;
    if (S_ISCHR(v->mode) || S_ISBLK(v->mode))
        v->rdev = le32(n->block) ? le32(n->block) & 0xffff : le32(n->block + 4);
}

/* Copies the value of the attribute "system.data": inline data beyond the first 60 bytes. */
static int inode_inline(struct ext4_fs *fs, struct ext4_inode *n, const uint8_t *raw,
                        uint32_t extra)
{
    uint32_t at = IN_SIZE_MIN + extra;
    if (at + 8 > fs->inode_size || le32(raw + at) != XATTR_MAGIC)
        return 0;
    const uint8_t *first = raw + at + 4, *end = raw + fs->inode_size;
    for (const uint8_t *e = first; e + XATTR_ENTRY_SIZE <= end && le32(e);) {
        uint32_t name_len = e[0], off = le16(e + 2), size = le32(e + 8);
        if (e + XATTR_ENTRY_SIZE + name_len > end)
            return ext4_bad(fs, "attribute name", n->v.ino);
        if (e[1] == XATTR_INDEX_SYSTEM && name_len == 4 &&
            !memcmp(e + XATTR_ENTRY_SIZE, "data", 4)) {
            if (off > (uint32_t)(end - first) || size > (uint32_t)(end - first) - off)
                return ext4_bad(fs, "inline data", n->v.ino);
            n->inline_more = size ? kmemdup(first + off, size) : NULL;
            n->inline_more_size = size;
            return size && !n->inline_more ? -ENOMEM : 0;
        }
        e += ALIGN_UP(XATTR_ENTRY_SIZE + name_len, 4u);
    }
    return 0;
}

static int ext4_readlink(struct vnode *v, char *buf, size_t n)
{
    struct ext4_inode *in = ext4_inode(v);
    size_t len = MIN((uint64_t)n, v->size);
    if (v->size >= PAGE_SIZE)
        return ext4_bad(ext4_fs(v), "symbolic link is too long", v->ino);
    /* A short text stands in the inode itself; its blocks are those of attributes only. */
    if (v->size < IN_BLOCK_SIZE && !(in->flags & (INODE_EXTENTS | INODE_INLINE)) &&
        v->blocks <= ext4_fs(v)->block_size / 512) {
        memcpy(buf, in->block, len);
        return (int)len;
    }
    ssize_t got = vnode_read_kernel(v, buf, len, 0);
    return got < 0 ? (int)got : (size_t)got == len ? (int)len : -EIO;
}

static void ext4_destroy(struct vnode *v, size_t pages)
{
    struct ext4_inode *n = ext4_inode(v);
    (void)pages;
    kfree(n->inline_more);
    kfree(n);
}

static const struct vnode_ops ext4_dir_ops = {
    .lookup = ext4_lookup,
    .readdir = ext4_readdir,
    .destroy = ext4_destroy,
};
static const struct vnode_ops ext4_file_ops = {
    .read_pages = ext4_read_pages,
    .destroy = ext4_destroy,
};
static const struct vnode_ops ext4_link_ops = {
    .read_pages = ext4_read_pages,
    .readlink = ext4_readlink,
    .destroy = ext4_destroy,
};

static int inode_decode(struct ext4_fs *fs, uint64_t ino, const uint8_t *raw, struct ext4_inode *n)
{
    uint32_t mode = le16(raw + IN_MODE), seed = inode_seed(fs, (uint32_t)ino, raw);
    uint32_t extra = inode_extra(fs, raw);
    const struct vnode_ops *ops = S_ISDIR(mode)   ? &ext4_dir_ops
                                  : S_ISLNK(mode) ? &ext4_link_ops
                                                  : &ext4_file_ops;
    vnode_init(&n->v, &fs->fs, ops, ino, mode);
    if (fs->csum && !inode_valid(fs, seed, raw))
        return ext4_bad(fs, "inode checksum", ino);
    if (extra > fs->inode_size - IN_SIZE_MIN || (extra & 3))
        return ext4_bad(fs, "inode extra size", ino);
    if (!(mode & S_IFMT) || le16(raw + IN_LINKS) == 0)
        return ext4_bad(fs, "inode is not in use", ino);
    n->seed = seed;
    n->flags = le32(raw + IN_FLAGS);
    memcpy(n->block, raw + IN_BLOCK, IN_BLOCK_SIZE);
    inode_attributes(fs, n, raw, extra);
    if (n->v.size > INT64_MAX || (S_ISDIR(mode) && n->v.size >> fs->block_shift > fs->blocks))
        return ext4_bad(fs, "file size", ino);
    return n->flags & INODE_INLINE ? inode_inline(fs, n, raw, extra) : 0;
}

int ext4_inode_get(struct ext4_fs *fs, uint64_t ino, struct vnode **out)
{
    struct ext4_block b;
    uint64_t table;
    *out = vnode_find(&fs->fs, ino);
    if (*out)
        return 0;
    if (ino > fs->inodes || (ino != EXT4_ROOT_INO && ino < fs->first_ino))
        return ext4_bad(fs, "inode number", ino);
    uint32_t group = (uint32_t)((ino - 1) / fs->inodes_per_group);
    uint64_t at = (ino - 1) % fs->inodes_per_group * fs->inode_size;
    int err = ext4_inode_table(fs, group, &table);
    if (!err)
        err = ext4_block_get(fs, table + (at >> fs->block_shift), &b);
    if (err)
        return err;
    struct ext4_inode *n = kzalloc(sizeof *n);
    if (n)
        err = inode_decode(fs, ino, b.data + (at & (fs->block_size - 1)), n);
    else
        err = -ENOMEM;
    ext4_block_put(&b);
    if (err) {
        kfree(n ? n->inline_more : NULL);
        kfree(n);
        return err;
    }
    *out = vnode_publish(&n->v);
    return 0;
}
