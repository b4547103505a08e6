/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: writing content. A page that becomes dirty only has room set aside
 * (page.pad); blocks are chosen when it is written, many at once. They enter
 * the map in the running transaction, which waits for the content before it is
 * committed: what a crash leaves never shows what the blocks held before.
 */
#include <linux/errno.h>

#include "dev/blkdev.h"
#include "fs/ext4/ext4_indirect.h"
#include "fs/io_batch.h"
#include "mem/page.h"

#define TABLES_BETWEEN 4 /* blocks: ext2's tables stand behind what they point to */
#define PARTS_MAX      4 /* extents made or changed in one operation */

static uint64_t blocks_of_size(const struct ext4_fs *fs, uint64_t size)
{
    return (size + fs->block_size - 1) >> fs->block_shift;
}

/* How many blocks of the page have none on the disk yet. */
int ext4_blocks_missing(struct ext4_inode *n, uint64_t index, unsigned *missing)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t first = index << (PAGE_SHIFT - fs->block_shift);
    uint64_t end = first + (PAGE_SIZE >> fs->block_shift);
    *missing = 0;
    while (first < end) {
        struct ext4_run run;
        int err = ext4_map(n, first, &run);
        if (err)
            return err;
        uint64_t count = MIN(run.count, end - first);
        if (!run.mapped && !run.unwritten)
            *missing += (unsigned)count;
        first += count;
    }
    return 0;
}

void ext4_forget(struct vnode *v, struct page *p)
{
    ext4_unreserve(ext4_fs(v), p->pad);
    p->pad = 0;
}

/*
 * Tables of ext2's maps that the page's blocks need. The dirty page in front of it has
 * those aside already that it shares with this one.
 */
static int tables_missing(struct ext4_inode *n, uint64_t index, unsigned *missing)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t first = index << (PAGE_SHIFT - fs->block_shift);
    uint64_t last = first + (PAGE_SIZE >> fs->block_shift) - 1;
    bool shared = first && indirect_room(fs, first) < indirect_room(fs, first - 1);
    struct page *before = shared ? page_cache_find(&n->v.cache, index - 1) : NULL;
    shared = before && before->flags & PAGE_DIRTY;
    if (before)
        page_put(before);
    int here = shared ? 0 : indirect_missing(n, first), more = 0;
    if (here >= 0 && indirect_room(fs, first) <= last - first)
        more = indirect_missing(n, last);
    *missing += (unsigned)(MAX(here, 0) + MAX(more, 0));
    return MIN(MIN(here, more), 0);
}

/* Sets room aside for a page that is about to become dirty, and makes it so. */
static int page_dirty(struct ext4_inode *n, uint64_t index, struct page *p)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    unsigned missing;
    if (p->flags & PAGE_DIRTY)
        return 0;
    int err = ext4_blocks_missing(n, index, &missing);
    if (!err && missing && !(n->flags & INODE_EXTENTS))
        err = tables_missing(n, index, &missing);
    if (!err && missing) {
        err = ext4_reserve(fs, missing);
        if (err && ext4_reap_for_room(fs))
            err = ext4_reserve(fs, missing);
    }
    if (err)
        return err;
    if (!page_cache_reserve(&n->v.cache, p, (uint16_t)missing)) /* dirty meanwhile, or dropped */
        ext4_unreserve(fs, missing);
    return 0;
}

int ext4_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out)
{
    struct ext4_inode *n = ext4_inode(v);
    int err = 0;
    if (n->flags & INODE_INLINE && (err = ext4_inline_out(n)))
        return err;
    if (index >= ext4_size_limit(ext4_fs(v), n->flags & INODE_EXTENTS) >> PAGE_SHIFT)
        return -EFBIG;
    for (struct page *p = NULL; !p;) {
        p = page_cache_find(&v->cache, index);
        if (!p && fresh) {
            page_get(fresh);
            err = page_cache_add(&v->cache, index, fresh);
            if (!err) {
                p = fresh;
                page_get(p);
            } else {
                page_put(fresh);
                if (err == -EEXIST)
                    fresh = NULL;
            }
        } else if (!p) {
            err = page_cache_get(&v->cache, index, 1, &p);
        }
        if (err && err != -EEXIST)
            return err;
        *out = p;
    }
    err = page_dirty(n, index, *out);
    if (!err)
        return 0;
    if (*out == fresh) /* its content is nowhere else and cannot be kept */
        page_cache_drop(&v->cache, index, index + 1);
    page_put(*out);
    return err;
}

