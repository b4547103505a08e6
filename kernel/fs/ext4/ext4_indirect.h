/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block map of ext2 and ext3, for ext4_map.c and those who plan its growth:
 * files without INODE_EXTENTS. map_lock is held unless said otherwise.
 */
#pragma once

#include "fs/ext4/ext4_fs.h"

#define EXT4_TABLE_CREDITS 12 /* of an insertion: three tables, and the block they hang on */

/* The run that begins at run->logical. */
int indirect_map(struct ext4_inode *n, struct ext4_run *run);
/* How many blocks from `logical` on have their pointers in one table. No lock. */
uint32_t indirect_room(const struct ext4_fs *fs, uint64_t logical);
/* Tables that the block would need and that are not there: 0..3, or an error. Takes map_lock. */
int indirect_missing(struct ext4_inode *n, uint64_t logical);
/* See ext4_map_insert(), ext4_map_remove(). Physical blocks of 32 bits only, else -ENOSPC. */
int indirect_insert(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count);
int indirect_remove(struct ext4_inode *n, uint64_t from, uint64_t to);
/* The size in blocks that such a file may have: what the pointers and i_blocks can count. */
uint64_t indirect_limit(const struct ext4_fs *fs);
