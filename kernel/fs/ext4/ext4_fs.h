/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the ext4 driver share. Numbers on the disk are little
 * endian; they are read by offset with le16()..le64(). Whatever the disk says is
 * checked before it is used: a bad image gives -EIO and one log line
 * (ext4_bad()).
 */
#pragma once

#include "fs/vnode.h"
#include "lib/string.h"

struct blkdev;

/* Superblock: byte offsets. */
enum {
    SB_INODES = 0x00,
    SB_BLOCKS = 0x04,
    SB_RESERVED = 0x08,
    SB_FREE_BLOCKS = 0x0c,
    SB_FREE_INODES = 0x10,
    SB_FIRST_DATA_BLOCK = 0x14,
    SB_LOG_BLOCK_SIZE = 0x18,
    SB_BLOCKS_PER_GROUP = 0x20,
    SB_INODES_PER_GROUP = 0x28,
    SB_MAGIC = 0x38,
    SB_REVISION = 0x4c,
    SB_FIRST_INO = 0x54,
    SB_INODE_SIZE = 0x58,
    SB_COMPAT = 0x5c,
    SB_INCOMPAT = 0x60,
    SB_RO_COMPAT = 0x64,
    SB_UUID = 0x68,
    SB_LABEL = 0x78,
    SB_HASH_SEED = 0xec,
    SB_DESC_SIZE = 0xfe,
    SB_FIRST_META_BG = 0x104,
    SB_BLOCKS_HI = 0x150,
    SB_RESERVED_HI = 0x154,
    SB_FREE_BLOCKS_HI = 0x158,
    SB_FLAGS = 0x160,
    SB_CHECKSUM_TYPE = 0x175,
    SB_BACKUP_GROUPS = 0x24c,
    SB_CHECKSUM_SEED = 0x270,
    SB_CHECKSUM = 0x3fc,
    SB_SIZE = 1024,
};

#define EXT4_MAGIC 0xef53

#define COMPAT_SPARSE_SUPER2 0x200

#define INCOMPAT_FILETYPE    0x2
#define INCOMPAT_RECOVER     0x4
#define INCOMPAT_META_BG     0x10
#define INCOMPAT_EXTENTS     0x40
#define INCOMPAT_64BIT       0x80
#define INCOMPAT_FLEX_BG     0x200
#define INCOMPAT_EA_INODE    0x400
#define INCOMPAT_CSUM_SEED   0x2000
#define INCOMPAT_LARGEDIR    0x4000
#define INCOMPAT_INLINE_DATA 0x8000

#define RO_COMPAT_SPARSE_SUPER  0x1
#define RO_COMPAT_HUGE_FILE     0x8
#define RO_COMPAT_GDT_CSUM      0x10
#define RO_COMPAT_METADATA_CSUM 0x400

/* Group descriptor. */
enum { GD_INODE_TABLE = 0x08, GD_CHECKSUM = 0x1e, GD_SIZE_MIN = 0x20, GD_INODE_TABLE_HI = 0x28 };

/* Inode. */
enum {
    IN_MODE = 0x00,
    IN_UID = 0x02,
    IN_SIZE = 0x04,
    IN_ATIME = 0x08,
    IN_CTIME = 0x0c,
    IN_MTIME = 0x10,
    IN_GID = 0x18,
    IN_LINKS = 0x1a,
    IN_BLOCKS = 0x1c,
    IN_FLAGS = 0x20,
    IN_BLOCK = 0x28,
    IN_BLOCK_SIZE = 60,
    IN_GENERATION = 0x64,
    IN_SIZE_HI = 0x6c,
    IN_BLOCKS_HI = 0x74,
    IN_UID_HI = 0x78,
    IN_GID_HI = 0x7a,
    IN_CHECKSUM = 0x7c,
    IN_EXTRA_SIZE = 0x80,
    IN_CHECKSUM_HI = 0x82,
    IN_CTIME_EXTRA = 0x84,
    IN_MTIME_EXTRA = 0x88,
    IN_ATIME_EXTRA = 0x8c,
    IN_BTIME = 0x90,
    IN_BTIME_EXTRA = 0x94,
    IN_SIZE_MIN = 128,
};

