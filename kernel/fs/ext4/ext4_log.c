/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: the log on the disk, in the format of jbd2 (numbers big endian). A
 * transaction is descriptor blocks, each followed by the blocks its tags name,
 * revoke blocks, and a commit block; the log is a ring. Everything before the
 * commit block is flushed before it is written, and it before the commit is told.
 */
#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/ext4/ext4_journal.h"
#include "fs/io_batch.h"
#include "lib/crc.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"

#define UUID_SIZE        16
#define REVOKE_HEADER    16 /* header and the number of bytes used */
#define COMMIT_CHECKSUM  0x10
#define COMMIT_SECONDS   0x30
#define COMMIT_NS        0x38
#define TRANSACTION_PART 4    /* of the log one transaction may take */
#define TRANSACTION_MAX  1024 /* blocks */

unsigned jlog_tag_size(const struct ext4_journal *j)
{
    if (j->csum3)
        return 16;
    return 8 + (j->csum2 ? 2 : 0) + (j->wide ? 4 : 0);
}

static unsigned jlog_tail_size(const struct ext4_journal *j)
{
    return j->csum2 || j->csum3 ? 4 : 0;
}

static unsigned tags_per_block(const struct ext4_fs *fs)
{
    const struct ext4_journal *j = fs->journal;
    return (fs->block_size - JBD_HEADER_SIZE - UUID_SIZE - jlog_tail_size(j)) / jlog_tag_size(j);
}

uint32_t jlog_need(const struct ext4_fs *fs, unsigned blocks, unsigned revoked)
{
    uint32_t per_revoke = (fs->block_size - REVOKE_HEADER - 4) / 8;
    return blocks + blocks / tags_per_block(fs) + revoked / per_revoke + 4;
}

uint32_t jlog_free(const struct ext4_journal *j)
{
    return j->size - j->first - j->used - 1;
}

uint32_t jlog_next(const struct ext4_journal *j, uint32_t block)
{
    return block + 1 == j->size ? j->first : block + 1;
}

uint64_t jlog_place(const struct ext4_journal *j, uint32_t block)
{
    unsigned low = 0, high = j->run_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (block >= j->run[mid].first + j->run[mid].count)
            low = mid + 1;
        else
            high = mid;
    }
    return low < j->run_count ? j->run[low].physical + block - j->run[low].first : 0;
}

/* Checksum of a block with the 4 bytes at `at` taken as zero. */
uint32_t jlog_block_csum(const struct ext4_journal *j, const uint8_t *block, uint32_t size,
                         uint32_t at)
{
    static const uint8_t zero[4];
    uint32_t c = crc32c(j->seed, block, at);
    c = crc32c(c, zero, sizeof zero);
    return crc32c(c, block + at + 4, size - at - 4);
}

int jlog_super_write(struct ext4_fs *fs, uint32_t tid, uint32_t start)
{
    static const uint8_t zero[4];
    struct ext4_journal *j = fs->journal;
    put_be32(j->super + JS_SEQUENCE, tid);
    put_be32(j->super + JS_START, start);
    if (j->csum2 || j->csum3) {
        uint32_t c = crc32c(~0u, j->super, JS_CHECKSUM);
        c = crc32c(c, zero, sizeof zero);
        c = crc32c(c, j->super + JS_CHECKSUM + 4, JS_BYTES - JS_CHECKSUM - 4);
        put_be32(j->super + JS_CHECKSUM, c);
    }
    int err = blkdev_write(fs->dev, jlog_place(j, 0) << fs->block_shift, j->super, fs->block_size);
    return err ? err : blkdev_flush(fs->dev);
}

void jlog_error_write(struct ext4_fs *fs, int err)
{
    uint8_t *super = fs->journal->super;
    put_be32(super + JS_ERROR, (uint32_t)err);
    if (jlog_super_write(fs, be32(super + JS_SEQUENCE), be32(super + JS_START)))
        log_warn("ext4 %s: the journal cannot be marked either", fs->dev->name);
}

/* Where the log's writer stands. */
struct log_writer {
    struct ext4_fs *fs;
    struct ext4_journal *j;
    struct io_batch batch;
    uint32_t tid, at; /* the next block of the log */
};

static uint64_t writer_take(struct log_writer *w)
{
    uint64_t place = jlog_place(w->j, w->at) << w->fs->block_shift;
    w->at = jlog_next(w->j, w->at);
    w->j->used++;
    return place;
}

