/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory blocks on the disk, for the files that read and change them. Leaf
 * blocks: entries {inode 4, length 2, name length 1, type 1, name}, with checksums
 * a last entry of 12 bytes. Index blocks: {hash 4, block 4} entries, the first with
 * {limit 2, count 2} in place of its hash; the root has "." and ".." in front.
 */
#pragma once

#include "fs/ext4/ext4_fs.h"

#define ENTRY_HEADER 8
#define TAIL_SIZE    12
#define TAIL_TYPE    0xde

#define ROOT_INFO        0x18 /* {zero 4, hash version 1, info length 1, levels 1, flags 1} */
#define ROOT_INFO_SIZE   8
#define INDEX_ROOT       0x20 /* where the entries begin */
#define INDEX_NODE       8
#define HTREE_LEVELS_MAX 3
#define HTREE_BLOCK_MASK 0x0fffffff

#define LEVELS_MAX HTREE_LEVELS_MAX
#define BLOCK_MASK HTREE_BLOCK_MASK

struct dir_entry {
    uint32_t ino;
    unsigned length, name_len, type;
    const char *name;
};

/* Decodes the entry at `off` of a region; false when it is damaged. */
bool dir_entry_decode(const uint8_t *data, uint32_t size, uint32_t off, struct dir_entry *e);
/* The block is one of an index: the root, or a node. */
bool dir_block_is_index(const struct ext4_inode *dir, uint64_t logical, const uint8_t *data);
/* Bytes for entries in a leaf block. */
uint32_t dir_leaf_size(const struct ext4_fs *fs);
/* A block of the operation was changed: its checksum; `at`: where the index entries begin. */
void dir_leaf_seal(struct ext4_inode *dir, const struct ext4_block *b);
void dir_index_seal(struct ext4_inode *dir, uint32_t at, const struct ext4_block *b);
static inline bool dir_entry_is(const struct dir_entry *e, const struct vnode_name *name)
{
    return e->ino && e->name_len == name->len &&
           e->name[name->len - 1] == name->text[name->len - 1] && /* where most names differ */
           !memcmp(e->name, name->text, name->len);
}
static inline unsigned dir_entry_size(unsigned name_len)
{
    return ALIGN_UP(ENTRY_HEADER + name_len, 4u);
}
/* Writes an entry; `length` is all the room it gets. */
void dir_entry_encode(const struct ext4_fs *fs, uint8_t *p, const struct vnode_name *name,
                      uint32_t ino, uint32_t mode, unsigned length);
/* Puts a name into a leaf, in the operation: -ENOSPC when it does not fit. */
int dir_leaf_insert(struct ext4_inode *dir, struct ext4_block *b, const struct vnode_name *name,
                    uint32_t ino, uint32_t mode);
/* A new block at the end of the directory, zeroed, in the operation. */
int dir_append(struct ext4_inode *dir, struct ext4_block *out, uint64_t *logical);

/* The place in one level of the index. */
struct frame {
    struct ext4_block b;
    uint8_t *entries;
    unsigned offset, count, limit, at;
};

struct htree {
    struct ext4_inode *dir;
    uint32_t hash;
    unsigned version;
    unsigned levels; /* index levels below the root */
    unsigned open;   /* frames that hold a block */
    struct frame frame[HTREE_LEVELS_MAX + 1];
};

/* Goes down by the name's hash; -EOPNOTSUPP: unknown hash. To be closed in any case. */
int htree_open(struct htree *t, struct ext4_inode *dir, const struct vnode_name *name);
void htree_close(struct htree *t, unsigned down_to);
/* The block that the frame's place leads to. */
uint64_t frame_block(const struct frame *f);
/* Inode number, 0 when absent, or an error. */
int64_t htree_find(struct ext4_inode *dir, const struct vnode_name *name, uint64_t *logical);
/* Adds a name to an indexed directory; *retry false: it does not fit. */
int htree_insert(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                 uint32_t mode);
/* A directory of one block gets an index: -EOPNOTSUPP when it cannot. */
int htree_make(struct ext4_inode *dir);
