/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: commit and checkpoint: see ext4_journal.h. A commit writes the blocks of
 * one transaction to the log; a checkpoint writes what the log has to its places
 * and empties the log. Without a log a commit writes to the places at once.
 */
#include <linux/errno.h>

#include "dev/blkdev.h"
#include "fs/ext4/ext4_journal.h"
#include "fs/io_batch.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"

/* Copies of the frozen blocks; false: no memory, `op` must be held while they are written. */
static bool copies_make(struct ext4_fs *fs)
{
    struct transaction *t = &fs->journal->committing;
    LIST_FOR_EACH(l, &t->blocks)
    {
        struct jblock *b = LIST_ENTRY(l, struct jblock, link);
        if (b->gone)
            continue;
        b->copy = kmemdup(b->data, fs->block_size);
        if (!b->copy)
            return false;
    }
    return true;
}

static void copies_free(struct transaction *t)
{
    LIST_FOR_EACH(l, &t->blocks)
    {
        struct jblock *b = LIST_ENTRY(l, struct jblock, link);
        kfree(b->copy);
        b->copy = NULL;
    }
}

/* The running transaction becomes the committing one; `op` is held. */
static void freeze(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    struct transaction *r = &j->running, *c = &j->committing;
    uint64_t *revoked = c->revoked;
    unsigned room = c->revoke_room;
    spin_lock(&j->lock);
    *c = *r;
    r->tid++;
    r->io = 0;
    spin_unlock(&j->lock);
    r->count = 0;
    r->revoked = revoked;
    r->revoke_room = room;
    r->revoke_count = 0;
    list_init(&c->blocks);
    while (!list_empty(&r->blocks)) {
        struct jblock *b = LIST_ENTRY(list_pop_head(&r->blocks), struct jblock, link);
        b->running = false;
        b->committing = true;
        b->gone = b->dead;
        if (b->seal)
            b->seal(fs, b->seal_arg, b->data);
        b->seal = NULL;
        list_add_tail(&c->blocks, &b->link);
    }
}

static void wait_for_data(struct ext4_journal *j)
{
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        waitq_add(&j->io_done, &w);
        if (!__atomic_load_n(&j->committing.io, __ATOMIC_ACQUIRE))
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

/* Blocks freed by the transaction may be used again. */
static void pending_release(struct ext4_fs *fs, uint32_t tid)
{
    struct ext4_pending *p = &fs->pending[tid & 1];
    for (uint32_t g = 0; p->bitmap && p->count && g < fs->groups; g++) {
        kfree(p->bitmap[g]);
        p->bitmap[g] = NULL;
    }
    p->count = 0;
}

/* The committing transaction is on the disk (or has failed): `op` is held. */
static void thaw(struct ext4_fs *fs, bool ok)
{
    struct ext4_journal *j = fs->journal;
    struct transaction *c = &j->committing;
    while (!list_empty(&c->blocks)) {
        struct jblock *b = LIST_ENTRY(list_pop_head(&c->blocks), struct jblock, link);
        b->committing = false;
        kfree(b->copy);
        b->copy = NULL;
        bool home = b->gone || !j->size; /* nothing, or nothing more, is to be written */
        if (b->saved)
            list_remove(&b->saved_link);
        b->saved = ok && !home;
        if (b->saved) {
            b->saved_tid = c->tid;
            list_add_tail(&j->saved, &b->saved_link);
        }
        if (b->running)
            list_add_tail(&j->running.blocks, &b->link);
        else if (!b->saved)
            jblock_drop(j, b);
    }
    c->count = 0;
    if (ok) {
        pending_release(fs, c->tid);
        __atomic_store_n(&j->committed, c->tid, __ATOMIC_RELEASE);
    }
}

/* The blocks of a list to their places. */
static int write_home(struct ext4_fs *fs, struct list *list, bool saved)
{
    struct io_batch b;
    io_batch_init(&b, fs->dev);
    LIST_FOR_EACH(l, list)
    {
        struct jblock *jb =
            saved ? LIST_ENTRY(l, struct jblock, saved_link) : LIST_ENTRY(l, struct jblock, link);
        if (saved || !jb->gone)
            io_batch_write(&b, jb->number << fs->block_shift, jb->data, fs->block_size);
    }
    int err = io_batch_finish(&b);
    return err ? err : blkdev_flush(fs->dev);
}

int journal_commit(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    int err = 0;
    mutex_lock(&fs->op);
    if (j->aborted)
        err = -EIO;
    else if (!(err = ext4_groups_seal(fs)) && fs->counts_changed)
        err = ext4_super_store(fs, NULL);
    if (err || !j->running.count) {
        mutex_unlock(&fs->op);
        return err;
    }
    fs->counts_changed = false;
    freeze(fs);
    bool held = !j->size || !copies_make(fs);
    if (held)
        copies_free(&j->committing);
    else
        mutex_unlock(&fs->op);
    wait_for_data(j);
    err = j->size ? jlog_write(fs) : write_home(fs, &j->committing.blocks, false);
    if (!held)
        mutex_lock(&fs->op);
    thaw(fs, !err);
    if (err)
        ext4_abort(fs, err);
    mutex_unlock(&fs->op);
    return err;
}

int journal_checkpoint(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    int err = journal_commit(fs);
    if (err || !j->size)
        return err;
    mutex_lock(&fs->op);
    while (j->running.count && !err) { /* somebody was quick: its blocks may not be written yet */
        mutex_unlock(&fs->op);
        err = journal_commit(fs);
        mutex_lock(&fs->op);
    }
    if (!err)
        err = write_home(fs, &j->saved, true);
    while (!err && !list_empty(&j->saved)) {
        struct jblock *b = LIST_ENTRY(list_pop_head(&j->saved), struct jblock, saved_link);
        b->saved = false;
        jblock_drop(j, b);
    }
    if (!err) {
        j->used = 0;
        j->tail_tid = j->running.tid;
        err = jlog_super_write(fs, j->tail_tid, j->head);
    }
    if (err)
        ext4_abort(fs, err);
    mutex_unlock(&fs->op);
    return err;
}

int ext4_journal_empty(struct ext4_fs *fs)
{
    struct ext4_journal *j = fs->journal;
    mutex_lock(&j->commit);
    int err = journal_checkpoint(fs);
    mutex_unlock(&j->commit);
    return err;
}