static void header_fill(struct log_writer *w, uint32_t type)
{
    memset(w->j->header, 0, w->fs->block_size);
    put_be32(w->j->header, JBD_MAGIC);
    put_be32(w->j->header + 4, type);
    put_be32(w->j->header + 8, w->tid);
}

/* Checksum at the end of a descriptor or revoke block. */
static void tail_seal(struct log_writer *w)
{
    uint32_t at = w->fs->block_size - 4;
    if (jlog_tail_size(w->j))
        put_be32(w->j->header + at, jlog_block_csum(w->j, w->j->header, w->fs->block_size, at));
}

/* Writes the tag of one block; returns its bytes. */
static unsigned tag_fill(struct log_writer *w, uint8_t *tag, uint64_t number, const uint8_t *data,
                         uint32_t flags)
{
    struct ext4_journal *j = w->j;
    unsigned size = jlog_tag_size(j);
    uint32_t csum = 0, tid = __builtin_bswap32(w->tid);
    if (j->csum2 || j->csum3)
        csum = crc32c(crc32c(j->seed, &tid, sizeof tid), data, w->fs->block_size);
    put_be32(tag, (uint32_t)number);
    if (j->csum3) {
        put_be32(tag + 4, flags);
        put_be32(tag + 8, (uint32_t)(number >> 32));
        put_be32(tag + 12, csum);
    } else {
        put_be16(tag + 4, j->csum2 ? (uint16_t)csum : 0);
        put_be16(tag + 6, (uint16_t)flags);
        if (j->wide)
            put_be32(tag + 8, (uint32_t)(number >> 32));
    }
    if (flags & TAG_SAME)
        return size;
    memcpy(tag + size, j->super + JS_UUID, UUID_SIZE);
    return size + UUID_SIZE;
}

/* What goes into the log for a block: in the log, none may look like a block of the log itself. */
static const uint8_t *block_image(struct log_writer *w, struct jblock *b, bool *escaped)
{
    uint8_t *image = b->copy ? b->copy : b->data;
    *escaped = be32(image) == JBD_MAGIC;
    if (!*escaped)
        return image;
    if (!b->copy) {
        memcpy(w->j->scratch, image, w->fs->block_size);
        image = w->j->scratch;
    }
    put32(image, 0);
    return image;
}

static int batch_end(struct log_writer *w)
{
    int err = io_batch_finish(&w->batch);
    io_batch_init(&w->batch, w->fs->dev);
    return err;
}

/* One descriptor and its blocks, from *at on in the list; *at is moved. */
static int descriptor_write(struct log_writer *w, struct list **at, struct list *end)
{
    unsigned room = tags_per_block(w->fs), n = 0, pos = JBD_HEADER_SIZE;
    uint64_t place = writer_take(w);
    uint8_t *last = NULL;
    int err = 0;
    header_fill(w, JBD_DESCRIPTOR);
    for (; *at != end && n < room && !err; *at = (*at)->next) {
        struct jblock *b = LIST_ENTRY(*at, struct jblock, link);
        bool escaped;
        if (b->gone)
            continue;
        const uint8_t *image = block_image(w, b, &escaped);
        last = w->j->header + pos;
        pos +=
            tag_fill(w, last, b->number, image, (n++ ? TAG_SAME : 0) | (escaped ? TAG_ESCAPED : 0));
        io_batch_write(&w->batch, writer_take(w), (void *)(uintptr_t)image, w->fs->block_size);
        if (image == w->j->scratch)
            err = batch_end(w); /* there is only one such block */
    }
    if (last && w->j->csum3)
        put_be32(last + 4, be32(last + 4) | TAG_LAST);
    else if (last)
        put_be16(last + 6, be16(last + 6) | TAG_LAST);
    tail_seal(w);
    io_batch_write(&w->batch, place, w->j->header, w->fs->block_size);
    int failed = batch_end(w);
    return err ? err : failed;
}

static bool only_gone(struct list *at, struct list *end)
{
    while (at != end && LIST_ENTRY(at, struct jblock, link)->gone)
        at = at->next;
    return at == end;
}

