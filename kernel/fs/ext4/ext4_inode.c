/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: inodes, from the disk and to it. `struct ext4_inode` is the vnode with the
 * block map's root (or the inline data) copied from the disk. All fields go to the
 * disk together (ext4_inode_store()); times may wait for write-back.
 */
#include <linux/errno.h>

#include "core/random.h"
#include "fs/ext4/ext4_fs.h"
#include "fs/writeback.h"
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

/* *wide: there is room for all 32 bits. */
static uint32_t inode_csum(const struct ext4_fs *fs, uint32_t seed, const uint8_t *raw,
                           bool *wide_out)
{
    static const uint8_t zero[2];
    bool wide = inode_extra(fs, raw) >= 4;
    uint32_t c = crc32c(seed, raw, IN_CHECKSUM);
    c = crc32c(c, zero, 2);
    c = crc32c(c, raw + IN_CHECKSUM + 2, IN_SIZE_MIN - IN_CHECKSUM - 2);
    if (fs->inode_size > IN_SIZE_MIN) {
        c = crc32c(c, raw + IN_SIZE_MIN, IN_CHECKSUM_HI - IN_SIZE_MIN);
        c = crc32c(c, wide ? zero : raw + IN_CHECKSUM_HI, 2);
        c = crc32c(c, raw + IN_CHECKSUM_HI + 2, fs->inode_size - IN_CHECKSUM_HI - 2);
    }
    *wide_out = wide;
    return wide ? c : c & 0xffff;
}

static bool inode_valid(const struct ext4_fs *fs, uint32_t seed, const uint8_t *raw)
{
    bool wide;
    uint32_t c = inode_csum(fs, seed, raw, &wide), stored = le16(raw + IN_CHECKSUM);
    if (wide)
        stored |= (uint32_t)le16(raw + IN_CHECKSUM_HI) << 16;
    return stored == c;
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
    n->dtime = le32(raw + IN_DTIME);
    n->generation = le32(raw + IN_GENERATION);
    n->xattr_block = le32(raw + IN_XATTR);
    if (fs->incompat & INCOMPAT_64BIT)
        n->xattr_block |= (uint64_t)le16(raw + IN_XATTR_HI) << 32;
    v->uid = le16(raw + IN_UID) | (uint32_t)le16(raw + IN_UID_HI) << 16;
    v->gid = le16(raw + IN_GID) | (uint32_t)le16(raw + IN_GID_HI) << 16;
    v->size = le32(raw + IN_SIZE);
    if (vnode_is_regular(v) || vnode_is_dir(v))
        v->size |= (uint64_t)le32(raw + IN_SIZE_HI) << 32;
    n->disk_size = v->size;
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

/* The blocks of a long link are metadata: they may be in the journal only. */
static int link_blocks(struct ext4_inode *n, char *buf, size_t len)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    for (size_t done = 0; done < len;) {
        struct ext4_block b;
        struct ext4_run run;
        int err = ext4_map(n, done >> fs->block_shift, &run);
        if (!err && !run.mapped)
            err = ext4_bad(fs, "hole in a symbolic link", n->v.ino);
        if (!err)
            err = ext4_block_get(fs, run.physical, &b);
        if (err)
            return err;
        size_t part = MIN(len - done, (size_t)fs->block_size);
        memcpy(buf + done, b.data, part);
        ext4_block_put(&b);
        done += part;
    }
    return (int)len;
}

/* A short text stands in the inode itself; its blocks are those of attributes only. */
bool ext4_link_is_fast(const struct ext4_inode *n)
{
    return n->v.size < IN_BLOCK_SIZE && !(n->flags & (INODE_EXTENTS | INODE_INLINE)) &&
           n->v.blocks <= ext4_fs(&n->v)->block_size / 512;
}

static int ext4_readlink(struct vnode *v, char *buf, size_t n)
{
    struct ext4_inode *in = ext4_inode(v);
    size_t len = MIN((uint64_t)n, v->size);
    if (v->size >= PAGE_SIZE)
        return ext4_bad(ext4_fs(v), "symbolic link is too long", v->ino);
    if (ext4_link_is_fast(in)) {
        memcpy(buf, in->block, len);
        return (int)len;
    }
    if (!(in->flags & INODE_INLINE))
        return link_blocks(in, buf, len);
    size_t first = MIN(len, (size_t)IN_BLOCK_SIZE);
    memcpy(buf, in->block, first);
    if (len > first && (!in->inline_more || in->inline_more_size < len - first))
        return ext4_bad(ext4_fs(v), "inline symbolic link", v->ino);
    memcpy(buf + first, in->inline_more, len - first);
    return (int)len;
}

