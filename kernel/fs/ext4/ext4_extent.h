/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extent tree on the disk, for ext4_map.c (reading) and ext4_extent.c,
 * ext4_cut.c (changing). A node is a header {magic 2, entries 2, room 2, depth 2,
 * generation 4} and entries of 12 bytes: in a leaf {logical 4, length 2,
 * physical 6}, else {logical 4, child 6}. The root stands in the inode.
 */
#pragma once

#include "fs/ext4/ext4_fs.h"

#define EXTENT_MAGIC     0xf30a
#define EXTENT_SIZE      12 /* of the header and of each entry */
#define EXTENT_DEPTH_MAX 5
#define EXTENT_UNWRITTEN 32768 /* longest written extent; longer: unwritten, this much less */
#define LOGICAL_END      (1ull << 32)

struct extent {
    uint64_t logical, physical;
    uint32_t count;
    bool unwritten;
};

/* One level of a walk from the root to a leaf. */
struct extent_level {
    struct ext4_block b; /* page NULL: the root, in the inode */
    uint8_t *node;
    unsigned entries, room;
    unsigned at; /* the entry that covers or precedes what is looked for */
    bool before; /* all entries lie behind it: `at` is 0 */
};

struct extent_path {
    struct ext4_inode *n;
    unsigned depth; /* level[depth] is the leaf */
    struct extent_level level[EXTENT_DEPTH_MAX + 1];
};

static inline uint8_t *extent_entry(const struct extent_level *l, unsigned i)
{
    return l->node + EXTENT_SIZE * (1 + i);
}

static inline uint64_t extent_child(const uint8_t *entry)
{
    return le32(entry + 4) | (uint64_t)le16(entry + 8) << 32;
}

static inline void extent_decode(const uint8_t *entry, struct extent *e)
{
    e->logical = le32(entry);
    e->count = le16(entry + 4);
    e->physical = (uint64_t)le16(entry + 6) << 32 | le32(entry + 8);
    e->unwritten = e->count > EXTENT_UNWRITTEN;
    if (e->unwritten)
        e->count -= EXTENT_UNWRITTEN;
}

static inline void extent_encode(uint8_t *entry, const struct extent *e)
{
    put32(entry, e->logical);
    put16(entry + 4, e->count + (e->unwritten ? EXTENT_UNWRITTEN : 0));
    put16(entry + 6, (uint32_t)(e->physical >> 32));
    put32(entry + 8, e->physical);
}

/* The root as it is; its entries are checked, not the blocks they name. */
int extent_path_start(struct ext4_inode *n, struct extent_path *p);
/* Down to the leaf for a block; every node is checked. The path is to be closed in any case. */
int extent_path_find(struct ext4_inode *n, uint64_t logical, struct extent_path *p);
void extent_path_close(struct extent_path *p);
/* The extent at the leaf's `at`: -EIO when it is impossible. */
int extent_get(struct ext4_inode *n, const struct extent_level *leaf, struct extent *e);
/* The entry of the leaf that begins behind the block, or the end of what the leaf covers. */
uint64_t extent_next_start(const struct extent_path *p);

/* Changing: map_lock is held, during an operation. */
/* An empty tree. */
void extent_init(struct ext4_inode *n);
/* See ext4_map_insert() and ext4_map_remove(). */
int extent_insert_run(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count,
                      bool unwritten);
int extent_remove(struct ext4_inode *n, uint64_t from, uint64_t to);
/* The level's node is about to be changed; and was: counts, checksum. */
int extent_level_change(struct extent_path *p, unsigned level);
void extent_level_done(struct extent_path *p, unsigned level);
/* The entry the path stands at becomes e (not empty), which begins where it did or behind that. */
int extent_entry_replace(struct extent_path *p, const struct extent *e);
/* The first entry of the leaf begins elsewhere: the levels above say so too. */
int extent_keys_update(struct extent_path *p, unsigned level);
int extent_insert(struct ext4_inode *n, const struct extent *e);
/* The same; without `merge` it stays apart from what it continues. */
int extent_add(struct ext4_inode *n, const struct extent *e, bool merge);