static int revokes_write(struct log_writer *w, const struct transaction *t)
{
    unsigned size = w->j->wide ? 8 : 4;
    unsigned room = (w->fs->block_size - REVOKE_HEADER - jlog_tail_size(w->j)) / size;
    int err = 0;
    for (unsigned i = 0; i < t->revoke_count && !err;) {
        unsigned n = MIN(t->revoke_count - i, room);
        header_fill(w, JBD_REVOKE);
        put_be32(w->j->header + JBD_HEADER_SIZE, REVOKE_HEADER + n * size);
        for (unsigned k = 0; k < n; k++, i++) {
            uint8_t *at = w->j->header + REVOKE_HEADER + k * size;
            if (w->j->wide)
                put_be32(at, (uint32_t)(t->revoked[i] >> 32));
            put_be32(at + size - 4, (uint32_t)t->revoked[i]);
        }
        tail_seal(w);
        io_batch_write(&w->batch, writer_take(w), w->j->header, w->fs->block_size);
        err = batch_end(w);
    }
    return err;
}

static int commit_block_write(struct log_writer *w)
{
    uint64_t now = clock_wall();
    header_fill(w, JBD_COMMIT);
    put_be32(w->j->header + COMMIT_SECONDS, (uint32_t)(now / NSEC_PER_SEC >> 32));
    put_be32(w->j->header + COMMIT_SECONDS + 4, (uint32_t)(now / NSEC_PER_SEC));
    put_be32(w->j->header + COMMIT_NS, (uint32_t)(now % NSEC_PER_SEC));
    if (jlog_tail_size(w->j))
        put_be32(w->j->header + COMMIT_CHECKSUM,
                 jlog_block_csum(w->j, w->j->header, w->fs->block_size, COMMIT_CHECKSUM));
    w->batch.durable = w->fs->dev->durable;
    io_batch_write(&w->batch, writer_take(w), w->j->header, w->fs->block_size);
    return batch_end(w);
}

int jlog_write(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    struct transaction *t = &j->committing;
    struct log_writer w = {.fs = fs, .j = j, .tid = t->tid, .at = j->head};
    struct list *at = t->blocks.next;
    int err = 0;
    io_batch_init(&w.batch, fs->dev);
    while (!err && !only_gone(at, &t->blocks))
        err = descriptor_write(&w, &at, &t->blocks);
    if (!err)
        err = revokes_write(&w, t);
    if (!err)
        err = blkdev_flush(fs->dev); /* the content of files too: it is older than this commit */
    if (!err)
        err = commit_block_write(&w);
    if (!err && !fs->dev->durable)
        err = blkdev_flush(fs->dev);
    j->head = w.at;
    return err;
}

/* The journal's file as runs; its blocks never move. */
static int runs_load(struct ext4_fs *fs, struct ext4_inode *n, uint32_t size)
{
    struct ext4_journal *j = fs->journal;
    for (uint32_t at = 0; at < size;) {
        struct ext4_run r;
        int err = ext4_map(n, at, &r);
        if (err)
            return err;
        if (!r.mapped || r.physical + r.count > fs->blocks)
            return ext4_bad(fs, "hole in the journal, block", at);
        struct journal_run *more = krealloc(j->run, (j->run_count + 1) * sizeof *more);
        if (!more)
            return -ENOMEM;
        j->run = more;
        uint32_t count = (uint32_t)MIN(r.count, (uint64_t)(size - at));
        j->run[j->run_count++] = (struct journal_run){r.physical, at, count};
        at += count;
    }
    return 0;
}

static int super_check(struct ext4_fs *fs)
{
    static const uint8_t zero[4];
    struct ext4_journal *j = fs->journal;
    uint32_t type = be32(j->super + 4), incompat = be32(j->super + JS_INCOMPAT);
    uint32_t known = JBD_INCOMPAT_REVOKE | JBD_INCOMPAT_64BIT | JBD_INCOMPAT_ASYNC |
                     JBD_INCOMPAT_CSUM_V2 | JBD_INCOMPAT_CSUM_V3;
    if (be32(j->super) != JBD_MAGIC || (type != JBD_SUPER_V1 && type != JBD_SUPER_V2) ||
        be32(j->super + JS_BLOCK_SIZE) != fs->block_size)
        return ext4_bad(fs, "journal superblock", type);
    if (type == JBD_SUPER_V1)
        incompat = 0;
    if (incompat & ~known) {
        log_error("ext4 %s: journal feature %s (%#x) is not supported", fs->dev->name,
                  incompat & JBD_INCOMPAT_FAST ? "fast_commit" : "unknown", incompat & ~known);
        return -EINVAL;
    }
    j->csum2 = incompat & JBD_INCOMPAT_CSUM_V2;
    j->csum3 = incompat & JBD_INCOMPAT_CSUM_V3;
    j->wide = incompat & JBD_INCOMPAT_64BIT;
    if (!j->csum2 && !j->csum3)
        return 0;
    uint32_t c = crc32c(~0u, j->super, JS_CHECKSUM);
    c = crc32c(c, zero, sizeof zero);
    c = crc32c(c, j->super + JS_CHECKSUM + 4, JS_BYTES - JS_CHECKSUM - 4);
    return c == be32(j->super + JS_CHECKSUM) ? 0 : ext4_bad(fs, "journal superblock checksum", c);
}

