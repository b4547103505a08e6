/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: fallocate's COLLAPSE_RANGE and INSERT_RANGE. What lies behind the range moves
 * by changing where its extents say they begin: leaf by leaf, from the side it moves
 * to, so extents never overlap and no step needs room. Pages behind the range leave the
 * cache before and after; page_cache.writing is held in between.
 */
#include <linux/errno.h>
#include <linux/falloc.h>

#include "fs/ext4/ext4_extent.h"
#include "mem/page.h"
#include "vm/map.h"

#define LEAVES_MAX 4 /* moved in one operation */
#define CREDITS    (LEAVES_MAX * (EXTENT_DEPTH_MAX + 1) + 2)
#define SPLIT_ROOM EXTENT_DEPTH_MAX
#define PAGES_END  (UINT64_MAX >> PAGE_SHIFT)

struct shift {
    struct ext4_inode *n;
    uint64_t first; /* extents from this block on move */
    uint32_t by;    /* blocks */
    uint64_t at;    /* those from here on (down) or up to here (up) have not moved yet */
};

/* Adds `by` to the starts of entries first..end-1 of the leaf. */
static int leaf_shift(struct extent_path *p, unsigned first, unsigned end, uint32_t by)
{
    struct extent_level *l = &p->level[p->depth];
    int err = extent_level_change(p, p->depth);
    if (err)
        return err;
    for (unsigned i = first; i < end; i++)
        put32(extent_entry(l, i), le32(extent_entry(l, i)) + by);
    extent_level_done(p, p->depth);
    return first == 0 ? extent_keys_update(p, p->depth) : 0;
}

/* The extents of one leaf begin earlier; 1: there may be more of them, 0: that was all. */
static int shift_down(struct shift *s)
{
    struct extent_path p;
    struct extent e;
    int err = extent_path_find(s->n, s->at, &p), more = 0;
    struct extent_level *l = &p.level[p.depth];
    if (!err && l->entries) {
        unsigned first = l->before || le32(extent_entry(l, l->at)) >= s->at ? l->at : l->at + 1;
        if (first == l->entries) {
            s->at = extent_next_start(&p);
            more = s->at != LOGICAL_END;
        } else {
            extent_decode(extent_entry(l, l->entries - 1), &e);
            s->at = e.logical + e.count;
            err = leaf_shift(&p, first, l->entries, -s->by);
            more = 1;
        }
    }
    extent_path_close(&p);
    return err ? err : more;
}

/* The same, later, from the end of the file on. */
static int shift_up(struct shift *s)
{
    struct extent_path p;
    int err = extent_path_find(s->n, s->at - 1, &p), more = 0;
    struct extent_level *l = &p.level[p.depth];
    if (!err && l->entries && !l->before && le32(extent_entry(l, l->at)) >= s->first) {
        unsigned first = l->at, end = l->at + 1;
        while (first && le32(extent_entry(l, first - 1)) >= s->first)
            first--;
        s->at = le32(extent_entry(l, first));
        err = leaf_shift(&p, first, end, s->by);
        more = s->at > s->first;
    }
    extent_path_close(&p);
    return err ? err : more;
}

/* Moves everything; the last operation stores the size as `size` if that is not 0. */
static int shift_all(struct shift *s, int (*step)(struct shift *), uint64_t size)
{
    struct ext4_fs *fs = ext4_fs(&s->n->v);
    for (int more = 1; more > 0;) {
        int err = ext4_begin(fs, CREDITS);
        if (err)
            return err;
        mutex_lock(&s->n->map_lock);
        for (unsigned i = 0; i < LEAVES_MAX && more > 0; i++)
            more = step(s);
        mutex_unlock(&s->n->map_lock);
        if (more == 0 && size) {
            __atomic_store_n(&s->n->v.size, size, __ATOMIC_RELEASE);
            s->n->disk_size = size;
        }
        err = more < 0 ? more : ext4_inode_store(s->n);
        err = ext4_end(fs, err);
        if (err)
            return err;
    }
    return 0;
}

static bool dirty_from(struct page_cache *c, uint64_t index)
{
    bool dirty = false;
    spin_lock(&c->lock);
    LIST_FOR_EACH(l, &c->dirty)
    dirty |= LIST_ENTRY(l, struct page, link)->index >= index;
    spin_unlock(&c->lock);
    return dirty;
}

