/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: changing extent trees: insertion with merging, splitting of full nodes,
 * growth of the root, and turning unwritten extents into written ones. A full node
 * is split before the insertion goes down again, so a step never has to be undone.
 * Removal is in ext4_cut.c. map_lock is held and an operation is under way.
 */
#include "fs/ext4/ext4_extent.h"

#include <linux/errno.h>

#include "lib/crc.h"

#define WRITTEN_MAX   EXTENT_UNWRITTEN
#define UNWRITTEN_MAX (EXTENT_UNWRITTEN - 1)
#define SPLIT_BLOCKS  (2 * EXTENT_DEPTH_MAX) /* two insertions take at most */

void extent_init(struct ext4_inode *n)
{
    memset(n->block, 0, IN_BLOCK_SIZE);
    put16(n->block, EXTENT_MAGIC);
    put16(n->block + 4, IN_BLOCK_SIZE / EXTENT_SIZE - 1);
    n->flags |= INODE_EXTENTS;
}

int extent_level_change(struct extent_path *p, unsigned level)
{
    ext4_map_forget(p->n);
    if (level == 0)
        return 0; /* in the inode, which is stored at the end of the operation */
    return ext4_block_change(ext4_fs(&p->n->v), &p->level[level].b);
}

static void node_csum(const struct ext4_fs *fs, uint32_t seed, uint8_t *node)
{
    uint32_t at = EXTENT_SIZE * (1 + le16(node + 4));
    (void)fs;
    put32(node + at, crc32c(seed, node, at));
}

static void node_seal(struct ext4_inode *n, const struct ext4_block *b)
{
    ext4_block_seal(ext4_fs(&n->v), b, node_csum, n->seed);
}

void extent_level_done(struct extent_path *p, unsigned level)
{
    struct extent_level *l = &p->level[level];
    put16(l->node + 2, l->entries);
    if (level)
        node_seal(p->n, &l->b);
}

int extent_keys_update(struct extent_path *p, unsigned level)
{
    uint32_t key = le32(extent_entry(&p->level[level], 0));
    while (level--) {
        struct extent_level *l = &p->level[level];
        if (le32(extent_entry(l, l->at)) == key)
            return 0;
        int err = extent_level_change(p, level);
        if (err)
            return err;
        put32(extent_entry(l, l->at), key);
        extent_level_done(p, level);
        if (l->at)
            return 0;
    }
    return 0;
}

static void entries_open(struct extent_level *l, unsigned at)
{
    memmove(extent_entry(l, at + 1), extent_entry(l, at), (l->entries - at) * EXTENT_SIZE);
    l->entries++;
}

static void child_encode(uint8_t *entry, uint32_t logical, uint64_t child)
{
    put32(entry, logical);
    put32(entry + 4, child);
    put16(entry + 8, (uint32_t)(child >> 32));
    put16(entry + 10, 0);
}

/* A block for a node of the tree, near the node it comes from; zeroed, in the operation. */
static int node_alloc(struct ext4_inode *n, struct ext4_block *out)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint64_t start, count = 1;
    int err = ext4_alloc(fs, n->goal, &start, &count);
    if (err)
        return err;
    err = ext4_block_new(fs, start, out);
    if (!err)
        n->v.blocks += fs->block_size / 512;
    return err;
}

static void node_init(const struct ext4_fs *fs, uint8_t *node, unsigned depth)
{
    put16(node, EXTENT_MAGIC);
    put16(node + 4, (fs->block_size - (fs->csum ? 4 : 0)) / EXTENT_SIZE - 1);
    put16(node + 6, depth);
}

