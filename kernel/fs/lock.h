/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File locks: flock(2), open-file-description locks and the process's record locks.
 * They are advisory. An owner is an open file (flock, OFD) or the one process, so
 * record locks of the process conflict only with OFD locks; flock is apart from both.
 */
#pragma once

#include "file/file.h"
#include "fs/seq.h"
#include "lib/list.h"

enum lock_kind { LOCK_WHOLE, LOCK_PROCESS, LOCK_OPEN_FILE }; /* flock; F_SETLK; F_OFD_SETLK */

struct lock {
    enum lock_kind kind;
    int type;            /* F_RDLCK, F_WRLCK, F_UNLCK */
    uint64_t start, end; /* first and last byte; LOCK_END: as far as a file can grow */
    int pid;             /* of who asked */
    /* The rest is filled in here. */
    const struct file *owner; /* NULL: the process */
    struct list link;
};

#define LOCK_END ((uint64_t)INT64_MAX)

/*
 * Sets, changes or (F_UNLCK) removes a lock of f's. With `wait` sleeps until nothing
 * conflicts. -EAGAIN (conflict), -ERESTARTSYS, -ENOLCK (memory is out).
 */
int lock_set(struct file *f, struct lock *want, bool wait);
/* The lock that stands in the way of *want goes there; if none, its type becomes F_UNLCK. */
void lock_test(struct file *f, struct lock *want);
/* The text of /proc/locks. */
int lock_list_text(struct seq *s);
