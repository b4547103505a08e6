/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: block maps of ext2 and ext3. The inode has 15 pointers of 32 bits: 12 to
 * blocks, then one to a table of pointers, one to a table of tables, one to a table
 * of those. A pointer of 0 is a hole, however much it stands for. `struct
 * table_path` is the way from the inode to a block, as far as there are tables.
 * A table that becomes empty is freed at once. map_lock is held.
 */
#include "fs/ext4/ext4_indirect.h"

#include <linux/errno.h>

#define DIRECT_BLOCKS 12
#define LEVELS_MAX    3
#define STEP_COST     3 /* blocks changed by freeing a run, or a table: bitmap, descriptor, table */

struct table_path {
    struct ext4_inode *n;
    uint64_t rel;    /* the block, counted from the first one that its root pointer stands for */
    unsigned levels; /* tables there may be above the block */
    unsigned found;  /* tables there are */
    struct {
        struct ext4_block b; /* page NULL: the inode */
        uint8_t *at;         /* the pointer in it */
    } level[LEVELS_MAX + 1];
};

static unsigned table_bits(const struct ext4_fs *fs)
{
    return fs->block_shift - 2;
}

static uint64_t blocks_max(const struct ext4_fs *fs)
{
    unsigned bits = table_bits(fs);
    return DIRECT_BLOCKS + (1ull << bits) + (1ull << 2 * bits) + (1ull << 3 * bits);
}

uint64_t indirect_limit(const struct ext4_fs *fs)
{
    unsigned bits = table_bits(fs);
    bool huge = fs->ro_compat & RO_COMPAT_HUGE_FILE;
    uint64_t tables = 1 + (1 + (1ull << bits)) + (1 + (1ull << bits) + (1ull << 2 * bits));
    uint64_t counted = huge ? UINT64_MAX : (1ull << 32 >> (fs->block_shift - 9)) - 1 - tables;
    return MIN(MIN(blocks_max(fs), counted), (1ull << 32) - 1);
}

/* Of the table at `level`: which of its pointers leads to the block. */
static uint32_t table_index(const struct table_path *p, unsigned level)
{
    unsigned bits = table_bits(ext4_fs(&p->n->v));
    return (uint32_t)(p->rel >> ((p->levels - level) * bits)) & ((1u << bits) - 1);
}

/* How many blocks the last pointer of the path stands for. */
static uint64_t table_span(const struct table_path *p)
{
    return 1ull << ((p->levels - p->found) * table_bits(ext4_fs(&p->n->v)));
}

/* Which of the inode's 15 pointers leads to the block, and how many levels below it. */
static int path_root(struct table_path *p, uint64_t logical, unsigned *slot)
{
    struct ext4_fs *fs = ext4_fs(&p->n->v);
    unsigned bits = table_bits(fs);
    *slot = (unsigned)logical;
    if (logical < DIRECT_BLOCKS)
        return 0;
    p->rel = logical - DIRECT_BLOCKS;
    for (p->levels = 1; p->levels <= LEVELS_MAX; p->levels++) {
        *slot = DIRECT_BLOCKS + p->levels - 1;
        if (p->rel < 1ull << (p->levels * bits))
            return 0;
        p->rel -= 1ull << (p->levels * bits);
    }
    p->levels = 0;
    return ext4_bad(fs, "file is too large, inode", p->n->v.ino);
}

/* A table became known: it is the path's last level. */
static void path_enter(struct table_path *p)
{
    p->found++;
    p->level[p->found].at = p->level[p->found].b.data + (size_t)table_index(p, p->found) * 4;
}

/* To be closed in any case. */
static int path_find(struct ext4_inode *n, uint64_t logical, struct table_path *p)
{
    unsigned slot;
    *p = (struct table_path){.n = n};
    int err = path_root(p, logical, &slot);
    p->level[0].at = n->block + (slot < IN_BLOCK_SIZE / 4 ? slot : 0) * 4;
    while (!err && p->found < p->levels && le32(p->level[p->found].at)) {
        struct ext4_block *b = &p->level[p->found + 1].b;
        err = ext4_block_get(ext4_fs(&n->v), le32(p->level[p->found].at), b);
        if (err)
            b->page = NULL;
        else
            path_enter(p);
    }
    return err;
}

static void path_close(struct table_path *p)
{
    for (unsigned i = 0; i <= LEVELS_MAX; i++)
        if (p->level[i].b.page)
            ext4_block_put(&p->level[i].b);
}

/* The pointers at a level are about to be changed; those in the inode are stored with it. */
static int level_change(struct table_path *p, unsigned level)
{
    ext4_map_forget(p->n);
    return level ? ext4_block_change(ext4_fs(&p->n->v), &p->level[level].b) : 0;
}

uint32_t indirect_room(const struct ext4_fs *fs, uint64_t logical)
{
    uint32_t each = 1u << table_bits(fs);
    if (logical < DIRECT_BLOCKS)
        return (uint32_t)(DIRECT_BLOCKS - logical);
    return each - (uint32_t)((logical - DIRECT_BLOCKS) & (each - 1));
}

/* Counts how many pointers from table[0] on lead to consecutive blocks (or are all holes). */
static uint64_t run_length(const uint8_t *table, uint64_t left)
{
    uint64_t first = le32(table), n = 1;
    while (n < left && le32(table + n * 4) == (first ? first + n : 0))
        n++;
    return n;
}

int indirect_map(struct ext4_inode *n, struct ext4_run *run)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct table_path p;
    int err = path_find(n, run->logical, &p);
    if (!err) {
        const uint8_t *at = p.level[p.found].at;
        uint64_t span = table_span(&p); /* a missing table is a hole of this size */
        run->physical = le32(at);
        run->mapped = run->physical != 0;
        run->count = p.found < p.levels ? span - (p.rel & (span - 1))
                                        : run_length(at, indirect_room(fs, run->logical));
        if (run->mapped && run->physical + run->count > fs->blocks)
            err = ext4_bad(fs, "block number of inode", n->v.ino);
    }
    path_close(&p);
    return err;
}

