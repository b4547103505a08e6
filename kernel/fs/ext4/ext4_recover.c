/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: replay of the journal: three walks over the log from its tail. The first
 * finds the last transaction that is complete, the second collects the blocks
 * that were revoked, the third copies blocks to their places, but those that a
 * later transaction (or the same) revoked. Nothing the log says is trusted.
 */
#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4_journal.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"

#define UUID_SIZE     16
#define REVOKE_HEADER 16

struct revoke {
    uint64_t number;
    uint32_t tid;
};

struct recovery {
    struct ext4_fs *fs;
    struct ext4_journal *j;
    enum { PASS_SCAN, PASS_REVOKE, PASS_REPLAY } pass;
    uint32_t at, end_tid; /* block of the log; the first transaction that is not complete */
    uint64_t left;        /* blocks that may still be read in this walk */
    uint8_t *block, *data;
    struct revoke *revoke;
    unsigned revoke_count, revoke_room, replayed;
};

/* Reads the next block of the log; 1 at the end of what the log can hold. */
static int jlog_read(struct recovery *r, uint8_t *to)
{
    if (!r->left--)
        return 1;
    uint64_t place = jlog_place(r->j, r->at);
    r->at = jlog_next(r->j, r->at);
    return blkdev_read(r->fs->dev, place << r->fs->block_shift, to, r->fs->block_size);
}

static bool checksummed(const struct ext4_journal *j)
{
    return j->csum2 || j->csum3;
}

static bool tail_valid(const struct recovery *r)
{
    uint32_t size = r->fs->block_size;
    return !checksummed(r->j) ||
           be32(r->block + size - 4) == jlog_block_csum(r->j, r->block, size, size - 4);
}