void ext4_inode_discard(struct ext4_inode *n)
{
    kfree(n->inline_more);
    kfree(n);
}

/* May be called with any mutex held: blocks of deleted files are freed later. */
static void ext4_destroy(struct vnode *v, size_t pages)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    (void)pages;
    if (v->nlink || fs->fs.read_only || fs->ended || n->discard) {
        ext4_inode_discard(n);
        return;
    }
    spin_lock(&fs->reap_lock);
    n->reap_next = fs->reap;
    fs->reap = n;
    spin_unlock(&fs->reap_lock);
    fs_set_dirty(&fs->fs, true);
}

static int ext4_setattr(struct vnode *v, const struct vnode_attr *a)
{
    (void)v;
    (void)a;
    return 0; /* the generic code sets the fields, write-back stores them */
}

/* Blocks that are set aside for dirty pages are the file's already. */
static void ext4_file_stat(struct vnode *v, struct file_stat *st)
{
    uint64_t reserved = __atomic_load_n(&v->cache.reserved, __ATOMIC_RELAXED);
    st->blocks += reserved << (ext4_fs(v)->block_shift - 9);
}

#define COMMON_OPS                                                                                 \
    .setattr = ext4_setattr, .store = ext4_store, .fsync = ext4_fsync, .destroy = ext4_destroy,    \
    .xattr_get = ext4_xattr_get, .xattr_set = ext4_xattr_set, .xattr_list = ext4_xattr_list

static const struct vnode_ops ext4_dir_ops = {
    COMMON_OPS,
    .lookup = ext4_lookup,
    .readdir = ext4_readdir,
    .make = ext4_make,
    .link = ext4_link,
    .unlink = ext4_unlink,
    .rename = ext4_rename,
    .make_unnamed = ext4_make_unnamed,
};
static const struct vnode_ops ext4_file_ops = {
    COMMON_OPS,
    .read_pages = ext4_read_pages,
    .write_page = ext4_write_page,
    .write_pages = ext4_write_pages,
    .forget = ext4_forget,
    .truncate = ext4_truncate,
    .allocate = ext4_allocate,
    .seek = ext4_seek,
    .stat = ext4_file_stat,
};
static const struct vnode_ops ext4_link_ops = {COMMON_OPS, .readlink = ext4_readlink};
static const struct vnode_ops ext4_special_ops = {COMMON_OPS};

/* A vnode with what all inodes have in common. */
static void inode_init(struct ext4_fs *fs, struct ext4_inode *n, uint64_t ino, uint32_t mode)
{
    const struct vnode_ops *ops = S_ISDIR(mode)   ? &ext4_dir_ops
                                  : S_ISLNK(mode) ? &ext4_link_ops
                                  : S_ISREG(mode) ? &ext4_file_ops
                                                  : &ext4_special_ops;
    vnode_init(&n->v, &fs->fs, ops, ino, mode);
    mutex_init(&n->map_lock);
    list_init(&n->orphan_link);
    n->discard = true; /* until it is known to be an inode in use */
}

static int inode_decode(struct ext4_fs *fs, uint64_t ino, bool orphan, const uint8_t *raw,
                        struct ext4_inode *n)
{
    uint32_t mode = le16(raw + IN_MODE), seed = inode_seed(fs, (uint32_t)ino, raw);
    uint32_t extra = inode_extra(fs, raw);
    inode_init(fs, n, ino, mode);
    if (fs->csum && !inode_valid(fs, seed, raw))
        return ext4_bad(fs, "inode checksum", ino);
    if (extra > fs->inode_size - IN_SIZE_MIN || (extra & 3))
        return ext4_bad(fs, "inode extra size", ino);
    if (!(mode & S_IFMT) || (le16(raw + IN_LINKS) == 0 && !orphan))
        return ext4_bad(fs, "inode is not in use", ino);
    n->seed = seed;
    n->flags = le32(raw + IN_FLAGS);
    n->v.flags |= n->flags & INODE_NO_ATIME ? VNODE_NOATIME : 0;
    memcpy(n->block, raw + IN_BLOCK, IN_BLOCK_SIZE);
    inode_attributes(fs, n, raw, extra);
    if (n->v.size > INT64_MAX || (S_ISDIR(mode) && n->v.size >> fs->block_shift > fs->blocks))
        return ext4_bad(fs, "file size", ino);
    int err = n->flags & INODE_INLINE ? inode_inline(fs, n, raw, extra) : 0;
    n->discard = err;
    /* What it says may not be on the disk yet, as it may have been in memory before. */
    n->tid = n->data_tid = fs->journal ? ext4_tid(fs) : 0;
    return err;
}

