/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal in memory, for the files that make it up: ext4_journal.c (operations
 * and transactions), ext4_commit.c (commit and checkpoint), ext4_log.c (the log on
 * the disk, the format of jbd2), ext4_recover.c (replay).
 *
 * A metadata block that was changed has a struct jblock as long as it is newer than
 * its place on the disk: `running` while the running transaction has it, `saved`
 * while the log has it. The running transaction becomes the committing one under
 * ext4_fs.op ("freeze": its blocks are copied), and is written without it. Locks:
 * `commit` is held by whoever commits or checkpoints; everything else is under
 * ext4_fs.op, but `io` and `committed`, which are under `lock`.
 */
#pragma once

#include "fs/ext4/ext4_fs.h"

#define JBLOCK_BUCKETS 256

struct jblock {
    struct jblock *chain; /* of the hash table, or of the spare ones */
    uint64_t number;
    struct page *page; /* referenced */
    uint8_t *data;
    struct list link;       /* running transaction, or the committing one */
    struct list saved_link; /* ext4_journal.saved */
    void *copy;             /* what is written to the log; NULL: `data` itself */
    uint32_t saved_tid;     /* the transaction that has its last copy */
    ext4_seal_fn *seal;     /* computes its checksum; NULL: it has it */
    uint32_t seal_arg;
    bool running, committing, saved;
    bool dead; /* freed by the running transaction: not written any more */
    bool gone; /* the same for the committing one */
};

/* One run of the journal's own blocks. */
struct journal_run {
    uint64_t physical;
    uint32_t first, count;
};

struct transaction {
    uint32_t tid;
    struct list blocks; /* jblocks */
    unsigned count;
    uint64_t *revoked; /* blocks */
    unsigned revoke_count, revoke_room;
    unsigned io; /* data writes under way that it has to wait for */
};

struct ext4_journal {
    struct mutex commit;
    struct spinlock lock;
    struct waitq io_done;
    struct transaction running, committing;
    uint32_t committed; /* tid of the last transaction on the disk */
    struct jblock *bucket[JBLOCK_BUCKETS];
    struct jblock *spare;
    unsigned spare_count, block_count;
    struct list saved; /* jblocks, by saved_tid */
    bool aborted;

    /* The log; `size` 0: the file system has none. */
    uint32_t size, first; /* blocks of the journal file; the first one for the log */
    uint32_t head, used;  /* next block to write; blocks from the tail to it */
    uint32_t tail_tid;    /* the transaction that recovery would begin with */
    unsigned limit;       /* blocks a transaction may have */
    bool wide, csum2, csum3;
    uint32_t seed;
    struct journal_run *run;
    unsigned run_count;
    uint8_t *super;            /* the journal's superblock: 1024 bytes */
    uint8_t *scratch, *header; /* a block each, for the log's writer (`commit` is held) */
};

#define JBD_MAGIC       0xc03b3998u
#define JBD_DESCRIPTOR  1
#define JBD_COMMIT      2
#define JBD_SUPER_V1    3
#define JBD_SUPER_V2    4
#define JBD_REVOKE      5
#define JBD_HEADER_SIZE 12

#define TAG_ESCAPED 1
#define TAG_SAME    2 /* no UUID follows */
#define TAG_DELETED 4
#define TAG_LAST    8

#define JBD_COMPAT_CHECKSUM  1
#define JBD_INCOMPAT_REVOKE  1
#define JBD_INCOMPAT_64BIT   2
#define JBD_INCOMPAT_ASYNC   4
#define JBD_INCOMPAT_CSUM_V2 8
#define JBD_INCOMPAT_CSUM_V3 16
#define JBD_INCOMPAT_FAST    32
#define JBD_CHECKSUM_CRC32C  4

/* Superblock of the journal: byte offsets, numbers big endian. */
enum {
    JS_BLOCK_SIZE = 0x0c,
    JS_SIZE = 0x10,
    JS_FIRST = 0x14,
    JS_SEQUENCE = 0x18,
    JS_START = 0x1c,
    JS_ERROR = 0x20,
    JS_COMPAT = 0x24,
    JS_INCOMPAT = 0x28,
    JS_RO_COMPAT = 0x2c,
    JS_UUID = 0x30,
    JS_CHECKSUM_TYPE = 0x50,
    JS_FAST_BLOCKS = 0x54,
    JS_CHECKSUM = 0xfc,
    JS_BYTES = 1024,
};

static inline uint32_t be32(const void *p)
{
    return __builtin_bswap32(le32(p));
}
static inline uint16_t be16(const void *p)
{
    return __builtin_bswap16(le16(p));
}
static inline void put_be32(void *p, uint32_t v)
{
    put32(p, __builtin_bswap32(v));
}
static inline void put_be16(void *p, uint16_t v)
{
    put16(p, __builtin_bswap16(v));
}

struct jblock *jblock_find(struct ext4_journal *j, uint64_t number);
/* Nothing needs it any more. */
void jblock_drop(struct ext4_journal *j, struct jblock *b);
/* Blocks of log that a transaction of n blocks takes at most. */
uint32_t jlog_need(const struct ext4_fs *fs, unsigned blocks, unsigned revoked);
uint32_t jlog_free(const struct ext4_journal *j);
/* Bytes of a tag, without the UUID. */
unsigned jlog_tag_size(const struct ext4_journal *j);
/* Place on the disk of a block of the log; 0: there is none. */
uint64_t jlog_place(const struct ext4_journal *j, uint32_t block);
uint32_t jlog_next(const struct ext4_journal *j, uint32_t block);
/* Writes the committing transaction, flushes included. `commit` is held. */
int jlog_write(struct ext4_fs *fs);
/* The journal's superblock: where recovery begins; `start` 0: nothing to recover. */
int jlog_super_write(struct ext4_fs *fs, uint32_t tid, uint32_t start);
/* It keeps its place, and says that it was given up. */
void jlog_error_write(struct ext4_fs *fs, int err);
/* Replays; sets *next to the number the next transaction gets. */
int jlog_recover(struct ext4_fs *fs, uint32_t *next);
uint32_t jlog_block_csum(const struct ext4_journal *j, const uint8_t *block, uint32_t size,
                         uint32_t at);
/* `commit` is held, `op` is not. */
int journal_commit(struct ext4_fs *fs);
int journal_checkpoint(struct ext4_fs *fs);