/* The root is full: what it holds moves to a block of its own, one level down. */
static int root_grow(struct extent_path *p)
{
    struct ext4_inode *n = p->n;
    struct ext4_block b;
    struct extent_level *root = &p->level[0];
    if (p->depth == EXTENT_DEPTH_MAX)
        return -EFBIG;
    int err = node_alloc(n, &b);
    if (err)
        return err;
    ext4_map_forget(n);
    node_init(ext4_fs(&n->v), b.data, p->depth);
    put16(b.data + 2, root->entries);
    memcpy(b.data + EXTENT_SIZE, root->node + EXTENT_SIZE, root->entries * EXTENT_SIZE);
    node_seal(n, &b);
    child_encode(extent_entry(root, 0), le32(extent_entry(root, 0)), b.number);
    put16(root->node + 2, 1);
    put16(root->node + 6, p->depth + 1);
    ext4_block_put(&b);
    return 0;
}

/* Moves the upper half of a node (or, when it grows at its end, the last entry) to a new one. */
static int node_split(struct extent_path *p, unsigned level, bool at_end)
{
    struct ext4_inode *n = p->n;
    struct extent_level *l = &p->level[level], *up = l - 1;
    struct ext4_block b;
    unsigned keep = at_end ? l->entries - 1 : l->entries / 2, moved = l->entries - keep;
    int err = node_alloc(n, &b);
    if (!err && (err = extent_level_change(p, level)))
        ext4_block_put(&b);
    if (!err && (err = extent_level_change(p, level - 1)))
        ext4_block_put(&b);
    if (err)
        return err;
    node_init(ext4_fs(&n->v), b.data, p->depth - level);
    put16(b.data + 2, moved);
    memcpy(b.data + EXTENT_SIZE, extent_entry(l, keep), moved * EXTENT_SIZE);
    node_seal(n, &b);
    entries_open(up, up->at + 1);
    child_encode(extent_entry(up, up->at + 1), le32(extent_entry(l, keep)), b.number);
    l->entries = keep;
    extent_level_done(p, level);
    extent_level_done(p, level - 1);
    ext4_block_put(&b);
    return 0;
}

/* The leaf is full: one step towards room in it. */
static int make_room(struct extent_path *p)
{
    unsigned level = p->depth;
    bool at_end = true;
    for (unsigned i = 0; i <= p->depth; i++)
        at_end &= !p->level[i].before && p->level[i].at + 1 == p->level[i].entries;
    while (level && p->level[level - 1].entries == p->level[level - 1].room)
        level--;
    return level ? node_split(p, level, at_end) : root_grow(p);
}

static uint32_t extent_limit(const struct extent *e)
{
    return e->unwritten ? UNWRITTEN_MAX : WRITTEN_MAX;
}

static bool extents_join(const struct extent *a, const struct extent *b)
{
    return a->unwritten == b->unwritten && a->logical + a->count == b->logical &&
           a->physical + a->count == b->physical && a->count + b->count <= extent_limit(a);
}

/* Joins e with the entries before and behind it: 1 when it is in the tree that way. */
static int leaf_merge(struct extent_path *p, const struct extent *e)
{
    struct extent_level *l = &p->level[p->depth];
    struct extent left = {0}, right = {0}, whole = *e;
    unsigned next = l->before ? 0 : l->at + 1;
    if (!l->before && l->entries)
        extent_decode(extent_entry(l, l->at), &left);
    if (next < l->entries)
        extent_decode(extent_entry(l, next), &right);
    bool to_left = left.count && extents_join(&left, e);
    if (to_left) {
        whole = left;
        whole.count += e->count;
    }
    bool to_right = right.count && extents_join(&whole, &right);
    if (!to_left && !to_right)
        return 0;
    int err = extent_level_change(p, p->depth);
    if (err)
        return err;
    if (to_right)
        whole.count += right.count;
    extent_encode(extent_entry(l, to_left ? l->at : next), &whole);
    if (to_left && to_right) {
        memmove(extent_entry(l, next), extent_entry(l, next + 1),
                (l->entries - next - 1) * EXTENT_SIZE);
        l->entries--;
    }
    extent_level_done(p, p->depth);
    if (!to_left && next == 0)
        err = extent_keys_update(p, p->depth);
    return err ? err : 1;
}