/* Content on its way to the disk. */
struct write_io {
    struct io_batch batch;
    uint32_t tid; /* the transaction that waits for it; 0: none */
    int err;      /* the first failure of what has ended */
};

/* A part of the file that is about to be written, in one operation. */
struct write_part {
    struct ext4_inode *n;
    uint64_t first, end; /* blocks */
};

static void io_finish(struct ext4_fs *fs, struct write_io *io)
{
    int err = io_batch_finish(&io->batch);
    if (io->tid)
        ext4_data_end(fs, io->tid);
    io->tid = 0;
    io->err = io->err ? io->err : err;
    io_batch_init(&io->batch, fs->dev);
}

static uint64_t goal_of(struct ext4_inode *n, uint64_t logical)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_run run;
    if (logical && !ext4_map(n, logical - 1, &run) && (run.mapped || run.unwritten)) {
        bool tables = n->goal > run.physical && n->goal - run.physical <= TABLES_BETWEEN;
        return tables ? n->goal : run.physical + 1;
    }
    if (n->goal)
        return n->goal;
    return ext4_group_first(fs, (uint32_t)((n->v.ino - 1) / fs->inodes_per_group)) + 1;
}

/* Gives the blocks of a hole a place, one extent at most; *count is how many it were. */
static int hole_fill(struct ext4_inode *n, uint64_t logical, uint64_t *count, bool unwritten)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t start;
    int err = ext4_alloc(fs, goal_of(n, logical), &start, count);
    if (err)
        return err;
    n->goal = start + *count;
    err = ext4_map_insert(n, logical, start, (uint32_t)*count, unwritten);
    if (err == -ENOSPC || err == -ENOMEM) { /* the tree is as it was */
        int failed = ext4_free(fs, start, *count, false);
        return failed ? failed : err == -ENOMEM ? -EAGAIN : err;
    }
    n->v.blocks += *count << (fs->block_shift - 9);
    return err;
}

int ext4_blocks_make(struct ext4_inode *n, uint64_t first, uint64_t end, bool written,
                     uint64_t *done)
{
    int err = 0;
    *done = first;
    for (unsigned parts = 0; *done < end && parts < PARTS_MAX && !err;) {
        struct ext4_run run;
        err = ext4_map(n, *done, &run);
        if (err)
            break;
        uint64_t count = MIN(run.count, end - *done);
        if (!run.mapped && !run.unwritten && n->flags & INODE_EXTENTS) {
            err = hole_fill(n, *done, &count, !written);
            parts++;
        } else if (!run.mapped && !run.unwritten) {
            count = MIN(count, (uint64_t)indirect_room(ext4_fs(&n->v), *done));
            err = hole_fill(n, *done, &count, false);
            parts += 2;
        } else if (run.unwritten && written) {
            count = MIN(count, 32767u);
            err = ext4_extent_written(n, *done, (uint32_t)count);
            parts += 2;
        }
        if (!err)
            *done += count;
    }
    return err == -ENOSPC && *done > first ? 0 : err;
}

/* True if all blocks of the part have content on the disk, and the size there covers them. */
static bool part_is_mapped(struct write_part *w, uint64_t end_size)
{
    if (end_size > w->n->disk_size)
        return false;
    for (uint64_t at = w->first; at < w->end;) {
        struct ext4_run run;
        if (ext4_map(w->n, at, &run) || !run.mapped)
            return false;
        at += run.count;
    }
    return true;
}