static int revoke_record(struct recovery *r, uint64_t number, uint32_t tid)
{
    for (unsigned i = 0; i < r->revoke_count; i++)
        if (r->revoke[i].number == number) {
            r->revoke[i].tid = tid; /* walks go forward: the later one counts */
            return 0;
        }
    if (r->revoke_count == r->revoke_room) {
        unsigned room = r->revoke_room ? r->revoke_room * 2 : 64;
        struct revoke *more = krealloc(r->revoke, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        r->revoke = more;
        r->revoke_room = room;
    }
    r->revoke[r->revoke_count++] = (struct revoke){number, tid};
    return 0;
}

static bool revoked(const struct recovery *r, uint64_t number, uint32_t tid)
{
    for (unsigned i = 0; i < r->revoke_count; i++)
        if (r->revoke[i].number == number)
            return (int32_t)(r->revoke[i].tid - tid) >= 0;
    return false;
}

/* A revoke block: 0, 1 when it is damaged, or an error. */
static int revoke_walk(struct recovery *r, uint32_t tid)
{
    unsigned size = r->j->wide ? 8 : 4;
    uint32_t used = be32(r->block + JBD_HEADER_SIZE);
    if (used < REVOKE_HEADER || used > r->fs->block_size - (checksummed(r->j) ? 4 : 0) ||
        !tail_valid(r))
        return 1;
    int err = 0;
    for (uint32_t at = REVOKE_HEADER; r->pass == PASS_REVOKE && at + size <= used && !err;
         at += size) {
        uint64_t high = r->j->wide ? be32(r->block + at) : 0;
        err = revoke_record(r, high << 32 | be32(r->block + at + size - 4), tid);
    }
    return err;
}

/* One block of a transaction: copied to its place, or only checked. */
static int block_walk(struct recovery *r, uint64_t number, uint32_t flags, uint32_t csum,
                      uint32_t tid)
{
    uint32_t be_tid = __builtin_bswap32(tid), size = r->fs->block_size;
    if (r->pass == PASS_REVOKE) {
        r->at = jlog_next(r->j, r->at);
        return r->left-- ? 0 : 1;
    }
    int err = jlog_read(r, r->data);
    if (err)
        return err;
    if (checksummed(r->j)) {
        uint32_t c = crc32c(crc32c(r->j->seed, &be_tid, sizeof be_tid), r->data, size);
        if ((r->j->csum3 ? c : c & 0xffff) != csum)
            return r->pass == PASS_SCAN ? 1 : ext4_bad(r->fs, "journal checksum, block", number);
    }
    if (r->pass == PASS_SCAN || flags & TAG_DELETED || revoked(r, number, tid))
        return 0;
    if (number >= r->fs->blocks)
        return ext4_bad(r->fs, "journal names a block out of range", number);
    if (flags & TAG_ESCAPED)
        put_be32(r->data, JBD_MAGIC);
    r->replayed++;
    return blkdev_write(r->fs->dev, number << r->fs->block_shift, r->data, size);
}

/* A descriptor block and the blocks behind it. */
static int descriptor_walk(struct recovery *r, uint32_t tid)
{
    const struct ext4_journal *j = r->j;
    unsigned size = jlog_tag_size(j);
    uint32_t end = r->fs->block_size - (checksummed(j) ? 4 : 0), flags = 0;
    if (!tail_valid(r))
        return 1;
    for (uint32_t at = JBD_HEADER_SIZE; at + size <= end && !(flags & TAG_LAST); at += size) {
        const uint8_t *tag = r->block + at;
        uint64_t number = be32(tag);
        uint32_t csum = j->csum3 ? be32(tag + 12) : be16(tag + 4);
        flags = j->csum3 ? be32(tag + 4) : be16(tag + 6);
        if (j->wide)
            number |= (uint64_t)be32(tag + 8) << 32;
        if (!(flags & TAG_SAME))
            at += UUID_SIZE;
        int err = block_walk(r, number, flags, csum, tid);
        if (err)
            return err;
    }
    return 0;
}

/* 0 when the transaction is complete, 1 when it is not. */
static int transaction_walk(struct recovery *r, uint32_t tid)
{
    for (;;) {
        int err = jlog_read(r, r->block);
        if (err)
            return err;
        if (be32(r->block) != JBD_MAGIC || be32(r->block + 8) != tid)
            return 1;
        switch (be32(r->block + 4)) {
        case JBD_DESCRIPTOR:
            err = descriptor_walk(r, tid);
            break;
        case JBD_REVOKE:
            err = revoke_walk(r, tid);
            break;
        case JBD_COMMIT:
            if (checksummed(r->j) &&
                be32(r->block + 0x10) != jlog_block_csum(r->j, r->block, r->fs->block_size, 0x10))
                return 1;
            return 0;
        default:
            return 1;
        }
        if (err)
            return err;
    }
}

static int walk(struct recovery *r, uint32_t tid)
{
    int err = 0;
    r->at = be32(r->j->super + JS_START);
    r->left = r->j->size - r->j->first;
    while (!err && (r->pass == PASS_SCAN || tid != r->end_tid)) {
        err = transaction_walk(r, tid);
        if (!err)
            tid++;
    }
    if (r->pass == PASS_SCAN && err >= 0) {
        r->end_tid = tid;
        return 0;
    }
    return err > 0 ? ext4_bad(r->fs, "journal changed while it was read, transaction", tid) : err;
}

int jlog_recover(struct ext4_fs *fs, uint32_t *next)
{
    struct ext4_journal *j = fs->journal;
    struct recovery r = {.fs = fs, .j = j};
    uint32_t tid = be32(j->super + JS_SEQUENCE), start = be32(j->super + JS_START);
    int err = -ENOMEM;
    if (start < j->first || start >= j->size)
        return ext4_bad(fs, "start of the journal", start);
    r.block = kmalloc(fs->block_size);
    r.data = kmalloc(fs->block_size);
    if (r.block && r.data) {
        err = 0;
        for (unsigned pass = PASS_SCAN; pass <= PASS_REPLAY && !err; pass++) {
            r.pass = pass;
            err = walk(&r, tid);
        }
        if (!err)
            err = blkdev_flush(fs->dev);
    }
    if (!err)
        log_info("ext4 %s: journal replayed: %u transactions, %u blocks", fs->dev->name,
                 r.end_tid - tid, r.replayed);
    *next = r.end_tid + 1;
    kfree(r.block);
    kfree(r.data);
    kfree(r.revoke);
    return err;
}
