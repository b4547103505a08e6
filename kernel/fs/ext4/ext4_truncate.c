/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: truncate and fallocate. page_cache.writing is held while blocks are taken
 * away, so no page is on its way to them. An inode whose blocks take more than one
 * operation is on the orphan list meanwhile.
 */
#include <linux/errno.h>
#include <linux/falloc.h>

#include "fs/ext4/ext4_indirect.h"
#include "mem/page.h"
#include "vm/map.h"

static uint64_t block_up(const struct ext4_fs *fs, uint64_t bytes)
{
    return (bytes + fs->block_size - 1) >> fs->block_shift;
}

int ext4_cut(struct ext4_inode *n, uint64_t first, uint64_t end)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    end = MIN(end, 1ull << 32);
    for (int more = 1; more > 0;) {
        int err = ext4_begin(fs, EXT4_REMOVE_CREDITS);
        if (err)
            return err;
        more = ext4_map_remove(n, first, end);
        err = more < 0 ? more : ext4_inode_store(n);
        err = ext4_end(fs, err);
        if (err)
            return err;
    }
    return 0;
}

/* Bytes from..to-1 of one page become zero, on the disk too if there is anything. */
static int edge_clear(struct vnode *v, uint64_t from, uint64_t to)
{
    struct ext4_fs *fs = ext4_fs(v);
    uint64_t index = from >> PAGE_SHIFT;
    unsigned missing;
    struct page *p = page_cache_find(&v->cache, index);
    if (p) {
        page_put(p);
    } else {
        int err = ext4_blocks_missing(ext4_inode(v), index, &missing);
        if (err || missing == PAGE_SIZE >> fs->block_shift)
            return err;
    }
    int err = ext4_write_page(v, index, NULL, &p);
    if (err)
        return err;
    memset((uint8_t *)page_address(p) + (from & (PAGE_SIZE - 1)), 0, to - from);
    page_cache_dirty(&v->cache, p);
    page_put(p);
    return 0;
}

/* What stands behind the end in the last page is zero, before the file grows over it or ends there.
 */
static int tail_clear(struct vnode *v, uint64_t size)
{
    uint64_t page_end = ALIGN_UP(size, PAGE_SIZE);
    return size == page_end ? 0 : edge_clear(v, size, page_end);
}

/* The new size on the disk, and the blocks behind it, as far as one operation goes. */
static int size_store(struct ext4_inode *n, uint64_t size, bool *more)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    bool shrinks = size < n->disk_size || n->v.blocks;
    int err = ext4_begin(fs, EXT4_REMOVE_CREDITS + 4), rest = 0;
    if (err)
        return err;
    n->disk_size = size;
    if (shrinks)
        rest = ext4_map_remove(n, block_up(fs, size), 1ull << 32);
    err = MIN(rest, 0);
    *more = rest > 0;
    if (!err && *more)
        err = ext4_orphan_add(n);
    if (!err)
        err = ext4_inode_store(n);
    return ext4_end(fs, err);
}

static int shrink(struct vnode *v, uint64_t size)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    uint64_t first = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT;
    bool more = false;
    int err = tail_clear(v, size);
    if (err)
        return err;
    __atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
    vm_forget_object(&v->cache.object, first, UINT64_MAX >> PAGE_SHIFT);
    page_cache_drop(&v->cache, first, UINT64_MAX);
    vm_forget_object(&v->cache.object, first, UINT64_MAX >> PAGE_SHIFT);
    err = size_store(n, size, &more);
    if (!err && more)
        err = ext4_cut(n, block_up(fs, size), UINT64_MAX);
    if (!err && more && !(err = ext4_begin(fs, 4)))
        err = ext4_end(fs, ext4_orphan_remove(n));
    return err;
}

static int grow(struct vnode *v, uint64_t size)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    int err = tail_clear(v, v->size);
    if (!err)
        err = ext4_begin(fs, 1);
    if (err)
        return err;
    n->disk_size = size;
    __atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
    return ext4_end(fs, ext4_inode_store(n));
}

uint64_t ext4_size_limit(const struct ext4_fs *fs, bool extents)
{
    if (!(fs->ro_compat & RO_COMPAT_LARGE_FILE))
        return INT32_MAX;
    return (extents ? (1ull << 32) - 1 : indirect_limit(fs)) << fs->block_shift;
}

static uint64_t limit_of(const struct ext4_inode *n)
{
    return ext4_size_limit(ext4_fs(&n->v), n->flags & INODE_EXTENTS);
}

/* What stands in the inode must move out before it is changed. */
static int make_ready(struct ext4_inode *n)
{
    return n->flags & INODE_INLINE ? ext4_inline_out(n) : 0;
}

int ext4_truncate(struct vnode *v, uint64_t size)
{
    int err = make_ready(ext4_inode(v));
    if (err)
        return err;
    if (size > limit_of(ext4_inode(v)))
        return -EFBIG;
    mutex_lock(&v->cache.writing);
    if (size > v->size)
        err = grow(v, size);
    else if (size < v->size || v->blocks)
        err = shrink(v, size);
    mutex_unlock(&v->cache.writing);
    return err;
}

/* The size on the disk follows pages that are written; these are dropped instead. */
static int size_catch_up(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    if (n->disk_size >= n->v.size)
        return 0;
    int err = ext4_begin(fs, 1);
    if (err)
        return err;
    n->disk_size = n->v.size;
    return ext4_end(fs, ext4_inode_store(n));
}