static void pages_drop(struct page_cache *c, uint64_t index)
{
    vm_forget_hole(&c->object, index, PAGES_END);
    page_cache_drop(c, index, UINT64_MAX);
    vm_forget_hole(&c->object, index, PAGES_END);
}

/* Pages from `index` on are on the disk and gone from the cache; takes page_cache.writing. */
static int pages_leave(struct page_cache *c, uint64_t index)
{
    for (bool dirty = true; dirty;) {
        int err = page_cache_write(c, index, PAGES_END);
        if (err)
            return err;
        mutex_lock(&c->writing);
        vm_forget_hole(&c->object, index, PAGES_END);
        dirty = dirty_from(c, index); /* by a mapping, meanwhile */
        if (dirty)
            mutex_unlock(&c->writing);
    }
    pages_drop(c, index);
    return 0;
}

int ext4_collapse(struct vnode *v, uint64_t off, uint64_t len)
{
    struct ext4_inode *n = ext4_inode(v);
    uint32_t shift = ext4_fs(v)->block_shift;
    struct shift s = {n, off >> shift, (uint32_t)(len >> shift), (off + len) >> shift};
    if (off + len >= v->size)
        return -EINVAL;
    int err = pages_leave(&v->cache, off >> PAGE_SHIFT);
    if (err)
        return err;
    err = ext4_cut(n, s.first, s.at);
    if (!err)
        err = shift_all(&s, shift_down, v->size - len);
    pages_drop(&v->cache, off >> PAGE_SHIFT);
    mutex_unlock(&v->cache.writing);
    return err;
}

/* An extent that goes on behind s->first becomes two. */
static int split(const struct shift *s)
{
    struct extent_path p;
    struct extent e, rest = {0};
    int err = extent_path_find(s->n, s->first, &p);
    struct extent_level *l = &p.level[p.depth];
    if (!err && l->entries && !l->before && !(err = extent_get(s->n, l, &e)) &&
        e.logical < s->first && s->first < e.logical + e.count) {
        uint32_t before = (uint32_t)(s->first - e.logical);
        rest = (struct extent){s->first, e.physical + before, e.count - before, e.unwritten};
        e.count = before;
        err = extent_level_change(&p, p.depth);
        if (!err) {
            extent_encode(extent_entry(l, l->at), &e);
            extent_level_done(&p, p.depth);
        }
    }
    extent_path_close(&p);
    return err || !rest.count ? err : extent_add(s->n, &rest, false);
}

/* Whether the last extent, which may lie behind the end of the file, can move up. */
static int end_check(const struct shift *s)
{
    struct extent_path p;
    struct extent e;
    int err = extent_path_find(s->n, LOGICAL_END - 1, &p);
    const struct extent_level *l = &p.level[p.depth];
    if (!err && l->entries && !(err = extent_get(s->n, l, &e)))
        err = e.logical + e.count + s->by >= LOGICAL_END ? -EINVAL : 0;
    extent_path_close(&p);
    return err;
}

/* The first operation: the new size, and no extent lies across the place. */
static int insert_begin(struct shift *s, uint64_t size)
{
    struct ext4_inode *n = s->n;
    struct ext4_fs *fs = ext4_fs(&n->v);
    int err = ext4_begin(fs, EXT4_MAKE_CREDITS);
    if (err)
        return err;
    mutex_lock(&n->map_lock);
    err = end_check(s);
    if (!err && !ext4_can_alloc(fs, SPLIT_ROOM))
        err = -ENOSPC;
    if (!err)
        err = split(s);
    mutex_unlock(&n->map_lock);
    if (!err) {
        __atomic_store_n(&n->v.size, size, __ATOMIC_RELEASE);
        n->disk_size = size;
        err = ext4_inode_store(n);
    }
    return ext4_end(fs, err);
}

int ext4_insert(struct vnode *v, uint64_t off, uint64_t len)
{
    uint32_t shift = ext4_fs(v)->block_shift;
    struct shift s = {ext4_inode(v), off >> shift, (uint32_t)(len >> shift), LOGICAL_END};
    if (len > ext4_size_limit(ext4_fs(v), true) - v->size)
        return -EFBIG;
    if (off >= v->size)
        return -EINVAL;
    int err = pages_leave(&v->cache, off >> PAGE_SHIFT);
    if (err)
        return err;
    err = insert_begin(&s, v->size + len);
    if (!err)
        err = shift_all(&s, shift_up, 0);
    pages_drop(&v->cache, off >> PAGE_SHIFT);
    mutex_unlock(&v->cache.writing);
    return err;
}