static int super_read(struct ext4_fs *fs, struct ext4_inode *n)
{
    struct ext4_journal *j = fs->journal;
    uint64_t blocks = n->v.size >> fs->block_shift;
    struct ext4_run r;
    int err = ext4_map(n, 0, &r);
    if (!err && !r.mapped)
        err = ext4_bad(fs, "journal has no blocks, inode", n->v.ino);
    if (!err)
        err = blkdev_read(fs->dev, r.physical << fs->block_shift, j->super, fs->block_size);
    if (!err)
        err = super_check(fs);
    if (err)
        return err;
    j->size = be32(j->super + JS_SIZE);
    j->first = be32(j->super + JS_FIRST);
    if (j->size > blocks || j->first < 1 || j->first >= j->size || j->size - j->first < 256)
        return ext4_bad(fs, "journal size", j->size);
    j->seed = crc32c(~0u, j->super + JS_UUID, UUID_SIZE);
    return runs_load(fs, n, j->size);
}

/* The features this driver writes with; the log is empty. */
static void features_choose(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    uint32_t incompat = JBD_INCOMPAT_REVOKE;
    j->wide = fs->incompat & INCOMPAT_64BIT;
    j->csum2 = false;
    j->csum3 = fs->csum;
    incompat |= (j->wide ? JBD_INCOMPAT_64BIT : 0) | (j->csum3 ? JBD_INCOMPAT_CSUM_V3 : 0);
    put_be32(j->super + 4, JBD_SUPER_V2);
    put_be32(j->super + JS_COMPAT, be32(j->super + JS_COMPAT) & ~(uint32_t)JBD_COMPAT_CHECKSUM);
    put_be32(j->super + JS_INCOMPAT, incompat);
    j->super[JS_CHECKSUM_TYPE] = j->csum3 ? JBD_CHECKSUM_CRC32C : 0;
}

static struct ext4_journal *journal_create(struct ext4_fs *fs)
{
    struct ext4_journal *j = kzalloc(sizeof *j);
    if (!j)
        return NULL;
    fs->journal = j;
    mutex_init(&j->commit);
    waitq_init(&j->io_done);
    list_init(&j->saved);
    list_init(&j->running.blocks);
    list_init(&j->committing.blocks);
    j->super = kzalloc(fs->block_size);
    j->scratch = kmalloc(fs->block_size);
    j->header = kmalloc(fs->block_size);
    j->running.tid = 1;
    j->limit = TRANSACTION_MAX;
    if (j->super && j->scratch && j->header)
        return j;
    ext4_journal_free(fs);
    return NULL;
}

static int journal_open(struct ext4_fs *fs, struct ext4_inode *n, bool dirty)
{
    struct ext4_journal *j = fs->journal;
    uint32_t next = 0;
    int err = super_read(fs, n);
    if (err)
        return err;
    if (dirty && be32(j->super + JS_START)) {
        if (fs->dev->read_only) {
            log_error("ext4 %s: the journal must be replayed, but the disk is read-only",
                      fs->dev->name);
            return -EROFS;
        }
        err = jlog_recover(fs, &next);
        if (!err)
            err = jlog_super_write(fs, next, 0);
    } else {
        next = be32(j->super + JS_SEQUENCE);
    }
    features_choose(fs);
    j->running.tid = next ? next : 1;
    j->tail_tid = j->running.tid;
    j->head = j->first;
    j->limit = MIN((j->size - j->first) / TRANSACTION_PART, (uint32_t)TRANSACTION_MAX);
    return err;
}

int ext4_journal_load(struct ext4_fs *fs, uint64_t ino, bool dirty)
{
    struct vnode *v;
    struct ext4_journal *j = journal_create(fs);
    if (!j)
        return -ENOMEM;
    int err = ino ? ext4_inode_get(fs, ino, false, &v) : 0;
    if (!err && ino) {
        err = vnode_is_regular(v) ? journal_open(fs, ext4_inode(v), dirty)
                                  : ext4_bad(fs, "journal is no file, inode", ino);
        vnode_put(v);
    }
    j->committed = j->running.tid - 1;
    return err;
}