int extent_insert(struct ext4_inode *n, const struct extent *e)
{
    return extent_add(n, e, true);
}

int extent_add(struct ext4_inode *n, const struct extent *e, bool merge)
{
    for (;;) {
        struct extent_path p;
        int err = extent_path_find(n, e->logical, &p);
        struct extent_level *l = &p.level[p.depth];
        if (!err && merge)
            err = leaf_merge(&p, e);
        bool done = err != 0;
        if (!done && l->entries < l->room) {
            unsigned at = l->before || !l->entries ? 0 : l->at + 1;
            err = extent_level_change(&p, p.depth);
            if (!err) {
                entries_open(l, at);
                extent_encode(extent_entry(l, at), e);
                extent_level_done(&p, p.depth);
                if (at == 0)
                    err = extent_keys_update(&p, p.depth);
            }
            done = true;
        } else if (!done) {
            err = make_room(&p);
            done = err != 0;
        }
        extent_path_close(&p);
        if (done)
            return MIN(err, 0);
    }
}

int extent_insert_run(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count,
                      bool unwritten)
{
    struct extent e = {.logical = logical, .physical = physical, .unwritten = unwritten};
    int err = 0;
    while (count && !err) {
        e.count = MIN(count, extent_limit(&e));
        err = extent_insert(n, &e);
        e.logical += e.count;
        e.physical += e.count;
        count -= e.count;
    }
    return err;
}

int extent_entry_replace(struct extent_path *p, const struct extent *e)
{
    struct extent_level *l = &p->level[p->depth];
    int err = extent_level_change(p, p->depth);
    if (err)
        return err;
    extent_encode(extent_entry(l, l->at), e);
    extent_level_done(p, p->depth);
    return l->at == 0 ? extent_keys_update(p, p->depth) : 0;
}

/*
 * The part `logical`, `count` of an unwritten extent leaves it: what remains in
 * front of it, or else behind it, stays in its entry; *rest is a second remainder.
 */
static int written_part(struct ext4_inode *n, uint64_t logical, uint32_t count, struct extent *part,
                        struct extent *rest)
{
    struct extent_path p;
    struct extent e;
    rest->count = part->count = 0;
    int err = extent_path_find(n, logical, &p);
    if (!err && !p.level[p.depth].entries)
        err = ext4_bad(ext4_fs(&n->v), "extent tree changed, inode", n->v.ino);
    if (!err)
        err = extent_get(n, &p.level[p.depth], &e);
    if (!err && (!e.unwritten || logical < e.logical || logical + count > e.logical + e.count))
        err = ext4_bad(ext4_fs(&n->v), "extent is not unwritten, inode", n->v.ino);
    if (err) {
        extent_path_close(&p);
        return err;
    }
    uint32_t before = (uint32_t)(logical - e.logical), behind = e.count - before - count;
    *part = (struct extent){logical, e.physical + before, count, false};
    struct extent tail = {logical + count, e.physical + before + count, behind, true};
    if (before) {
        e.count = before;
        *rest = tail;
        err = extent_entry_replace(&p, &e);
    } else if (behind) {
        err = extent_entry_replace(&p, &tail);
    } else {
        err = extent_entry_replace(&p, part);
        part->count = 0;
    }
    extent_path_close(&p);
    return err;
}

int ext4_extent_written(struct ext4_inode *n, uint64_t logical, uint32_t count)
{
    struct extent part, rest;
    if (!ext4_can_alloc(ext4_fs(&n->v), SPLIT_BLOCKS))
        return -ENOSPC; /* half way it would be too late */
    mutex_lock(&n->map_lock);
    int err = written_part(n, logical, count, &part, &rest);
    if (!err && rest.count)
        err = extent_insert(n, &rest);
    if (!err && part.count)
        err = extent_insert(n, &part);
    mutex_unlock(&n->map_lock);
    return err;
}
