/* SPDX-License-Identifier: Apache-2.0 */
/* The one process: what all its threads share. */
#pragma once

#include "lib/types.h"
#include "sched/mutex.h"

struct fd_table;   /* file/fdtable.h */
struct fs_context; /* fs/path.h: root, working directory, umask */

struct process {
    struct fd_table *fds;
    struct fs_context *fs;
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
};

extern struct process process;
