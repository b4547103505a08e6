/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: where the blocks of a file are (extent tree, or the indirect blocks of
 * ext2), and reading pages by it. Every node is checked: magic, counts, depth,
 * checksum, block numbers; the depth bounds the walk.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"
#include "fs/io_batch.h"
#include "lib/crc.h"
#include "mem/page.h"

#define EXTENT_MAGIC     0xf30a
#define EXTENT_SIZE      12 /* of the header and of each entry */
#define EXTENT_DEPTH_MAX 5
#define EXTENT_UNWRITTEN 32768
#define DIRECT_BLOCKS    12
#define LOGICAL_END      (1ull << 32)

/* A node of the extent tree: header and entries. */
struct extent_node {
    const uint8_t *data;
    unsigned entries;
};

static int extent_node_check(struct ext4_inode *n, const uint8_t *data, uint32_t size,
                             unsigned depth, struct extent_node *out)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    unsigned entries = le16(data + 2), max = le16(data + 4);
    if (le16(data) != EXTENT_MAGIC || le16(data + 6) != depth || max > size / EXTENT_SIZE - 1 ||
        entries > max)
        return ext4_bad(fs, "extent node of inode", n->v.ino);
    if (size != IN_BLOCK_SIZE && fs->csum) {
        uint32_t at = EXTENT_SIZE * (1 + max);
        if (at + 4 > size || crc32c(n->seed, data, at) != le32(data + at))
            return ext4_bad(fs, "extent checksum of inode", n->v.ino);
    }
    *out = (struct extent_node){data, entries};
    return 0;
}

static const uint8_t *extent_entry(const struct extent_node *e, unsigned i)
{
    return e->data + EXTENT_SIZE * (1 + i);
}

/* How many entries begin at or before the block. */
static unsigned extent_search(const struct extent_node *e, uint64_t logical)
{
    unsigned low = 0, high = e->entries;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (le32(extent_entry(e, mid)) <= logical)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* A hole from run->logical on, up to `end`. */
static int run_hole(struct ext4_run *run, uint64_t end)
{
    run->mapped = false;
    run->physical = 0;
    run->count = end > run->logical ? end - run->logical : 1;
    return 0;
}

static int extent_leaf(struct ext4_inode *n, const struct extent_node *e, struct ext4_run *run,
                       uint64_t end)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    unsigned i = extent_search(e, run->logical);
    if (i < e->entries)
        end = MIN(end, (uint64_t)le32(extent_entry(e, i)));
    if (i == 0)
        return run_hole(run, end);
    const uint8_t *x = extent_entry(e, i - 1);
    uint64_t first = le32(x), count = le16(x + 4);
    uint64_t physical = (uint64_t)le16(x + 6) << 32 | le32(x + 8);
    bool written = count <= EXTENT_UNWRITTEN;
    if (!written)
        count -= EXTENT_UNWRITTEN;
    if (count == 0 || physical + count > fs->blocks || physical <= fs->first_data_block)
        return ext4_bad(fs, "extent of inode", n->v.ino);
    if (run->logical >= first + count)
        return run_hole(run, end);
    uint64_t skip = run->logical - first;
    run->mapped = written;
    run->physical = physical + skip;
    run->count = count - skip;
    return 0;
}

static int extent_map(struct ext4_inode *n, struct ext4_run *run)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block b = {0};
    struct extent_node e = {0};
    uint64_t end = LOGICAL_END;
    unsigned depth = le16(n->block + 6);
    if (depth > EXTENT_DEPTH_MAX)
        return ext4_bad(fs, "depth of extents of inode", n->v.ino);
    int err = extent_node_check(n, n->block, IN_BLOCK_SIZE, depth, &e);
    while (!err && depth) {
        unsigned i = extent_search(&e, run->logical);
        if (i < e.entries)
            end = MIN(end, (uint64_t)le32(extent_entry(&e, i)));
        if (i == 0)
            break;
        const uint8_t *x = extent_entry(&e, i - 1);
        uint64_t child = le32(x + 4) | (uint64_t)le16(x + 8) << 32;
        if (b.page)
            ext4_block_put(&b);
        b.page = NULL;
        err = ext4_block_get(fs, child, &b);
        if (err)
            return err;
        err = extent_node_check(n, b.data, fs->block_size, --depth, &e);
    }
    if (!err)
        err = depth ? run_hole(run, end) : extent_leaf(n, &e, run, end);
    if (b.page)
        ext4_block_put(&b);
    return err;
}