#define INODE_INDEX   0x1000
#define INODE_HUGE    0x40000
#define INODE_EXTENTS 0x80000
#define INODE_INLINE  0x10000000
#define EXT4_ROOT_INO 2

static inline uint16_t le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

struct ext4_fs {
    struct fs fs;
    struct blkdev *dev;
    struct page_cache meta; /* the device's blocks: everything but file content */
    uint32_t block_size, block_shift;
    uint64_t blocks;
    uint32_t first_data_block, blocks_per_group, groups;
    uint32_t inodes, inodes_per_group, inode_size, first_ino;
    uint32_t desc_size, first_meta_bg;
    uint32_t compat, incompat, ro_compat;
    uint32_t seed; /* of all checksums, when csum */
    bool csum;     /* metadata_csum */
    bool hash_unsigned;
    uint32_t hash_seed[4];
    uint32_t backup_group[2];
    uint8_t uuid[16];
    uint64_t free_blocks, reserved_blocks;
    uint32_t free_inodes;
    uint32_t complaints; /* log lines written about a bad image */
};

/* Consecutive blocks of a file: on the disk from `physical`, or a hole. */
struct ext4_run {
    uint64_t logical, physical, count; /* blocks */
    bool mapped;
};

struct ext4_inode {
    struct vnode v;
    uint32_t flags; /* INODE_* */
    uint32_t seed;  /* of the checksums of its blocks */
    uint8_t block[IN_BLOCK_SIZE];
    uint8_t *inline_more; /* inline data that does not fit in `block` */
    uint32_t inline_more_size;
    struct spinlock run_lock;
    struct ext4_run run; /* the last one found */
};

static inline struct ext4_inode *ext4_inode(struct vnode *v)
{
    return CONTAINER_OF(v, struct ext4_inode, v);
}
static inline struct ext4_fs *ext4_fs(const struct vnode *v)
{
    return CONTAINER_OF(v->fs, struct ext4_fs, fs);
}

/* A metadata block in memory. */
struct ext4_block {
    struct page *page;
    const uint8_t *data; /* block_size bytes */
};

/* Complains about the image; always -EIO. */
int ext4_bad(struct ext4_fs *fs, const char *what, uint64_t number);
/* -EIO also for a number outside the file system. Each get is paired with a put. */
int ext4_block_get(struct ext4_fs *fs, uint64_t number, struct ext4_block *out);
void ext4_block_put(struct ext4_block *b);
/* First block of a group's inode table. */
int ext4_inode_table(struct ext4_fs *fs, uint32_t group, uint64_t *out);

/* The vnode with that number, referenced. */
int ext4_inode_get(struct ext4_fs *fs, uint64_t ino, struct vnode **out);
/* The run that holds a logical block; run->logical is that block. */
int ext4_map(struct ext4_inode *n, uint64_t logical, struct ext4_run *run);
int ext4_read_pages(struct vnode *v, uint64_t index, struct page **pages, unsigned n);
int ext4_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out);
int ext4_readdir(struct vnode *dir, uint64_t *pos, dirent_fn *fn, void *arg);

/* Directories (ext4_dir.c, ext4_htree.c): a block of one, checked. */
int ext4_dir_block(struct ext4_inode *dir, uint64_t logical, struct ext4_block *out);
/* Looks for a name in one region of entries: its inode number, 0 when absent, or -EIO. */
int64_t ext4_dir_search(struct ext4_inode *dir, const uint8_t *data, uint32_t size,
                        const struct vnode_name *name);
/* The same by index; -EOPNOTSUPP: the kind of hash is unknown, search all blocks. */
int64_t ext4_htree_search(struct ext4_inode *dir, const struct vnode_name *name);

#define EXT4_HASH_LEGACY   0
#define EXT4_HASH_HALF_MD4 1
#define EXT4_HASH_TEA      2
uint32_t ext4_hash(const struct ext4_fs *fs, unsigned version, const char *name, size_t len);