/* A hole of from..to-1: whole pages lose their blocks, the rest is cleared. */
static int punch(struct vnode *v, uint64_t from, uint64_t to)
{
    struct ext4_fs *fs = ext4_fs(v);
    uint64_t first = ALIGN_UP(from, PAGE_SIZE), end = ALIGN_DOWN(to, PAGE_SIZE), size = v->size;
    if (to >= size)
        end = MAX(end, ALIGN_UP(size, PAGE_SIZE)); /* the last page ends with the file */
    if (first > end)                               /* within one page */
        return from < size ? edge_clear(v, from, MIN(to, size)) : 0;
    int err = from < first && from < size ? edge_clear(v, from, MIN(first, size)) : 0;
    if (!err && to > end && end < size)
        err = edge_clear(v, end, MIN(to, size));
    if (!err && first < end)
        err = size_catch_up(ext4_inode(v));
    if (err || first >= end)
        return err;
    vm_forget_hole(&v->cache.object, first >> PAGE_SHIFT, end >> PAGE_SHIFT);
    page_cache_drop(&v->cache, first >> PAGE_SHIFT, end >> PAGE_SHIFT);
    vm_forget_hole(&v->cache.object, first >> PAGE_SHIFT, end >> PAGE_SHIFT);
    return ext4_cut(ext4_inode(v), first >> fs->block_shift, end >> fs->block_shift);
}

/* Blocks for the whole range, unwritten where there were none; the size follows. */
static int preallocate(struct vnode *v, uint64_t from, uint64_t to, bool keep_size)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    uint64_t at = from >> fs->block_shift, end = block_up(fs, to);
    while (at < end) {
        int err = ext4_begin(fs, EXT4_MAKE_CREDITS);
        if (err)
            return err;
        uint64_t room = ext4_room(fs);
        err = room ? ext4_blocks_make(n, at, MIN(end, at + room), false, &at) : -ENOSPC;
        uint64_t size = MIN(at << fs->block_shift, to);
        if (!err && !keep_size && size > v->size) {
            __atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
            n->disk_size = size;
        }
        if (!err)
            err = ext4_inode_store(n);
        err = ext4_end(fs, err);
        if (err && !(err == -ENOSPC && ext4_reap_for_room(fs)))
            return err;
    }
    return 0;
}

static int allocate_locked(struct vnode *v, int kind, bool keep, uint64_t off, uint64_t end)
{
    int err = 0;
    if (kind == FALLOC_FL_PUNCH_HOLE)
        return punch(v, off, end);
    if (!keep && end > v->size)
        err = tail_clear(v, v->size);
    if (!err && kind == FALLOC_FL_ZERO_RANGE)
        err = punch(v, off, end);
    return err ? err : preallocate(v, off, end, keep);
}

int ext4_allocate(struct vnode *v, int mode, uint64_t off, uint64_t len)
{
    const int shifts = FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
    const int known = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | shifts;
    int kind = mode & ~FALLOC_FL_KEEP_SIZE, err;
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    if (v->fs->read_only)
        return -EROFS;
    if (kind & ~known)
        return -EOPNOTSUPP;
    if (off + len > limit_of(ext4_inode(v)))
        return -EFBIG;
    err = make_ready(ext4_inode(v));
    if (err)
        return err;
    if (kind != FALLOC_FL_PUNCH_HOLE && !(ext4_inode(v)->flags & INODE_EXTENTS))
        return -EOPNOTSUPP; /* there are no unwritten blocks in ext2's maps */
    if (kind & shifts && (off | len) & (ext4_fs(v)->block_size - 1))
        return -EINVAL;
    if (kind & shifts)
        return kind == FALLOC_FL_INSERT_RANGE ? ext4_insert(v, off, len)
                                              : ext4_collapse(v, off, len);
    mutex_lock(&v->cache.writing);
    err = allocate_locked(v, kind, keep, off, off + len);
    mutex_unlock(&v->cache.writing);
    return err;
}

/* True if the page, in memory, has content the disk does not know of. */
static bool page_is_dirty(struct vnode *v, uint64_t off)
{
    struct page *p = page_cache_find(&v->cache, off >> PAGE_SHIFT);
    bool dirty = p && p->flags & PAGE_DIRTY;
    if (p)
        page_put(p);
    return dirty;
}

int64_t ext4_seek(struct vnode *v, uint64_t off, bool hole)
{
    struct ext4_inode *n = ext4_inode(v);
    struct ext4_fs *fs = ext4_fs(v);
    while (off < v->size) {
        struct ext4_run run;
        uint64_t step = fs->block_size;
        int err = n->flags & INODE_INLINE ? 0 : ext4_map(n, off >> fs->block_shift, &run);
        if (err)
            return err;
        bool data = n->flags & INODE_INLINE || run.mapped;
        if (data)
            step = n->flags & INODE_INLINE ? v->size : run.count << fs->block_shift;
        else if (v->cache.dirty_count)
            data = page_is_dirty(v, off);
        else
            step = run.count << fs->block_shift;
        if (data != hole)
            return (int64_t)off;
        off = ALIGN_DOWN(off, (uint64_t)fs->block_size) + step;
    }
    return hole ? (int64_t)v->size : -ENXIO;
}
