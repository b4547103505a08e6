/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of tmpfs files: the pages of the vnode's page cache, which are the only
 * copy. A page that is missing is a hole. Pages are counted against the file
 * system's limit when they are made. Lock: the vnode's for size changes; faults
 * come without it.
 */
#include <linux/errno.h>
#include <linux/falloc.h>

#include "fs/tmpfs_node.h"
#include "lib/string.h"
#include "mem/page.h"
#include "vm/map.h"

static bool page_reserve(struct tmpfs *t)
{
    if (__atomic_add_fetch(&t->used, 1, __ATOMIC_RELAXED) <= t->limit)
        return true;
    __atomic_sub_fetch(&t->used, 1, __ATOMIC_RELAXED);
    return false;
}

static void pages_release(struct vnode *v, size_t n)
{
    struct tmpfs *t = CONTAINER_OF(v->fs, struct tmpfs, fs);
    __atomic_sub_fetch(&t->used, n, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&v->blocks, n * (PAGE_SIZE / 512), __ATOMIC_RELAXED);
}

int tmpfs_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out)
{
    (void)fresh;
    for (;;) {
        *out = page_cache_find(&v->cache, index);
        if (*out)
            return 0;
        if (!page_reserve(CONTAINER_OF(v->fs, struct tmpfs, fs)))
            return -ENOSPC;
        __atomic_add_fetch(&v->blocks, PAGE_SIZE / 512, __ATOMIC_RELAXED);
        struct page *p = page_alloc_zero(0);
        int err = -ENOMEM;
        if (p) {
            page_get(p);
            err = page_cache_add(&v->cache, index, p);
            if (!err) {
                *out = p;
                return 0;
            }
            page_put(p);
            page_put(p);
        }
        pages_release(v, 1);
        if (err != -EEXIST) /* else another thread made it */
            return err;
    }
}

/* Bytes from..to-1 of one page become zero, if it is there. */
static void page_clear(struct vnode *v, uint64_t from, uint64_t to)
{
    struct page *p = from < to ? page_cache_find(&v->cache, from >> PAGE_SHIFT) : NULL;
    if (!p)
        return;
    memset((char *)page_address(p) + (from & (PAGE_SIZE - 1)), 0, to - from);
    page_put(p);
}

typedef void forget_fn(const struct vm_object *obj, uint64_t from, uint64_t to);

/* Makes a hole of from..to-1; `forget` takes its whole pages out of mappings. */
static void range_clear(struct vnode *v, uint64_t from, uint64_t to, forget_fn *forget)
{
    uint64_t first = ALIGN_UP(from, PAGE_SIZE), end = ALIGN_DOWN(to, PAGE_SIZE);
    if (first > end) {
        page_clear(v, from, to);
        return;
    }
    page_clear(v, from, first);
    page_clear(v, end, to);
    if (first >= end)
        return;
    uint64_t page = first >> PAGE_SHIFT, page_end = end >> PAGE_SHIFT;
    forget(&v->cache.object, page, page_end);
    pages_release(v, page_cache_drop(&v->cache, page, page_end));
    forget(&v->cache.object, page, page_end);
}

int tmpfs_truncate(struct vnode *v, uint64_t size)
{
    uint64_t old = v->size;
    __atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
    if (size < old)
        range_clear(v, size, ALIGN_UP(old, PAGE_SIZE), vm_forget_object);
    return 0;
}

/* Gives every page of the range memory. */
static int range_fill(struct vnode *v, uint64_t off, uint64_t end)
{
    for (uint64_t i = off >> PAGE_SHIFT; i << PAGE_SHIFT < end; i++) {
        struct page *p;
        int err = tmpfs_write_page(v, i, NULL, &p);
        if (err)
            return err;
        page_put(p);
    }
    return 0;
}

int tmpfs_allocate(struct vnode *v, int mode, uint64_t off, uint64_t len)
{
    uint64_t end = off + len, old = v->size;
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    int kind = mode & ~FALLOC_FL_KEEP_SIZE;
    bool changes = kind == FALLOC_FL_PUNCH_HOLE || kind == FALLOC_FL_ZERO_RANGE;
    int sealed = vnode_check_seals(v, changes, keep || changes ? MIN(end, old) : MAX(end, old));
    if (sealed)
        return sealed;
    if (kind == FALLOC_FL_PUNCH_HOLE) {
        if (!keep)
            return -EOPNOTSUPP;
        range_clear(v, off, MIN(end, ALIGN_UP(old, PAGE_SIZE)), vm_forget_hole);
        return 0;
    }
    if (kind && kind != FALLOC_FL_ZERO_RANGE)
        return -EOPNOTSUPP;
    if (kind && off < old)
        range_clear(v, off, MIN(end, ALIGN_UP(old, PAGE_SIZE)), vm_forget_hole);
    if (!keep && end > old)
        __atomic_store_n(&v->size, end, __ATOMIC_RELEASE);
    int err = range_fill(v, off, MIN(end, v->size));
    if (err && v->size != old)
        tmpfs_truncate(v, old);
    return err;
}

int64_t tmpfs_seek(struct vnode *v, uint64_t off, bool hole)
{
    struct page_cache *c = &v->cache;
    uint64_t key = off >> PAGE_SHIFT, at;
    spin_lock(&c->lock);
    if (hole)
        while (key << PAGE_SHIFT < v->size && radix_get(&c->pages, key))
            key++;
    else if (!radix_next(&c->pages, &key))
        key = UINT64_MAX >> PAGE_SHIFT;
    spin_unlock(&c->lock);
    at = MAX(key << PAGE_SHIFT, off);
    if (at >= v->size)
        return hole ? (int64_t)v->size : -ENXIO;
    return (int64_t)at;
}
