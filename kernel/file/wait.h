/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE wait loop: the only place where a thread sleeps for a file to become
 * ready. An operation answers -EAGAIN; file_wait() collects the queues that the
 * file's poll names, sleeps, and tries again. poll, select and epoll sleep on
 * the same set.
 */
#pragma once

#include <linux/errno.h>

#include "file/file.h"
#include "file/poll.h"
#include "sched/clock.h"

/* Results that the signal code turns into a restarted call or -EINTR; never seen by the program. */
#define ERESTARTSYS    512 /* restart if the handler says SA_RESTART */
#define ERESTARTNOHAND 514 /* restart only if no handler ran */

typedef ssize_t wait_op_fn(struct file *f, void *arg);

/* What file_wait() does when there is nothing yet and the file may wait. */
ssize_t file_wait_more(struct file *f, bool write, wait_op_fn *op, void *arg);

/*
 * Runs op, a read or a write, until it answers something else than -EAGAIN. Returns that;
 * -EAGAIN at once when f is O_NONBLOCK, and when f->patience is over; -ERESTARTSYS (with
 * a patience -EINTR) when a signal came; -ENOMEM.
 */
static inline ssize_t file_wait(struct file *f, bool write, wait_op_fn *op, void *arg)
{
    ssize_t r = op(f, arg);
    return LIKELY(r != -EAGAIN) || f->flags & O_NONBLOCK ? r : file_wait_more(f, write, op, arg);
}

#define WAIT_INLINE 8

struct wait_entry {
    struct waiter waiter;
    struct wait_set *set;
};

struct wait_chunk;

/* The queues one thread waits on. */
struct wait_set {
    struct poll_table table;
    struct waitq self; /* where the thread sleeps */
    volatile bool woken;
    int err; /* -ENOMEM: a queue could not be added */
    unsigned count;
    struct wait_entry inline_entry[WAIT_INLINE];
    struct wait_chunk *chunks;
};

/* Set by net/: a thread is about to sleep for files. NULL: nobody cares. */
extern void (*wait_sleep_hook)(void);

void wait_set_init(struct wait_set *s);
/* Leaves all queues. */
void wait_set_fini(struct wait_set *s);
/* Forgets wake-ups seen so far; call before looking at the condition. */
void wait_set_arm(struct wait_set *s);
/* Sleeps until a queue is woken after wait_set_arm(). 0, -ETIMEDOUT, -EINTR. */
int wait_set_sleep(struct wait_set *s, uint64_t deadline);

struct poll_file {
    struct file *file; /* NULL: ignored */
    uint32_t events;   /* POLL* wanted; ERR and HUP always are */
    uint32_t revents;
};

/* How many are ready; 0 at the deadline (0: do not sleep); -EINTR, -ENOMEM. */
int poll_wait(struct poll_file *files, size_t count, uint64_t deadline);
/* The file's poll bits now. */
uint32_t file_poll(struct file *f, struct poll_table *pt);
