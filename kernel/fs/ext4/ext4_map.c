/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: where the blocks of a file are (an extent tree, or ext2's block map: see
 * ext4_indirect.c), and reading pages by it. Every node of a tree is checked: magic, counts, depth,
 * checksum, block numbers; the depth bounds the walk.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_extent.h"
#include "fs/ext4/ext4_indirect.h"
#include "fs/io_batch.h"
#include "lib/crc.h"
#include "mem/page.h"

static int level_check(struct ext4_inode *n, struct extent_level *l, uint32_t size, unsigned depth)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    l->entries = le16(l->node + 2);
    l->room = le16(l->node + 4);
    if (le16(l->node) != EXTENT_MAGIC || le16(l->node + 6) != depth ||
        l->room > size / EXTENT_SIZE - 1 || l->entries > l->room)
        return ext4_bad(fs, "extent node of inode", n->v.ino);
    if (size == IN_BLOCK_SIZE || !fs->csum)
        return 0;
    if (ext4_block_known(fs, &l->b))
        return 0;
    uint32_t at = EXTENT_SIZE * (1 + l->room);
    if (at + 4 > size || crc32c(n->seed, l->node, at) != le32(l->node + at))
        return ext4_bad(fs, "extent checksum of inode", n->v.ino);
    ext4_block_set_known(fs, &l->b);
    return 0;
}

/* The last entry that begins at or before the block. */
static void level_search(struct extent_level *l, uint64_t logical)
{
    unsigned low = 0, high = l->entries;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (le32(extent_entry(l, mid)) <= logical)
            low = mid + 1;
        else
            high = mid;
    }
    l->before = low == 0;
    l->at = low ? low - 1 : 0;
}

int extent_path_start(struct ext4_inode *n, struct extent_path *p)
{
    p->n = n;
    p->depth = le16(n->block + 6);
    for (unsigned i = 0; i <= EXTENT_DEPTH_MAX; i++)
        p->level[i].b.page = NULL;
    p->level[0].node = n->block;
    if (p->depth > EXTENT_DEPTH_MAX) {
        p->depth = 0;
        return ext4_bad(ext4_fs(&n->v), "depth of extents of inode", n->v.ino);
    }
    return level_check(n, &p->level[0], IN_BLOCK_SIZE, p->depth);
}

int extent_path_find(struct ext4_inode *n, uint64_t logical, struct extent_path *p)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    int err = extent_path_start(n, p);
    for (unsigned i = 0; !err; i++) {
        struct extent_level *l = &p->level[i], *below = l + 1;
        level_search(l, logical);
        if (i == p->depth)
            break;
        if (!l->entries)
            return ext4_bad(fs, "empty extent node of inode", n->v.ino);
        err = ext4_block_get(fs, extent_child(extent_entry(l, l->at)), &below->b);
        if (err) {
            below->b.page = NULL;
            break;
        }
        below->node = below->b.data;
        err = level_check(n, below, fs->block_size, p->depth - i - 1);
    }
    return err;
}

void extent_path_close(struct extent_path *p)
{
    for (unsigned i = 0; i <= EXTENT_DEPTH_MAX; i++)
        if (p->level[i].b.page)
            ext4_block_put(&p->level[i].b);
}

int extent_get(struct ext4_inode *n, const struct extent_level *leaf, struct extent *e)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    extent_decode(extent_entry(leaf, leaf->at), e);
    if (e->count == 0 || e->physical + e->count > fs->blocks ||
        e->physical <= fs->first_data_block || e->logical + e->count > LOGICAL_END)
        return ext4_bad(fs, "extent of inode", n->v.ino);
    return 0;
}

uint64_t extent_next_start(const struct extent_path *p)
{
    for (unsigned i = p->depth + 1; i-- > 0;) {
        const struct extent_level *l = &p->level[i];
        unsigned next = l->before ? 0 : l->at + 1;
        if (next < l->entries)
            return le32(extent_entry(l, next));
    }
    return LOGICAL_END;
}

/* A hole from run->logical on, up to `end`. */
static int run_hole(struct ext4_run *run, uint64_t end)
{
    run->mapped = run->unwritten = false;
    run->physical = 0;
    run->count = end > run->logical ? end - run->logical : 1;
    return 0;
}

static int extent_map(struct ext4_inode *n, struct ext4_run *run)
{
    struct extent_path p;
    struct extent e;
    int err = extent_path_find(n, run->logical, &p);
    const struct extent_level *leaf = &p.level[p.depth];
    if (!err && (!leaf->entries || leaf->before))
        err = run_hole(run, extent_next_start(&p));
    else if (!err && !(err = extent_get(n, leaf, &e))) {
        uint64_t skip = run->logical - e.logical;
        if (skip >= e.count) {
            run_hole(run, extent_next_start(&p));
        } else {
            run->mapped = !e.unwritten;
            run->unwritten = e.unwritten;
            run->physical = e.physical + skip;
            run->count = e.count - skip;
        }
    }
    extent_path_close(&p);
    return err;
}

