/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: allocation of inode numbers. Files go to the group of their directory,
 * directories of the root are spread over groups with much room. The lowest free
 * number of a group is taken, so the part of its table that was never written
 * stays at the end.
 */
#include <linux/errno.h>

#include "fs/ext4/ext4_fs.h"

static uint64_t free_inodes(const struct ext4_fs *fs, const struct ext4_group *g)
{
    return ext4_group_field(fs, g, GD_FREE_INODES, GD_FREE_INODES_HI, 2);
}

/* A group for a directory below the root: the first with the most free blocks of those sampled. */
static uint32_t spread(struct ext4_fs *fs, uint32_t from)
{
    uint64_t best_free = 0;
    uint32_t best = from;
    for (uint32_t i = 0; i < MIN(fs->groups, 64u); i++) {
        struct ext4_group g;
        uint32_t group = (from + i) % fs->groups;
        if (ext4_group_get(fs, group, &g))
            continue;
        uint64_t free = ext4_group_field(fs, &g, GD_FREE_BLOCKS, GD_FREE_BLOCKS_HI, 2);
        if (free_inodes(fs, &g) && free > best_free) {
            best_free = free;
            best = group;
        }
        ext4_group_put(&g);
    }
    return best;
}

static uint32_t first_clear(const struct ext4_fs *fs, const uint8_t *map, uint32_t from)
{
    for (uint32_t i = from; i < fs->inodes_per_group; i++) {
        if (!(i & 63) && (le32(map + i / 8) & le32(map + i / 8 + 4)) == UINT32_MAX)
            i += 63;
        else if (!(i & 7) && map[i / 8] == 0xff)
            i += 7;
        else if (!(map[i / 8] >> i % 8 & 1))
            return i;
    }
    return fs->inodes_per_group;
}

/* Changes one bit, the counts of the group and of the file system. */
static int inode_mark(struct ext4_fs *fs, struct ext4_group *g, struct ext4_block *map,
                      uint32_t index, bool used, bool is_dir)
{
    int err = ext4_block_change(fs, map);
    if (!err)
        err = ext4_block_change(fs, &g->b);
    if (err)
        return err;
    uint64_t dirs = ext4_group_field(fs, g, GD_DIRS, GD_DIRS_HI, 2);
    map->data[index / 8] ^= (uint8_t)(1 << index % 8);
    ext4_group_set(fs, g, GD_FREE_INODES, GD_FREE_INODES_HI, 2,
                   used ? free_inodes(fs, g) - 1 : free_inodes(fs, g) + 1);
    if (is_dir)
        ext4_group_set(fs, g, GD_DIRS, GD_DIRS_HI, 2, used ? dirs + 1 : dirs - 1);
    if (used && (fs->csum || fs->ro_compat & RO_COMPAT_GDT_CSUM)) {
        uint64_t unused = ext4_group_field(fs, g, GD_UNUSED, GD_UNUSED_HI, 2);
        uint64_t rest = fs->inodes_per_group - index - 1;
        ext4_group_set(fs, g, GD_UNUSED, GD_UNUSED_HI, 2, MIN(unused, rest));
    }
    ext4_inode_bitmap_changed(fs, g);
    fs->free_inodes += used ? -1u : 1u;
    fs->counts_changed = true;
    return 0;
}

/* -EAGAIN: the group is full. */
static int group_take(struct ext4_fs *fs, uint32_t group, bool is_dir, uint32_t *ino)
{
    struct ext4_group g;
    struct ext4_block map;
    int err = ext4_group_get(fs, group, &g);
    if (err)
        return err;
    err = free_inodes(fs, &g) ? ext4_inode_bitmap(fs, &g, &map) : -EAGAIN;
    if (!err) {
        uint32_t first = group == 0 ? fs->first_ino - 1 : 0;
        uint32_t index = first_clear(fs, map.data, first);
        err =
            index < fs->inodes_per_group ? inode_mark(fs, &g, &map, index, true, is_dir) : -EAGAIN;
        *ino = group * fs->inodes_per_group + index + 1;
        ext4_block_put(&map);
    }
    ext4_group_put(&g);
    return err;
}

int ext4_inode_alloc(struct ext4_fs *fs, const struct vnode *dir, bool is_dir, uint32_t *ino)
{
    uint32_t group = (uint32_t)((dir->ino - 1) / fs->inodes_per_group);
    if (is_dir && dir->ino == EXT4_ROOT_INO)
        group = spread(fs, group);
    for (uint32_t i = 0; i < fs->groups; i++) {
        int err = group_take(fs, (group + i) % fs->groups, is_dir, ino);
        if (err != -EAGAIN)
            return err;
    }
    return -ENOSPC;
}

int ext4_inode_free(struct ext4_fs *fs, uint32_t ino, bool is_dir)
{
    struct ext4_group g;
    struct ext4_block map;
    uint32_t index = (ino - 1) % fs->inodes_per_group;
    int err = ext4_group_get(fs, (ino - 1) / fs->inodes_per_group, &g);
    if (err)
        return err;
    err = ext4_inode_bitmap(fs, &g, &map);
    if (!err) {
        if (map.data[index / 8] >> index % 8 & 1)
            err = inode_mark(fs, &g, &map, index, false, is_dir);
        else
            err = ext4_bad(fs, "inode is free already", ino);
        ext4_block_put(&map);
    }
    ext4_group_put(&g);
    return err;
}
