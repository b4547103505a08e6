/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: taking blocks out of an extent tree. A step removes one extent, or the
 * part of one, from the end of the range; nodes that become empty are freed, and
 * the tree of an empty file has no nodes but its root.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_extent.h"

#define STEPS_MAX 8 /* in one operation */

/* The node at `level` has no entries left: it goes, and its entry above. */
static int node_remove(struct extent_path *p, unsigned level)
{
    struct ext4_inode *n = p->n;
    struct ext4_fs *fs = ext4_fs(&n->v);
    while (level && p->level[level].entries == 0) {
        struct extent_level *up = &p->level[level - 1];
        int err = ext4_free(fs, p->level[level].b.number, 1, true);
        if (!err)
            err = extent_level_change(p, level - 1);
        if (err)
            return err;
        n->v.blocks -= fs->block_size / 512;
        memmove(extent_entry(up, up->at), extent_entry(up, up->at + 1),
                (up->entries - up->at - 1) * EXTENT_SIZE);
        up->entries--;
        extent_level_done(p, level - 1);
        level--;
        if (up->entries && up->at == 0)
            return extent_keys_update(p, level);
    }
    if (level == 0 && p->level[0].entries == 0)
        put16(n->block + 6, 0);
    return 0;
}

/* The entry of the leaf is gone. */
static int entry_remove(struct extent_path *p)
{
    struct extent_level *l = &p->level[p->depth];
    int err = extent_level_change(p, p->depth);
    if (err)
        return err;
    memmove(extent_entry(l, l->at), extent_entry(l, l->at + 1),
            (l->entries - l->at - 1) * EXTENT_SIZE);
    l->entries--;
    extent_level_done(p, p->depth);
    if (!l->entries)
        return node_remove(p, p->depth);
    return l->at == 0 ? extent_keys_update(p, p->depth) : 0;
}

/* Frees blocks first..end-1 of the extent the path stands at. */
static int extent_cut(struct extent_path *p, struct extent *e, uint64_t first, uint64_t end,
                      struct extent *rest)
{
    struct ext4_inode *n = p->n;
    struct ext4_fs *fs = ext4_fs(&n->v);
    uint32_t before = (uint32_t)(first - e->logical), count = (uint32_t)(end - first);
    uint32_t behind = e->count - before - count;
    uint64_t physical = e->physical;
    int err = ext4_free(fs, physical + before, count, !vnode_is_regular(&n->v));
    if (err)
        return err;
    n->v.blocks -= (uint64_t)count << (fs->block_shift - 9);
    if (before) {
        e->count = before;
        *rest = (struct extent){end, physical + before + count, behind, e->unwritten};
        return extent_entry_replace(p, e);
    }
    if (!behind)
        return entry_remove(p);
    e->logical = end;
    e->physical += count;
    e->count = behind;
    return extent_entry_replace(p, e);
}

/* The last extent of the range: 1 when there was one, 0 when the range is empty. */
static int remove_step(struct ext4_inode *n, uint64_t from, uint64_t *to)
{
    struct extent_path p;
    struct extent e, rest = {0};
    int err = extent_path_find(n, *to - 1, &p), found = 0;
    const struct extent_level *leaf = &p.level[p.depth];
    if (!err && leaf->entries && !leaf->before) {
        err = extent_get(n, leaf, &e);
        uint64_t end = MIN(e.logical + e.count, *to), first = MAX(e.logical, from);
        /* A step stays in one group, so its cost is known. */
        if (!err && end > first) {
            struct ext4_fs *fs = ext4_fs(&n->v);
            uint64_t last = e.physical + (end - 1 - e.logical) - fs->first_data_block;
            first = MAX(first, end - MIN(end, last % fs->blocks_per_group + 1));
            found = 1;
            *to = first;
            err = extent_cut(&p, &e, first, end, &rest);
        }
    }
    extent_path_close(&p);
    if (!err && rest.count)
        err = extent_insert(n, &rest);
    return err ? err : found;
}

/* A tree of one leaf that would fit into the root moves there. */
static int tree_shrink(struct ext4_inode *n)
{
    struct ext4_fs *fs = ext4_fs(&n->v);
    struct extent_path p;
    struct extent_level *root = &p.level[0], *leaf = &p.level[1];
    int err = extent_path_find(n, 0, &p);
    if (!err && p.depth == 1 && root->entries == 1 && leaf->entries <= root->room &&
        !(err = ext4_free(fs, leaf->b.number, 1, true)) && !(err = extent_level_change(&p, 0))) {
        n->v.blocks -= fs->block_size / 512;
        memcpy(extent_entry(root, 0), extent_entry(leaf, 0), leaf->entries * EXTENT_SIZE);
        root->entries = leaf->entries;
        put16(n->block + 6, 0);
        extent_level_done(&p, 0);
    }
    extent_path_close(&p);
    return err;
}

int extent_remove(struct ext4_inode *n, uint64_t from, uint64_t to)
{
    int more = 1;
    for (unsigned i = 0; i < STEPS_MAX && more > 0; i++)
        more = to > from ? remove_step(n, from, &to) : 0;
    return more ? more : tree_shrink(n);
}
