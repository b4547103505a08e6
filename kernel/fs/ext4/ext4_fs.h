/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the ext4 driver share. Numbers on the disk are little
 * endian; they are read and written by offset with le16()..put32(). Whatever the
 * disk says is checked before it is used: a bad image gives -EIO and one log line
 * (ext4_bad()).
 *
 * Changes to metadata are made between ext4_begin() and ext4_end(), by one thread
 * at a time (ext4_fs.op). Locks, outermost first: vnode locks > page_cache.writing
 * > journal.commit > ext4_fs.op > ext4_inode.map_lock (a file's block map) >
 * ext4_fs.load_lock > spinlocks. What an operation changes it changes under `op`;
 * readers of directories hold the vnode lock, readers of block maps map_lock.
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
    SB_WRITE_TIME = 0x30,
    SB_MAGIC = 0x38,
    SB_STATE = 0x3a,
    SB_REVISION = 0x4c,
    SB_FIRST_INO = 0x54,
    SB_INODE_SIZE = 0x58,
    SB_COMPAT = 0x5c,
    SB_INCOMPAT = 0x60,
    SB_RO_COMPAT = 0x64,
    SB_UUID = 0x68,
    SB_LABEL = 0x78,
    SB_RESERVED_DESC = 0xce,
    SB_JOURNAL_INO = 0xe0,
    SB_JOURNAL_DEV = 0xe4,
    SB_LAST_ORPHAN = 0xe8,
    SB_HASH_SEED = 0xec,
    SB_HASH_VERSION = 0xfc,
    SB_DESC_SIZE = 0xfe,
    SB_FIRST_META_BG = 0x104,
    SB_BLOCKS_HI = 0x150,
    SB_RESERVED_HI = 0x154,
    SB_FREE_BLOCKS_HI = 0x158,
    SB_MIN_EXTRA = 0x15c,
    SB_WANT_EXTRA = 0x15e,
    SB_FLAGS = 0x160,
    SB_LOG_FLEX = 0x174,
    SB_CHECKSUM_TYPE = 0x175,
    SB_OVERHEAD = 0x248,
    SB_BACKUP_GROUPS = 0x24c,
    SB_CHECKSUM_SEED = 0x270,
    SB_CHECKSUM = 0x3fc,
    SB_SIZE = 1024,
};

#define EXT4_MAGIC           0xef53
#define STATE_CLEAN          1
#define STATE_ERROR          2
#define COMPAT_JOURNAL       0x4
#define COMPAT_XATTR         0x8
#define COMPAT_DIR_INDEX     0x20
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
#define RO_COMPAT_LARGE_FILE    0x2
#define RO_COMPAT_HUGE_FILE     0x8
#define RO_COMPAT_GDT_CSUM      0x10
#define RO_COMPAT_DIR_NLINK     0x20
#define RO_COMPAT_EXTRA_ISIZE   0x40
#define RO_COMPAT_BIGALLOC      0x200
#define RO_COMPAT_METADATA_CSUM 0x400

/* Group descriptor. */
enum {
    GD_BLOCK_BITMAP = 0x00,
    GD_INODE_BITMAP = 0x04,
    GD_INODE_TABLE = 0x08,
    GD_FREE_BLOCKS = 0x0c,
    GD_FREE_INODES = 0x0e,
    GD_DIRS = 0x10,
    GD_FLAGS = 0x12,
    GD_BLOCK_CSUM = 0x18,
    GD_INODE_CSUM = 0x1a,
    GD_UNUSED = 0x1c,
    GD_CHECKSUM = 0x1e,
    GD_SIZE_MIN = 0x20, /* what follows only with 64bit */
    GD_BLOCK_BITMAP_HI = 0x20,
    GD_INODE_BITMAP_HI = 0x24,
    GD_INODE_TABLE_HI = 0x28,
    GD_FREE_BLOCKS_HI = 0x2c,
    GD_FREE_INODES_HI = 0x2e,
    GD_DIRS_HI = 0x30,
    GD_UNUSED_HI = 0x32,
    GD_BLOCK_CSUM_HI = 0x38,
    GD_INODE_CSUM_HI = 0x3a,
};
#define GROUP_INODE_UNINIT 1
#define GROUP_BLOCK_UNINIT 2