int indirect_missing(struct ext4_inode *n, uint64_t logical)
{
    struct table_path p;
    mutex_lock(&n->map_lock);
    int err = path_find(n, logical, &p);
    path_close(&p);
    mutex_unlock(&n->map_lock);
    return err ? err : (int)(p.levels - p.found);
}

/* A zeroed table for the path's next level, behind the blocks it is to point to. */
static int table_alloc(struct table_path *p)
{
    struct ext4_inode *n = p->n;
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block *b = &p->level[p->found + 1].b;
    uint64_t start, count = 1;
    int err = ext4_alloc(fs, n->goal, &start, &count);
    if (err)
        return err;
    err = start >> 32 ? -ENOSPC : ext4_block_new(fs, start, b);
    if (err) {
        int failed = ext4_free(fs, start, 1, true);
        b->page = NULL;
        return failed ? failed : err;
    }
    n->goal = start + 1;
    n->v.blocks += fs->block_size / 512;
    path_enter(p);
    return 0;
}

/* Frees the path's last table. */
static int table_free(struct table_path *p)
{
    struct ext4_fs *fs = ext4_fs(&p->n->v);
    struct ext4_block *b = &p->level[p->found].b;
    int err = ext4_free(fs, b->number, 1, true);
    if (!err)
        p->n->v.blocks -= fs->block_size / 512;
    ext4_block_put(b);
    b->page = NULL;
    p->found--;
    return err;
}

/* Makes the tables that are missing. Nothing leads to them yet, so it can be undone. */
static int tables_make(struct table_path *p)
{
    unsigned old = p->found;
    int err = 0, failed = 0;
    while (p->found < p->levels && !err)
        err = table_alloc(p);
    while (err && p->found > old && !failed)
        failed = table_free(p);
    return failed ? failed : err;
}

int indirect_insert(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count)
{
    struct table_path p;
    if ((physical + count) >> 32)
        return -ENOSPC;
    int err = path_find(n, logical, &p);
    unsigned old = p.found;
    if (!err)
        err = level_change(&p, old);
    if (!err)
        err = tables_make(&p);
    if (!err) {
        for (unsigned i = old; i < p.found; i++)
            put32(p.level[i].at, p.level[i + 1].b.number);
        for (uint32_t i = 0; i < count; i++)
            put32(p.level[p.found].at + (size_t)i * 4, physical + i);
    }
    path_close(&p);
    return err;
}

/* Tables without pointers go, from the lowest on. Adds what that costs. */
static int tables_prune(struct table_path *p, unsigned *cost)
{
    uint32_t size = ext4_fs(&p->n->v)->block_size, i = 0;
    while (p->found) {
        const uint8_t *table = p->level[p->found].b.data;
        for (i = 0; i < size && !le32(table + i);)
            i += 4;
        if (i < size)
            return 0;
        int err = table_free(p);
        if (!err)
            err = level_change(p, p->found);
        if (err)
            return err;
        put32(p->level[p->found].at, 0);
        *cost += STEP_COST;
    }
    return 0;
}

/* How many blocks in front of and with the path's lie in one run of one group, at most `most`. */
static uint32_t run_before(const struct table_path *p, uint32_t most)
{
    const struct ext4_fs *fs = ext4_fs(&p->n->v);
    const uint8_t *at = p->level[p->found].at;
    uint32_t last = le32(at), n = 1;
    uint64_t in_group = last ? (last - fs->first_data_block) % fs->blocks_per_group : most;
    while (n < most && n <= in_group && le32(at - (size_t)n * 4) == (last ? last - n : 0))
        n++;
    return n;
}

/* What block *to - 1 lies in, hole or run, leaves the range from..*to-1. Adds what that costs. */
static int remove_step(struct ext4_inode *n, uint64_t from, uint64_t *to, unsigned *cost)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct table_path p;
    uint64_t last = *to - 1;
    int err = path_find(n, last, &p);
    uint64_t span = table_span(&p), back = p.rel & (span - 1);
    if (!err && p.found < p.levels) { /* a hole: what precedes it may be anything */
        *to = MAX(from, last - back);
    } else if (!err) {
        const uint8_t *first = p.found ? p.level[p.found].b.data : n->block;
        uint32_t index = (uint32_t)(p.level[p.found].at - first) / 4;
        uint32_t count = run_before(&p, (uint32_t)MIN(last - from, (uint64_t)index) + 1);
        uint8_t *begin = p.level[p.found].at - (size_t)(count - 1) * 4;
        uint64_t physical = le32(begin);
        if (physical) {
            *cost += STEP_COST;
            err = ext4_free(fs, physical, count, !vnode_is_regular(&n->v));
            if (!err)
                err = level_change(&p, p.found);
            if (!err) {
                memset(begin, 0, (size_t)count * 4);
                n->v.blocks -= (uint64_t)count << (fs->block_shift - 9);
            }
        }
        if (!err && physical)
            err = tables_prune(&p, cost);
        *to -= count;
    }
    path_close(&p);
    return err;
}

int indirect_remove(struct ext4_inode *n, uint64_t from, uint64_t to)
{
    const unsigned dearest = STEP_COST * (1 + LEVELS_MAX);
    unsigned cost = 0;
    int err = 0;
    to = MIN(to, blocks_max(ext4_fs(&n->v)));
    while (to > from && !err && cost + dearest <= EXT4_REMOVE_CREDITS)
        err = remove_step(n, from, &to, &cost);
    return err ? err : to > from;
}
