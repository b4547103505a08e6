/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: operations and the blocks they change: see ext4_journal.h. An operation
 * tells beforehand how many blocks it may change; so there is always room for
 * the whole transaction in the log, and the records of the blocks exist.
 */
#include "fs/ext4/ext4_journal.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/writeback.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define RESERVE 64 /* blocks of log kept for operations that take more than they said */

static struct jblock **jblock_bucket(struct ext4_journal *j, uint64_t number)
{
    return &j->bucket[(number ^ number >> 8) % JBLOCK_BUCKETS];
}

struct jblock *jblock_find(struct ext4_journal *j, uint64_t number)
{
    struct jblock *b = *jblock_bucket(j, number);
    while (b && b->number != number)
        b = b->chain;
    return b;
}

void jblock_drop(struct ext4_journal *j, struct jblock *b)
{
    struct jblock **at = jblock_bucket(j, b->number);
    while (*at != b)
        at = &(*at)->chain;
    *at = b->chain;
    page_put(b->page);
    j->block_count--;
    b->chain = j->spare;
    j->spare = b;
    j->spare_count++;
}

/* Makes sure of n records; gives back what is far too many. */
static int spare_fill(struct ext4_journal *j, unsigned n)
{
    while (j->spare_count < n) {
        struct jblock *b = kmalloc(sizeof *b);
        if (!b)
            return -ENOMEM;
        b->chain = j->spare;
        j->spare = b;
        j->spare_count++;
    }
    while (j->spare_count > n + 256) {
        struct jblock *b = j->spare;
        j->spare = b->chain;
        j->spare_count--;
        kfree(b);
    }
    return 0;
}

int ext4_abort(struct ext4_fs *fs, int err)
{
    struct ext4_journal *j = fs->journal;
    fs->fs.read_only = true;
    if (j->aborted)
        return err;
    j->aborted = true;
    log_error("ext4 %s: error %d while writing; the file system is read-only now", fs->dev->name,
              -err);
    if (j->size && fs->opened) /* if that can still be written, the next one who mounts knows */
        jlog_error_write(fs, err);
    return err;
}

bool ext4_journal_failed(const struct ext4_fs *fs)
{
    return fs->journal->size && be32(fs->journal->super + JS_ERROR);
}

/* Whether the operation fits into the running transaction, and that into the log. */
static bool running_fits(const struct ext4_fs *fs, unsigned credits, bool *log_full)
{
    const struct ext4_journal *j = fs->journal;
    const struct transaction *t = &j->running;
    *log_full = false;
    if (t->count && t->count + credits > j->limit)
        return false;
    if (!j->size)
        return true;
    *log_full =
        jlog_free(j) < jlog_need(fs, t->count + credits, t->revoke_count + credits) + RESERVE;
    return !*log_full;
}

/* Frees blocks may have to wait for the commit before they can be used again. */
static bool room_is_pending(const struct ext4_fs *fs, unsigned credits)
{
    uint64_t pending = fs->pending[0].count + fs->pending[1].count;
    uint64_t wanted = fs->reserved + credits + fs->blocks / 64;
    return pending && fs->free_blocks < pending + wanted;
}

/* Commits, and empties the log if that is what is wanted; `op` is held and let go meanwhile. */
static int make_room(struct ext4_fs *fs, bool log_full)
{
    mutex_unlock(&fs->op);
    mutex_lock(&fs->journal->commit);
    int err = log_full ? journal_checkpoint(fs) : journal_commit(fs);
    mutex_unlock(&fs->journal->commit);
    mutex_lock(&fs->op);
    return err;
}

int ext4_begin(struct ext4_fs *fs, unsigned credits)
{
    struct ext4_journal *j = fs->journal;
    bool log_full, tried = false;
    int err = 0;
    mutex_lock(&fs->op);
    while (!err) {
        if (!j || j->aborted || fs->ended || fs->fs.read_only)
            err = -EROFS;
        else if (!fs->opened)
            err = ext4_open(fs);
        else if (!running_fits(fs, credits, &log_full) || (!tried && room_is_pending(fs, credits)))
            err = make_room(fs, log_full), tried = true;
        else
            break;
    }
    if (!err)
        err = spare_fill(j, credits);
    if (err) {
        mutex_unlock(&fs->op);
        return err;
    }
    fs->touched = false;
    return 0;
}

/* Errors after which everything is in order: what was begun has been undone. */
static bool harmless(int err)
{
    return err == -ENOSPC || err == -EAGAIN || err == -EFBIG || err == -EMLINK || err == -ENODATA ||
           err == -EEXIST;
}

int ext4_end(struct ext4_fs *fs, int err)
{
    if (err && fs->touched && !harmless(err))
        ext4_abort(fs, err);
    bool dirty = fs->journal->running.count;
    mutex_unlock(&fs->op);
    if (dirty && list_empty(&fs->fs.dirty_link))
        fs_set_dirty(&fs->fs, false);
    return err;
}