void ext4_map_forget(struct ext4_inode *n)
{
    spin_lock(&n->run_lock);
    n->run.count = 0;
    spin_unlock(&n->run_lock);
}

int ext4_map(struct ext4_inode *n, uint64_t logical, struct ext4_run *run)
{
    spin_lock(&n->run_lock);
    *run = n->run;
    spin_unlock(&n->run_lock);
    if (logical >= run->logical && logical - run->logical < run->count) {
        uint64_t skip = logical - run->logical;
        run->logical += skip;
        run->count -= skip;
        run->physical += run->mapped || run->unwritten ? skip : 0;
        return 0;
    }
    *run = (struct ext4_run){.logical = logical};
    if (logical >= LOGICAL_END)
        return ext4_bad(ext4_fs(&n->v), "file is too large, inode", n->v.ino);
    mutex_lock(&n->map_lock);
    int err = n->flags & INODE_EXTENTS ? extent_map(n, run) : indirect_map(n, run);
    if (!err) {
        spin_lock(&n->run_lock);
        n->run = *run;
        spin_unlock(&n->run_lock);
    }
    mutex_unlock(&n->map_lock);
    return err;
}

bool ext4_has_map(const struct ext4_inode *n)
{
    const struct vnode *v = &n->v;
    return !(n->flags & INODE_INLINE) &&
           (vnode_is_regular(v) || vnode_is_dir(v) || (vnode_is_link(v) && !ext4_link_is_fast(n)));
}

void ext4_map_init(struct ext4_inode *n)
{
    if (ext4_fs(&n->v)->incompat & INCOMPAT_EXTENTS)
        extent_init(n);
    else
        memset(n->block, 0, IN_BLOCK_SIZE);
}

int ext4_map_insert(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count,
                    bool unwritten)
{
    mutex_lock(&n->map_lock);
    int err = n->flags & INODE_EXTENTS ? extent_insert_run(n, logical, physical, count, unwritten)
                                       : indirect_insert(n, logical, physical, count);
    mutex_unlock(&n->map_lock);
    return err;
}

int ext4_map_remove(struct ext4_inode *n, uint64_t from, uint64_t to)
{
    mutex_lock(&n->map_lock);
    int more = n->flags & INODE_EXTENTS ? extent_remove(n, from, to) : indirect_remove(n, from, to);
    mutex_unlock(&n->map_lock);
    return more;
}

/* Inline data is in memory: page 0 holds all of it. False when it has moved out meanwhile. */
static bool inline_read(struct ext4_inode *n, uint64_t index, struct page **pages, unsigned count)
{
    mutex_lock(&n->map_lock);
    bool inlined = n->flags & INODE_INLINE;
    for (unsigned i = 0; i < count && inlined; i++) {
        uint8_t *at = page_address(pages[i]);
        memset(at, 0, PAGE_SIZE);
        if (index + i)
            continue;
        memcpy(at, n->block, MIN(n->v.size, (uint64_t)IN_BLOCK_SIZE));
        if (n->v.size > IN_BLOCK_SIZE && n->inline_more)
            memcpy(at + IN_BLOCK_SIZE, n->inline_more,
                   MIN(n->v.size - IN_BLOCK_SIZE, (uint64_t)n->inline_more_size));
    }
    mutex_unlock(&n->map_lock);
    return inlined;
}

/* One page: maps its blocks and adds them to the batch. */
static int page_map(struct ext4_inode *n, uint64_t off, uint8_t *mem, struct io_batch *b)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    for (uint32_t done = 0; done < PAGE_SIZE;) {
        struct ext4_run run;
        if (off + done >= n->v.size) {
            memset(mem + done, 0, PAGE_SIZE - done);
            return 0;
        }
        int err = ext4_map(n, (off + done) >> fs->block_shift, &run);
        if (err)
            return err;
        uint64_t blocks = MIN(run.count, (PAGE_SIZE - done) >> fs->block_shift);
        uint32_t len = (uint32_t)(blocks << fs->block_shift);
        if (run.mapped)
            io_batch_read(b, run.physical << fs->block_shift, mem + done, len);
        else
            memset(mem + done, 0, len);
        done += len;
    }
    return 0;
}

int ext4_read_pages(struct vnode *v, uint64_t index, struct page **pages, unsigned count)
{
    struct ext4_inode *n = ext4_inode(v);
    struct io_batch b;
    int err = 0;
    if (n->flags & INODE_INLINE && inline_read(n, index, pages, count))
        return 0;
    io_batch_init(&b, ext4_fs(v)->dev);
    for (unsigned i = 0; i < count && !err; i++)
        err = page_map(n, (index + i) << PAGE_SHIFT, page_address(pages[i]), &b);
    int failed = io_batch_finish(&b);
    if (err || failed)
        return err ? err : failed;
    /* What stands on the disk behind the end of the file is nobody's business. */
    uint64_t end = (index + count) << PAGE_SHIFT;
    if (end > v->size && end - v->size < PAGE_SIZE)
        memset((uint8_t *)page_address(pages[count - 1]) + (v->size & (PAGE_SIZE - 1)), 0,
               end - v->size);
    return 0;
}