/* Inode. */
enum {
    IN_MODE = 0x00,
    IN_UID = 0x02,
    IN_SIZE = 0x04,
    IN_ATIME = 0x08,
    IN_CTIME = 0x0c,
    IN_MTIME = 0x10,
    IN_DTIME = 0x14,
    IN_GID = 0x18,
    IN_LINKS = 0x1a,
    IN_BLOCKS = 0x1c,
    IN_FLAGS = 0x20,
    IN_BLOCK = 0x28,
    IN_BLOCK_SIZE = 60,
    IN_GENERATION = 0x64,
    IN_XATTR = 0x68,
    IN_SIZE_HI = 0x6c,
    IN_BLOCKS_HI = 0x74,
    IN_XATTR_HI = 0x76,
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

#define INODE_APPEND     0x20
#define INODE_FROZEN     0x10 /* "immutable" */
#define INODE_INDEX      0x1000
#define INODE_HUGE       0x40000
#define INODE_EXTENTS    0x80000
#define INODE_INLINE     0x10000000
#define EXT4_ROOT_INO    2
#define EXT4_JOURNAL_INO 8
#define EXT4_LINKS_MAX   65000 /* directories with more say 1 */

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

static inline void put16(void *p, uint32_t v)
{
    uint16_t half = (uint16_t)v;
    memcpy(p, &half, sizeof half);
}
static inline void put32(void *p, uint64_t v)
{
    uint32_t word = (uint32_t)v;
    memcpy(p, &word, sizeof word);
}

struct ext4_journal;

/* Blocks freed by a transaction: not to be used before it is committed. */
struct ext4_pending {
    uint8_t **bitmap; /* one a group, NULL: nothing */
    uint64_t count;
};

struct ext4_fs {
    struct fs fs;
    struct blkdev *dev;
    struct mutex op;        /* one change of metadata at a time */
    struct mutex load_lock; /* an inode is read once */
    struct ext4_journal *journal;
    bool opened;          /* something was changed: the disk says so */
    bool content_written; /* of some file since the mount; atomic */
    bool ended;           /* unmounted or given up: no more changes */
    bool touched;         /* the operation under way has changed something */
    bool counts_changed;
    uint32_t log_flex;
    struct ext4_pending pending[2];        /* by the parity of the transaction */
    uint64_t reserved;                     /* blocks set aside for dirty pages; atomic */
    uint32_t last_group;                   /* where a block was found last */
    uint8_t *group_state;                  /* a byte a group, of ext4_group.c; atomic */
    uint32_t unsealed_first, unsealed_end; /* groups that may lack checksums */
    uint32_t want_extra;                   /* bytes behind the first 128 that new inodes use */
    unsigned hash_version;                 /* of new indexed directories */
    struct mutex reaping;                  /* held by whoever frees deleted files; before op */
    struct spinlock reap_lock;
    bool reap_busy;          /* one of them is not on the list any more, and not free yet */
    struct ext4_inode *reap; /* deleted and not in use any more: to be freed */
    struct list orphans;     /* inodes on the disk's list, the first one first; under op */
    struct page_cache meta;  /* the device's blocks: everything but file content */
    uint32_t block_size, block_shift;
    uint64_t blocks;
    uint32_t first_data_block, blocks_per_group, groups;
    uint32_t inodes, inodes_per_group, inode_size, first_ino;
    uint32_t desc_size, first_meta_bg, reserved_desc;
    uint32_t compat, incompat, ro_compat;
    uint32_t seed; /* of all checksums, when csum */
    bool csum;     /* metadata_csum */
    bool hash_unsigned;
    uint32_t hash_seed[4];
    uint32_t backup_group[2];
    uint8_t uuid[16];
    uint64_t overhead;                     /* blocks of metadata, for statfs */
    uint64_t free_blocks, reserved_blocks; /* free_blocks, free_inodes: under op */
    uint32_t free_inodes;
    uint32_t complaints; /* log lines written about a bad image */
};

/* Consecutive blocks of a file: on the disk from `physical`, or a hole. */
struct ext4_run {
    uint64_t logical, physical, count; /* blocks */
    bool mapped;                       /* there is content on the disk */
    bool unwritten;                    /* blocks are allocated (`physical`), but read as zeroes */
};

struct ext4_inode {
    struct vnode v;
    uint32_t flags; /* INODE_* */
    uint32_t seed;  /* of the checksums of its blocks */
    uint32_t generation;
    uint64_t disk_size; /* the size on the disk: up to it content was written; under op */
    uint64_t xattr_block;
    struct mutex map_lock; /* `block` and the tree below it */
    uint8_t block[IN_BLOCK_SIZE];
    uint8_t *inline_more; /* inline data that does not fit in `block` */
    uint32_t inline_more_size;
    struct spinlock run_lock;
    struct ext4_run run;     /* the last one found */
    uint64_t goal;           /* block behind the last one allocated; 0: none */
    uint32_t tid, data_tid;  /* transactions of the last change, and of one that fdatasync needs */
    struct list orphan_link; /* ext4_fs.orphans */
    uint32_t dtime;          /* s since 1970, of a freed inode */
    struct ext4_inode *reap_next;
    bool fresh;   /* nothing of it is on the disk yet */
    bool discard; /* only memory is given back when it is destroyed */
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
    uint8_t *data; /* block_size bytes */
    uint64_t number;
};

/* Complains about the image; always -EIO. */
int ext4_bad(struct ext4_fs *fs, const char *what, uint64_t number);
/* -EIO also for a number outside the file system. Each get is paired with a put. */
int ext4_block_get(struct ext4_fs *fs, uint64_t number, struct ext4_block *out);
void ext4_block_put(struct ext4_block *b);

/* Changes (ext4_journal.c). */
/*
 * Begins an operation that changes at most `credits` metadata blocks: takes `op`.
 * May commit what is there first. -EROFS after an abort, -ENOMEM, -EIO. Sleeps.
 */
int ext4_begin(struct ext4_fs *fs, unsigned credits);
/* Ends it. An operation that failed (err) after it changed something ends the file system. */
int ext4_end(struct ext4_fs *fs, int err);
/* Nothing more is written; logged once. Always `err`. */
int ext4_abort(struct ext4_fs *fs, int err);
/* The block is about to be changed by the operation under way. */
int ext4_block_change(struct ext4_fs *fs, struct ext4_block *b);
/* A block that was just allocated for metadata: zeroed, and part of the operation. */
int ext4_block_new(struct ext4_fs *fs, uint64_t number, struct ext4_block *out);
/*
 * Checksums are compared once, when a block was read, and computed once, when the transaction
 * that changed it is written. A block whose checksum is still to come is always "known".
 */
typedef void ext4_seal_fn(const struct ext4_fs *fs, uint32_t arg, uint8_t *data);
bool ext4_block_known(const struct ext4_fs *fs, const struct ext4_block *b);
void ext4_block_set_known(const struct ext4_fs *fs, const struct ext4_block *b);
/* After ext4_block_change(): fn(fs, arg, data) is to be called before the block is written. */
void ext4_block_seal(struct ext4_fs *fs, const struct ext4_block *b, ext4_seal_fn *fn,
                     uint32_t arg);
/* Metadata blocks were freed: what the journal has of them must not come back. */
int ext4_block_revoke(struct ext4_fs *fs, uint64_t number, uint64_t count);
/* The number of the running transaction; during an operation. */
uint32_t ext4_tid(const struct ext4_fs *fs);
/* Data I/O that the running transaction has to wait for: begins during the operation. */
uint32_t ext4_data_begin(struct ext4_fs *fs);
void ext4_data_end(struct ext4_fs *fs, uint32_t tid);
/*
 * Commits everything up to that transaction. The device is flushed in any case, but
 * while nothing at all has been written since the mount.
 */
int ext4_commit(struct ext4_fs *fs, uint32_t tid);
/* Commits the running transaction; without a flush when there is nothing. */
int ext4_commit_running(struct ext4_fs *fs);
/* Reads the journal's superblock, replays the journal if it must be. */
int ext4_journal_load(struct ext4_fs *fs, uint64_t ino, bool dirty);
/* Whether its last user gave it up after an error. */
bool ext4_journal_failed(const struct ext4_fs *fs);
/* All metadata to its place, the journal empty. */
int ext4_journal_empty(struct ext4_fs *fs);
void ext4_journal_free(struct ext4_fs *fs);
/* The first change since the mount: the superblock says "in use". */
int ext4_open(struct ext4_fs *fs);
/* The superblock as a metadata block, changed: encodes the counts and its checksum. */
int ext4_super_store(struct ext4_fs *fs, void (*edit)(struct ext4_fs *fs, uint8_t *sb));

/* Group descriptors and bitmaps (ext4_group.c). */
struct ext4_group {
    struct ext4_block b;
    uint32_t number;
    uint8_t *desc;
};
/* Checks it; an operation is under way (or the mount). */
int ext4_group_get(struct ext4_fs *fs, uint32_t group, struct ext4_group *out);
void ext4_group_put(struct ext4_group *g);
/* A field of two halves; the high one is 0 in short descriptors. */
uint64_t ext4_group_field(const struct ext4_fs *fs, const struct ext4_group *g, unsigned low,
                          unsigned high, unsigned size);
void ext4_group_set(const struct ext4_fs *fs, struct ext4_group *g, unsigned low, unsigned high,
                    unsigned size, uint64_t value);
/* The bitmap, checked; a group never used gets its bitmap made (in memory) here. */
int ext4_block_bitmap(struct ext4_fs *fs, struct ext4_group *g, struct ext4_block *out);
int ext4_inode_bitmap(struct ext4_fs *fs, struct ext4_group *g, struct ext4_block *out);
/* To be called when it and the descriptor were changed: checksums are for ext4_groups_seal(). */
void ext4_block_bitmap_changed(struct ext4_fs *fs, const struct ext4_group *g);
void ext4_inode_bitmap_changed(struct ext4_fs *fs, const struct ext4_group *g);
/* Checksums of all that was changed, before the transaction is written; under op. */
int ext4_groups_seal(struct ext4_fs *fs);
int ext4_groups_init(struct ext4_fs *fs);
void ext4_groups_forget(struct ext4_fs *fs); /* what was read is to be compared again */
uint64_t ext4_group_first(const struct ext4_fs *fs, uint32_t group);
uint32_t ext4_group_blocks(const struct ext4_fs *fs, uint32_t group);
/* First block of a group's inode table. Needs no operation. */
int ext4_inode_table(struct ext4_fs *fs, uint32_t group, uint64_t *out);

/* Allocation (ext4_alloc.c, ext4_ialloc.c); during an operation. */
/*
 * Up to *count consecutive blocks, near the goal (0: anywhere); *count is how many
 * it is. -ENOSPC. Two credits a call.
 */
int ext4_alloc(struct ext4_fs *fs, uint64_t goal, uint64_t *start, uint64_t *count);
/* `meta`: they held metadata. Two credits for each group touched. */
int ext4_free(struct ext4_fs *fs, uint64_t start, uint64_t count, bool meta);
/* Sets n blocks aside for later: -ENOSPC. Any context. */
int ext4_reserve(struct ext4_fs *fs, uint64_t n);
void ext4_unreserve(struct ext4_fs *fs, uint64_t n);
/* How many blocks may be had now, apart from what is set aside. */
uint64_t ext4_room(const struct ext4_fs *fs);
/* The same for the operation under way, which may use what is set aside. */
bool ext4_can_alloc(const struct ext4_fs *fs, uint64_t n);
/* fs_ops.trim. */
int ext4_trim(struct fs *base, uint64_t from, uint64_t len, uint64_t least, uint64_t *trimmed);
int ext4_inode_alloc(struct ext4_fs *fs, const struct vnode *dir, bool is_dir, uint32_t *ino);
int ext4_inode_free(struct ext4_fs *fs, uint32_t ino, bool is_dir);

/* Inodes. */
/* The vnode with that number, referenced. `orphan`: one without names may be loaded. */
int ext4_inode_get(struct ext4_fs *fs, uint64_t ino, bool orphan, struct vnode **out);
/* The inode's place on the disk; *offset in the block. */
int ext4_inode_block(struct ext4_fs *fs, uint64_t ino, struct ext4_block *b, uint32_t *offset);
/* Stores all fields; during an operation, one credit. */
int ext4_inode_store(struct ext4_inode *n);
typedef void ext4_raw_fn(uint8_t *raw, void *arg);
/* The same after a change to the inode's bytes (NULL: none), and not for fdatasync to wait for. */
int ext4_inode_edit(struct ext4_inode *n, ext4_raw_fn *edit, void *arg);
/* Gives back the memory; it was never published. */
void ext4_inode_discard(struct ext4_inode *n);
bool ext4_link_is_fast(const struct ext4_inode *n);
/* A new inode, in memory only: to be stored. One reference. */
int ext4_inode_make(struct ext4_fs *fs, const struct vnode *dir, const struct vnode_new *what,
                    uint32_t ino, struct ext4_inode **out);
int ext4_store(struct vnode *v);
int ext4_fsync(struct vnode *v, bool data_only);
/* Frees what became unused; true if something is left to do. */
bool ext4_reap(struct ext4_fs *fs);
/* The same when room is short: true if it is worth trying again. No operation is under way. */
bool ext4_reap_for_room(struct ext4_fs *fs);
/* The disk's list of inodes to be freed or cut after a crash. Two credits. */
int ext4_orphan_add(struct ext4_inode *n);
int ext4_orphan_remove(struct ext4_inode *n);
/* At mount: finishes what the list tells. */
int ext4_orphan_finish(struct ext4_fs *fs, uint32_t first);

/* Block maps (ext4_map.c, ext4_extent.c). */
#define EXT4_EXTENT_CREDITS 6 /* of an insertion; the splits of a deep tree take the reserve */
/* The run that holds a logical block; run->logical is that block. Takes map_lock. */
int ext4_map(struct ext4_inode *n, uint64_t logical, struct ext4_run *run);
/* An empty tree. */
void ext4_extent_init(struct ext4_inode *n);
/* Blocks that are not mapped yet. During an operation; EXT4_EXTENT_CREDITS. */
int ext4_extent_insert(struct ext4_inode *n, uint64_t logical, uint64_t physical, uint32_t count,
                       bool unwritten);
/* Makes an unwritten run written; it lies in one extent. 2 * EXT4_EXTENT_CREDITS. */
int ext4_extent_written(struct ext4_inode *n, uint64_t logical, uint32_t count);
/*
 * Frees blocks of from..to-1, from the end, as far as one operation goes: 1 when
 * more is left, 0 when all is gone. EXT4_REMOVE_CREDITS.
 */
#define EXT4_REMOVE_CREDITS 28
int ext4_extent_remove(struct ext4_inode *n, uint64_t from, uint64_t to);
int ext4_read_pages(struct vnode *v, uint64_t index, struct page **pages, unsigned n);

/* Content (ext4_write.c, ext4_truncate.c). */
int ext4_write_page(struct vnode *v, uint64_t index, struct page *fresh, struct page **out);
int ext4_write_pages(struct vnode *v, struct page **pages, unsigned n);
void ext4_forget(struct vnode *v, struct page *p);
int ext4_truncate(struct vnode *v, uint64_t size);
/* The largest size a file may have. */
uint64_t ext4_size_limit(const struct ext4_fs *fs);
int ext4_allocate(struct vnode *v, int mode, uint64_t off, uint64_t len);
int64_t ext4_seek(struct vnode *v, uint64_t off, bool hole);
/* Frees all blocks from `first` to `end` - 1, in as many operations as it takes. */
int ext4_cut(struct ext4_inode *n, uint64_t first, uint64_t end);
/*
 * Gives blocks first..end-1 a place, and makes them written if asked to, as far as
 * one operation goes (*done). EXT4_MAKE_CREDITS.
 */
#define EXT4_MAKE_CREDITS 32
int ext4_blocks_make(struct ext4_inode *n, uint64_t first, uint64_t end, bool written,
                     uint64_t *done);
/* How many blocks of a page have no place yet. */
int ext4_blocks_missing(struct ext4_inode *n, uint64_t index, unsigned *missing);
/* Content that stands in the inode moves to a block, so that it can be written. */
int ext4_inline_out(struct ext4_inode *n);

/* Extended attributes (ext4_xattr.c): an inode that is being freed gives back its block. */
int ext4_xattr_free(struct ext4_inode *n);
/* The inode has no inline data any more; during an operation, stores the inode. */
int ext4_xattr_drop_inline(struct ext4_inode *n);
int ext4_xattr_get(struct vnode *v, const char *name, void *value, size_t size);
int ext4_xattr_set(struct vnode *v, const char *name, const void *value, size_t size, int flags);
int ext4_xattr_list(struct vnode *v, char *list, size_t size);

/* Names (ext4_namei.c). */
int ext4_make(struct vnode *dir, const struct vnode_name *name, const struct vnode_new *what,
              struct vnode **out);
int ext4_make_unnamed(struct vnode *dir, const struct vnode_new *what, struct vnode **out);
int ext4_link(struct vnode *dir, const struct vnode_name *name, struct vnode *target);
int ext4_unlink(struct vnode *dir, const struct vnode_name *name, struct vnode *victim);
int ext4_rename(struct vnode *from, const struct vnode_name *old, struct vnode *moved,
                struct vnode *to, const struct vnode_name *name, struct vnode *victim,
                unsigned flags);
int ext4_lookup(struct vnode *dir, const struct vnode_name *name, struct vnode **out);
int ext4_readdir(struct vnode *dir, uint64_t *pos, dirent_fn *fn, void *arg);

/* Changes of directories (ext4_dirent.c, ext4_hinsert.c); during an operation. */
#define EXT4_DIR_CREDITS 12
/* The name is not there. -ENOSPC. */
int ext4_dir_add(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                 uint32_t mode);
/* -ENOENT when it is not there. */
int ext4_dir_remove(struct ext4_inode *dir, const struct vnode_name *name);
/* The name (".." too) leads to another inode. */
int ext4_dir_change(struct ext4_inode *dir, const struct vnode_name *name, uint32_t ino,
                    uint32_t mode);
/* The first block of a new directory. */
int ext4_dir_init(struct ext4_inode *dir, uint32_t parent);
/* 1 when there is nothing but "." and "..", else 0 or an error. */
int ext4_dir_empty(struct ext4_inode *dir);

/* Directories (ext4_dir.c, ext4_htree.c): a block of one, checked. */
int ext4_dir_block(struct ext4_inode *dir, uint64_t logical, struct ext4_block *out);
/* Looks for a name in one region of entries: its inode number, 0 when absent, or -EIO. */
int64_t ext4_dir_search(struct ext4_inode *dir, const uint8_t *data, uint32_t size,
                        const struct vnode_name *name);
/* Its inode number, and the block it stands in; 0: absent. Not for inline directories. */
int64_t ext4_dir_find(struct ext4_inode *dir, const struct vnode_name *name, uint64_t *logical);

#define EXT4_HASH_LEGACY   0
#define EXT4_HASH_HALF_MD4 1
#define EXT4_HASH_TEA      2
uint32_t ext4_hash(const struct ext4_fs *fs, unsigned version, const char *name, size_t len);
