/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor table: descriptor -> struct file, with close-on-exec bits.
 * The lowest free descriptor is found in a bitmap. Lock: fd_table.lock, a leaf;
 * files are put after it is released.
 */
#pragma once

#include "core/spinlock.h"
#include "file/file.h"

#define FD_TABLE_MAX 1048576u /* largest limit (RLIMIT_NOFILE) */

struct fd_table {
    struct spinlock lock;
    unsigned cap;       /* slots allocated, multiple of 64 */
    unsigned limit;     /* RLIMIT_NOFILE: descriptors are below it */
    unsigned first;     /* no descriptor below it is free */
    struct file **file; /* NULL: free or being opened */
    uint64_t *used;     /* bit: taken */
    uint64_t *cloexec;
};

int fd_table_init(struct fd_table *t, unsigned limit);
/* Closes everything and frees the arrays. */
void fd_table_fini(struct fd_table *t);
void fd_table_set_limit(struct fd_table *t, unsigned limit);

/* The file, referenced; -EBADF, also for O_PATH descriptors. */
int fd_get(struct fd_table *t, int fd, struct file **out);
/* The same, O_PATH descriptors included. */
int fd_get_any(struct fd_table *t, int fd, struct file **out);

/* The lowest free descriptor >= min; takes over the caller's reference on success. -EMFILE,
 * -ENOMEM. */
int fd_install(struct fd_table *t, struct file *f, unsigned min, bool cloexec);
/*
 * Two steps where the descriptor must be known (or refused) before the object
 * exists: fd_reserve() gives a number, fd_publish() fills it, fd_cancel() frees it.
 */
int fd_reserve(struct fd_table *t, unsigned min, bool cloexec);
void fd_publish(struct fd_table *t, int fd, struct file *f);
void fd_cancel(struct fd_table *t, int fd);
/* dup2/dup3: puts f (own reference taken) at `fd`, closing what was there. -EBADF, -EBUSY, -ENOMEM.
 */
int fd_replace(struct fd_table *t, int fd, struct file *f, bool cloexec);
/* -EBADF. The result of the file's last release is not reported. */
int fd_close(struct fd_table *t, int fd);
/* close_range(2): closes, or only marks close-on-exec. */
int fd_close_range(struct fd_table *t, unsigned first, unsigned last, bool mark);
/* At exec. */
void fd_close_on_exec(struct fd_table *t);
/* F_GETFD / F_SETFD: 0/1 or -EBADF. */
int fd_cloexec_get(struct fd_table *t, int fd);
int fd_cloexec_set(struct fd_table *t, int fd, bool on);
/* The first open descriptor >= fd, or -1. For /proc/self/fd. */
int fd_next(struct fd_table *t, int fd);