/*
 * Makes the blocks of as much of the part as one operation can; w->end is set to that. What is on
 * its way is waited for first: the operation may wait for a commit, and that for the content.
 */
static int part_map(struct write_part *w, struct write_io *io, uint64_t size)
{
    struct ext4_fs *fs = ext4_fs(&w->n->v);
    if (part_is_mapped(w, MIN(size, w->end << fs->block_shift)))
        return 0;
    if (io->tid)
        io_finish(fs, io);
    int err = ext4_begin(fs, EXT4_MAKE_CREDITS);
    if (err)
        return err;
    err = ext4_blocks_make(w->n, w->first, w->end, true, &w->end);
    if (!err) {
        w->n->disk_size = MAX(w->n->disk_size, MIN(size, w->end << fs->block_shift));
        err = ext4_inode_store(w->n);
    }
    if (!err)
        io->tid = ext4_data_begin(fs);
    return ext4_end(fs, err);
}

/* Adds blocks first..end-1, which are mapped, to the batch; pages[0] holds block `base`. */
static int part_add(const struct write_part *w, struct write_io *io, uint64_t base,
                    struct page **pages)
{
    struct ext4_fs *fs = ext4_fs(&w->n->v);
    unsigned per_page = PAGE_SHIFT - fs->block_shift;
    for (uint64_t at = w->first; at < w->end;) {
        struct ext4_run run;
        uint64_t in_page = at & ((1u << per_page) - 1);
        int err = ext4_map(w->n, at, &run);
        if (!err && !run.mapped)
            err = ext4_bad(fs, "block map changed while it was written, inode", w->n->v.ino);
        if (err)
            return err;
        uint64_t count = MIN(MIN(run.count, (1u << per_page) - in_page), w->end - at);
        uint8_t *mem = page_address(pages[(at - base) >> per_page]);
        io_batch_write(&io->batch, run.physical << fs->block_shift,
                       mem + (in_page << fs->block_shift), (uint32_t)(count << fs->block_shift));
        at += count;
    }
    return 0;
}

/* Consecutive pages. */
static int run_write(struct ext4_inode *n, struct write_io *io, struct page **pages, unsigned count)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t size = __atomic_load_n(&n->v.size, __ATOMIC_ACQUIRE);
    uint64_t from = pages[0]->index << PAGE_SHIFT, base = from >> fs->block_shift;
    uint64_t end =
        MIN(blocks_of_size(fs, size), (from + ((uint64_t)count << PAGE_SHIFT)) >> fs->block_shift);
    int err = 0;
    if (size > from && (size - from) >> PAGE_SHIFT < count && size & (PAGE_SIZE - 1)) {
        uint8_t *last = page_address(pages[(size - from) >> PAGE_SHIFT]);
        memset(last + (size & (PAGE_SIZE - 1)), 0, PAGE_SIZE - (size & (PAGE_SIZE - 1)));
    }
    for (uint64_t at = base; at < end && !err;) {
        struct write_part w = {.n = n, .first = at, .end = end};
        err = part_map(&w, io, size);
        if (!err)
            err = part_add(&w, io, base, pages);
        at = w.end;
    }
    return err;
}

int ext4_write_pages(struct vnode *v, struct page **pages, unsigned count)
{
    struct ext4_fs *fs = ext4_fs(v);
    struct write_io io = {.tid = 0};
    int err = 0;
    __atomic_store_n(&fs->content_written, true, __ATOMIC_RELEASE);
    io_batch_init(&io.batch, fs->dev);
    for (unsigned i = 0, run; i < count && err != -ENOMEM && err != -EAGAIN; i += run) {
        run = page_run(pages + i, count - i);
        int failed = run_write(ext4_inode(v), &io, pages + i, run);
        err = err ? err : failed;
    }
    io_finish(fs, &io);
    ext4_unreserve(fs, v->cache.taken); /* has been used, or is not needed */
    return err ? err : io.err;
}