/* The inode's place on the disk; *offset in the block. */
int ext4_inode_block(struct ext4_fs *fs, uint64_t ino, struct ext4_block *b, uint32_t *offset)
{
    uint64_t table, at = (ino - 1) % fs->inodes_per_group * fs->inode_size;
    int err = ext4_inode_table(fs, (uint32_t)((ino - 1) / fs->inodes_per_group), &table);
    *offset = (uint32_t)at & (fs->block_size - 1);
    return err ? err : ext4_block_get(fs, table + (at >> fs->block_shift), b);
}

static int inode_load(struct ext4_fs *fs, uint64_t ino, bool orphan, struct vnode **out)
{
    struct ext4_block b;
    uint32_t offset;
    int err = ext4_inode_block(fs, ino, &b, &offset);
    if (err)
        return err;
    struct ext4_inode *n = kzalloc(sizeof *n);
    err = n ? inode_decode(fs, ino, orphan, b.data + offset, n) : -ENOMEM;
    ext4_block_put(&b);
    if (err && n)
        ext4_inode_discard(n);
    if (!err)
        *out = vnode_publish(&n->v);
    return err;
}

int ext4_inode_get(struct ext4_fs *fs, uint64_t ino, bool orphan, struct vnode **out)
{
    *out = vnode_find(&fs->fs, ino);
    if (*out)
        return 0;
    bool special = ino == EXT4_ROOT_INO || ino == EXT4_JOURNAL_INO;
    if (ino == 0 || ino > fs->inodes || (!special && ino < fs->first_ino))
        return ext4_bad(fs, "inode number", ino);
    /* Held from the look to the publication: else an old state could be published. */
    mutex_lock(&fs->load_lock);
    *out = vnode_find(&fs->fs, ino);
    int err = *out ? 0 : inode_load(fs, ino, orphan, out);
    mutex_unlock(&fs->load_lock);
    return err;
}

static void encode_time(uint8_t *raw, unsigned base, unsigned extra_at, uint32_t extra, int64_t t)
{
    int64_t sec = t / (int64_t)NSEC_PER_SEC, ns = t % (int64_t)NSEC_PER_SEC;
    if (ns < 0) {
        ns += NSEC_PER_SEC;
        sec--;
    }
    bool wide = extra_at + 4 <= IN_SIZE_MIN + extra;
    int64_t least = INT32_MIN, most = wide ? least + (4ll << 32) - 1 : INT32_MAX;
    sec = MAX(MIN(sec, most), least);
    put32(raw + base, (uint64_t)sec);
    if (wide)
        put32(raw + extra_at, (uint64_t)ns << 2 | ((uint64_t)(sec - (int32_t)sec) >> 32 & 3));
}

/* i_blocks counts 512 bytes, or blocks in files that are too large for that. */
static void encode_blocks(const struct ext4_fs *fs, struct ext4_inode *n, uint8_t *raw)
{
    uint64_t blocks = n->v.blocks;
    n->flags &= ~(uint32_t)INODE_HUGE;
    if (blocks >> 48 && fs->ro_compat & RO_COMPAT_HUGE_FILE) {
        n->flags |= INODE_HUGE;
        blocks >>= fs->block_shift - 9;
    }
    put32(raw + IN_BLOCKS, blocks);
    put16(raw + IN_BLOCKS_HI, (uint32_t)(blocks >> 32));
}

static void encode_device(struct ext4_inode *n)
{
    uint32_t dev = (uint32_t)n->v.rdev; /* {minor's upper part 12, major 12, minor 8} bits */
    bool old = dev <= 0xffff;
    memset(n->block, 0, sizeof n->block);
    put32(n->block + (old ? 0 : 4), dev);
}