/* Which of the inode's 15 pointers leads to the block, and how many levels below it. */
static int indirect_root(const struct ext4_fs *fs, uint64_t *logical, unsigned *slot)
{
    unsigned bits = fs->block_shift - 2;
    if (*logical < DIRECT_BLOCKS) {
        *slot = (unsigned)*logical;
        return 0;
    }
    *logical -= DIRECT_BLOCKS;
    for (unsigned level = 1; level <= 3; level++) {
        *slot = DIRECT_BLOCKS + level - 1;
        if (*logical < 1ull << (level * bits))
            return (int)level;
        *logical -= 1ull << (level * bits);
    }
    return -EIO;
}

/* Counts how many pointers from table[0] on lead to consecutive blocks (or are all holes). */
static uint64_t indirect_count(const uint8_t *table, uint64_t left)
{
    uint64_t first = le32(table), n = 1;
    while (n < left && le32(table + n * 4) == (first ? first + n : 0))
        n++;
    return n;
}

static int indirect_map(struct ext4_inode *n, struct ext4_run *run)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct ext4_block b = {0};
    unsigned bits = fs->block_shift - 2, slot;
    uint64_t logical = run->logical;
    int level = indirect_root(fs, &logical, &slot), err = 0;
    if (level < 0)
        return ext4_bad(fs, "file is too large, inode", n->v.ino);
    const uint8_t *table = n->block + slot * 4;
    uint64_t left = level ? 1 : DIRECT_BLOCKS - slot;
    while (level && le32(table)) {
        uint64_t child = le32(table);
        if (b.page)
            ext4_block_put(&b);
        b.page = NULL;
        err = ext4_block_get(fs, child, &b);
        if (err)
            return err;
        level--;
        uint64_t index = (logical >> (level * bits)) & ((1u << bits) - 1);
        table = b.data + index * 4;
        left = (1u << bits) - index;
    }
    uint64_t span = 1ull << (level * bits); /* a missing table is a hole of this size */
    run->physical = le32(table);
    run->mapped = run->physical != 0;
    run->count = level ? span - (logical & (span - 1)) : indirect_count(table, left);
    if (run->mapped && run->physical + run->count > fs->blocks)
        err = ext4_bad(fs, "block number of inode", n->v.ino);
    if (b.page)
        ext4_block_put(&b);
    return err;
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
        run->physical += run->mapped ? skip : 0;
        return 0;
    }
    *run = (struct ext4_run){.logical = logical};
    if (logical >= LOGICAL_END)
        return ext4_bad(ext4_fs(&n->v), "file is too large, inode", n->v.ino);
    int err = n->flags & INODE_EXTENTS ? extent_map(n, run) : indirect_map(n, run);
    if (!err) {
        spin_lock(&n->run_lock);
        n->run = *run;
        spin_unlock(&n->run_lock);
    }
    return err;
}

/* Inline data is in memory: page 0 holds all of it. */
static int inline_read(struct ext4_inode *n, uint64_t index, struct page **pages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = page_address(pages[i]);
        memset(at, 0, PAGE_SIZE);
        if (index + i)
            continue;
        memcpy(at, n->block, MIN(n->v.size, (uint64_t)IN_BLOCK_SIZE));
        if (n->v.size > IN_BLOCK_SIZE && n->inline_more)
            memcpy(at + IN_BLOCK_SIZE, n->inline_more,
                   MIN(n->v.size - IN_BLOCK_SIZE, (uint64_t)n->inline_more_size));
    }
    return 0;
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
    if (n->flags & INODE_INLINE)
        return inline_read(n, index, pages, count);
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
