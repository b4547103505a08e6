/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE wait loop and what it sleeps on: see wait.h. Each queue of a set holds a
 * waiter whose call-back marks the set woken and wakes the set's own queue, so
 * that the condition can be looked at (and may itself sleep) between
 * wait_set_arm() and wait_set_sleep() without a wake-up being lost.
 * Locks: a file's queue > the set's own queue.
 */
#include "file/wait.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "mem/kmalloc.h"
#include "sched/thread.h"

#define CHUNK_ENTRIES 32

struct wait_chunk {
    struct wait_chunk *next;
    struct wait_entry entry[CHUNK_ENTRIES];
};

static void wait_entry_woken(struct waiter *w, uint32_t events)
{
    struct wait_set *s = CONTAINER_OF(w, struct wait_entry, waiter)->set;
    (void)events;
    __atomic_store_n(&s->woken, true, __ATOMIC_RELEASE);
    waitq_wake(&s->self, 0);
}

static struct wait_entry *wait_entry_new(struct wait_set *s)
{
    unsigned n = s->count;
    if (n < WAIT_INLINE) {
        s->count++;
        return &s->inline_entry[n];
    }
    n = (n - WAIT_INLINE) % CHUNK_ENTRIES;
    if (n == 0) {
        struct wait_chunk *c = kmalloc(sizeof *c);
        if (!c)
            return NULL;
        c->next = s->chunks;
        s->chunks = c;
    }
    s->count++;
    return &s->chunks->entry[n];
}

static void wait_set_add(struct poll_table *pt, struct waitq *q)
{
    struct wait_set *s = CONTAINER_OF(pt, struct wait_set, table);
    struct wait_entry *e = wait_entry_new(s);
    if (!e) {
        s->err = -ENOMEM;
        return;
    }
    waiter_init(&e->waiter);
    e->waiter.wake = wait_entry_woken;
    e->set = s;
    waitq_add(q, &e->waiter);
}

void wait_set_init(struct wait_set *s)
{
    s->table.add = wait_set_add;
    waitq_init(&s->self);
    s->woken = false;
    s->err = 0;
    s->count = 0;
    s->chunks = NULL;
}

void wait_set_fini(struct wait_set *s)
{
    unsigned in_chunk =
        s->count > WAIT_INLINE ? (s->count - WAIT_INLINE - 1) % CHUNK_ENTRIES + 1 : 0;
    for (unsigned i = 0; i < s->count && i < WAIT_INLINE; i++)
        waitq_remove(&s->inline_entry[i].waiter);
    while (s->chunks) {
        struct wait_chunk *c = s->chunks;
        for (unsigned i = 0; i < in_chunk; i++)
            waitq_remove(&c->entry[i].waiter);
        in_chunk = CHUNK_ENTRIES; /* all but the newest are full */
        s->chunks = c->next;
        kfree(c);
    }
}

void (*wait_sleep_hook)(void);

void wait_set_arm(struct wait_set *s)
{
    __atomic_store_n(&s->woken, false, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int wait_set_sleep(struct wait_set *s, uint64_t deadline)
{
    struct waiter w;
    int err = 0;
    if (wait_sleep_hook)
        wait_sleep_hook();
    waiter_init(&w);
    for (;;) {
        waitq_add(&s->self, &w);
        if (__atomic_load_n(&s->woken, __ATOMIC_ACQUIRE)) {
            err = 0;
            break;
        }
        if (err)
            break;
        err = thread_block(deadline, true);
    }
    waitq_remove(&w);
    return err;
}

uint32_t file_poll(struct file *f, struct poll_table *pt)
{
    if (!f->ops->poll)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return f->ops->poll(f, pt);
}

static ssize_t wait_for_op(struct file *f, uint64_t deadline, wait_op_fn *op, void *arg)
{
    struct wait_set s;
    int err = 0;
    ssize_t r;
    wait_set_init(&s);
    file_poll(f, &s.table);
    for (;;) {
        wait_set_arm(&s);
        r = op(f, arg);
        if (r != -EAGAIN || err || s.err)
            break;
        err = wait_set_sleep(&s, deadline);
    }
    if (r == -EAGAIN && s.err)
        r = s.err;
    else if (r == -EAGAIN && err == -EINTR)
        r = -ERESTARTSYS;
    wait_set_fini(&s);
    return r;
}

ssize_t file_wait_more(struct file *f, bool write, wait_op_fn *op, void *arg)
{
    uint64_t patience = f->patience[write];
    if (!patience)
        return wait_for_op(f, CLOCK_NEVER, op, arg);
    ssize_t r = wait_for_op(f, clock_now() + patience, op, arg);
    return r == -ERESTARTSYS ? -EINTR : r; /* signal(7): with a timeout it is not restarted */
}

/* Fills revents; how many files have some. */
static int poll_scan(struct poll_file *files, size_t count, struct poll_table *pt)
{
    int ready = 0;
    for (size_t i = 0; i < count; i++) {
        if (!files[i].file)
            continue;
        files[i].revents = file_poll(files[i].file, pt) & (files[i].events | POLLERR | POLLHUP);
        ready += files[i].revents != 0;
    }
    return ready;
}

int poll_wait(struct poll_file *files, size_t count, uint64_t deadline)
{
    if (deadline == 0)
        return poll_scan(files, count, NULL);
    struct wait_set s;
    int err = 0, ready;
    wait_set_init(&s);
    struct poll_table *pt = &s.table;
    for (;;) {
        wait_set_arm(&s);
        ready = poll_scan(files, count, pt);
        if (ready || err || s.err)
            break;
        pt = NULL;
        err = wait_set_sleep(&s, deadline);
    }
    if (!ready && s.err)
        ready = s.err;
    else if (!ready && err == -EINTR)
        ready = -EINTR;
    wait_set_fini(&s);
    return ready;
}