/* Enters the block into the running transaction. */
static int running_add(struct ext4_fs *fs, const struct ext4_block *b)
{
    struct ext4_journal *j = fs->journal;
    struct jblock *jb = jblock_find(j, b->number);
    if (!jb) {
        if (spare_fill(j, 1))
            return -ENOMEM;
        jb = j->spare;
        j->spare = jb->chain;
        j->spare_count--;
        struct jblock **at = jblock_bucket(j, b->number);
        *jb = (struct jblock){.chain = *at, .number = b->number, .page = b->page, .data = b->data};
        page_get(b->page);
        list_init(&jb->link);
        list_init(&jb->saved_link);
        *at = jb;
        j->block_count++;
    }
    jb->dead = false;
    if (!jb->running) {
        jb->running = true;
        j->running.count++;
        if (!jb->committing) /* else the end of the commit moves it */
            list_add_tail(&j->running.blocks, &jb->link);
    }
    return 0;
}

int ext4_block_change(struct ext4_fs *fs, struct ext4_block *b)
{
    int err = running_add(fs, b);
    fs->touched |= !err;
    return err;
}

int ext4_block_new(struct ext4_fs *fs, uint64_t number, struct ext4_block *out)
{
    int err = ext4_block_get(fs, number, out);
    if (err)
        return err;
    err = ext4_block_change(fs, out);
    if (err) {
        ext4_block_put(out);
        return err;
    }
    memset(out->data, 0, fs->block_size);
    jblock_find(fs->journal, number)->seal = NULL; /* of its former use */
    ext4_block_set_known(fs, out);
    return 0;
}

/* The blocks of a page have a bit each in page.pad, which is 0 when the page was read. */
static uint16_t known_bit(const struct ext4_fs *fs, const struct ext4_block *b)
{
    return (uint16_t)(1u << (b->number & ((PAGE_SIZE >> fs->block_shift) - 1)));
}

bool ext4_block_known(const struct ext4_fs *fs, const struct ext4_block *b)
{
    return __atomic_load_n(&b->page->pad, __ATOMIC_ACQUIRE) & known_bit(fs, b);
}

void ext4_block_set_known(const struct ext4_fs *fs, const struct ext4_block *b)
{
    __atomic_fetch_or(&b->page->pad, known_bit(fs, b), __ATOMIC_RELEASE);
}

void ext4_block_seal(struct ext4_fs *fs, const struct ext4_block *b, ext4_seal_fn *fn, uint32_t arg)
{
    struct jblock *jb = fs->csum ? jblock_find(fs->journal, b->number) : NULL;
    if (!jb)
        return;
    jb->seal = fn;
    jb->seal_arg = arg;
    ext4_block_set_known(fs, b);
}

static int revoke_add(struct transaction *t, uint64_t number)
{
    if (t->revoke_count == t->revoke_room) {
        unsigned room = t->revoke_room ? t->revoke_room * 2 : 32;
        uint64_t *more = krealloc(t->revoked, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        t->revoked = more;
        t->revoke_room = room;
    }
    t->revoked[t->revoke_count++] = number;
    return 0;
}

int ext4_block_revoke(struct ext4_fs *fs, uint64_t number, uint64_t count)
{
    struct ext4_journal *j = fs->journal;
    for (uint64_t i = number; i < number + count; i++) {
        struct jblock *jb = jblock_find(j, i);
        int err = j->size ? revoke_add(&j->running, i) : 0;
        if (err)
            return err;
        if (!jb)
            continue;
        /* Kept as a member of the transaction: until it is committed, the log has the truth. */
        err = running_add(fs, &(struct ext4_block){jb->page, jb->data, i});
        if (err)
            return err;
        jb->dead = true;
    }
    return 0;
}

uint32_t ext4_tid(const struct ext4_fs *fs)
{
    return fs->journal->running.tid;
}

uint32_t ext4_data_begin(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    spin_lock(&j->lock);
    j->running.io++;
    spin_unlock(&j->lock);
    return j->running.tid;
}

void ext4_data_end(struct ext4_fs *fs, uint32_t tid)
{
    struct ext4_journal *j = fs->journal;
    spin_lock(&j->lock);
    struct transaction *t = tid == j->running.tid ? &j->running : &j->committing;
    bool last = --t->io == 0;
    spin_unlock(&j->lock);
    if (last)
        waitq_wake(&j->io_done, 0);
}

int ext4_commit_running(struct ext4_fs *fs)
{
    if (!fs->opened)
        return 0;
    mutex_lock(&fs->journal->commit);
    int err = journal_commit(fs);
    mutex_unlock(&fs->journal->commit);
    return err;
}

int ext4_commit(struct ext4_fs *fs, uint32_t tid)
{
    struct ext4_journal *j = fs->journal;
    int err = 0;
    if (!fs->opened) /* content at most, by mappings */
        return fs->content_written ? blkdev_flush(fs->dev) : 0;
    mutex_lock(&j->commit);
    uint32_t before = j->committed;
    if (j->aborted)
        err = -EIO;
    else if ((int32_t)(before - tid) < 0)
        err = journal_commit(fs);
    bool flushed = j->committed != before;
    mutex_unlock(&j->commit);
    return flushed || err ? err : blkdev_flush(fs->dev);
}

void ext4_journal_free(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    if (!j)
        return;
    for (unsigned i = 0; i < JBLOCK_BUCKETS; i++)
        while (j->bucket[i])
            jblock_drop(j, j->bucket[i]);
    while (j->spare) {
        struct jblock *b = j->spare;
        j->spare = b->chain;
        kfree(b);
    }
    kfree(j->running.revoked);
    kfree(j->committing.revoked);
    kfree(j->run);
    kfree(j->super);
    kfree(j->scratch);
    kfree(j->header);
    kfree(j);
    fs->journal = NULL;
}