static void inode_encode(struct ext4_fs *fs, struct ext4_inode *n, uint8_t *raw)
{
    struct vnode *v = &n->v;
    uint32_t extra = inode_extra(fs, raw);
    uint32_t next = n->dtime;
    if (!list_empty(&n->orphan_link))
        next =
            n->orphan_link.next == &fs->orphans
                ? 0
                : (uint32_t)LIST_ENTRY(n->orphan_link.next, struct ext4_inode, orphan_link)->v.ino;
    put16(raw + IN_MODE, v->mode);
    put16(raw + IN_LINKS, vnode_is_dir(v) && v->nlink >= EXT4_LINKS_MAX ? 1 : v->nlink);
    put16(raw + IN_UID, v->uid & 0xffff);
    put16(raw + IN_UID_HI, v->uid >> 16);
    put16(raw + IN_GID, v->gid & 0xffff);
    put16(raw + IN_GID_HI, v->gid >> 16);
    put32(raw + IN_SIZE, n->disk_size);
    if (vnode_is_regular(v) || vnode_is_dir(v))
        put32(raw + IN_SIZE_HI, n->disk_size >> 32);
    encode_blocks(fs, n, raw);
    put32(raw + IN_FLAGS, n->flags);
    put32(raw + IN_DTIME, next);
    put32(raw + IN_GENERATION, n->generation);
    put32(raw + IN_XATTR, n->xattr_block);
    if (fs->incompat & INCOMPAT_64BIT)
        put16(raw + IN_XATTR_HI, (uint32_t)(n->xattr_block >> 32));
    memcpy(raw + IN_BLOCK, n->block, IN_BLOCK_SIZE);
    encode_time(raw, IN_ATIME, IN_ATIME_EXTRA, extra, v->atime);
    encode_time(raw, IN_CTIME, IN_CTIME_EXTRA, extra, v->ctime);
    encode_time(raw, IN_MTIME, IN_MTIME_EXTRA, extra, v->mtime);
    if (IN_BTIME + 4 <= IN_SIZE_MIN + extra)
        encode_time(raw, IN_BTIME, IN_BTIME_EXTRA, extra, v->btime);
    if (!fs->csum)
        return;
    bool wide;
    uint32_t c = inode_csum(fs, n->seed, raw, &wide);
    put16(raw + IN_CHECKSUM, c & 0xffff);
    if (wide)
        put16(raw + IN_CHECKSUM_HI, c >> 16);
}

int ext4_inode_edit(struct ext4_inode *n, ext4_raw_fn *edit, void *arg)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block b;
    uint32_t offset;
    int err = ext4_inode_block(fs, n->v.ino, &b, &offset);
    if (err)
        return err;
    err = ext4_block_change(fs, &b);
    if (!err) {
        if (n->fresh) {
            memset(b.data + offset, 0, fs->inode_size);
            if (fs->inode_size > IN_SIZE_MIN)
                put16(b.data + offset + IN_EXTRA_SIZE, fs->want_extra);
            n->fresh = false;
        }
        if (edit)
            edit(b.data + offset, arg);
        inode_encode(fs, n, b.data + offset);
        n->tid = ext4_tid(fs);
    }
    ext4_block_put(&b);
    return err;
}

int ext4_inode_store(struct ext4_inode *n)
{
    n->data_tid = ext4_tid(ext4_fs(&n->v));
    return ext4_inode_edit(n, NULL, NULL);
}

int ext4_store(struct vnode *v)
{
    struct ext4_fs *fs = ext4_fs(v);
    int err = ext4_begin(fs, 1);
    if (err)
        return err;
    err = ext4_inode_edit(ext4_inode(v), NULL, NULL);
    return ext4_end(fs, err);
}

int ext4_fsync(struct vnode *v, bool data_only)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    return fs->journal ? ext4_commit(fs, data_only ? n->data_tid : n->tid) : 0;
}

int ext4_inode_make(struct ext4_fs *fs, const struct vnode *dir, const struct vnode_new *what,
                    uint32_t ino, struct ext4_inode **out)
{
    struct ext4_inode *n = kzalloc(sizeof *n);
    uint32_t number = ino;
    if (!n)
        return -ENOMEM;
    inode_init(fs, n, ino, what->mode);
    n->discard = false;
    n->fresh = true;
    n->flags = CONTAINER_OF(dir, struct ext4_inode, v)->flags & INODE_NO_ATIME;
    n->v.flags |= dir->flags & VNODE_NOATIME;
    n->v.uid = what->uid;
    n->v.gid = what->gid;
    n->v.rdev = what->rdev;
    random_bytes(&n->generation, sizeof n->generation);
    n->seed = crc32c(crc32c(fs->seed, &number, sizeof number), &n->generation, 4);
    if (S_ISREG(what->mode) || S_ISDIR(what->mode))
        ext4_map_init(n);
    else if (S_ISCHR(what->mode) || S_ISBLK(what->mode))
        encode_device(n);
    *out = n;
    return 0;
}
