/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one process: what all its threads share. Lock: process.lock (a spinlock,
 * interrupts off) for tasks, limits and ids.
 */
#pragma once

#include <linux/resource.h>

#include "core/manifest.h"
#include "core/spinlock.h"
#include "proc/signal.h"
#include "sched/thread.h"
#include "sched/waitq.h"

struct fd_table;   /* file/fdtable.h */
struct fs_context; /* fs/path.h: root, working directory, umask, credentials */
struct file;

#define PROCESS_PID  2 /* not 1: programs take that for a container's init */
#define PROCESS_PPID 1 /* daemons take a parent 1 for "already in the background" */
#define GROUPS_MAX   65536

struct limit {
    uint64_t soft, hard;
};

/* capabilities(7), kept for all threads together. What they allow depends on euid 0 alone. */
struct capabilities {
    uint64_t effective, permitted, inheritable, bounding, ambient;
    bool keep; /* PR_SET_KEEPCAPS */
    int securebits;
    bool was_root, was_euid_root; /* at the last change of ids */
};

struct process {
    struct fd_table *fds;
    struct fs_context *fs;
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    uint32_t group_count;
    uint32_t *groups; /* kmalloc'ed */
    struct spinlock lock;
    struct list tasks;
    unsigned task_count;
    struct waitq task_gone; /* woken at each thread's end */
    int next_tid;
    bool exiting;
    bool keep_threads; /* at the end they stand still instead, for a core file */
    unsigned parked;   /* threads that do */
    struct limit limits[RLIM_NLIMITS];
    struct signal_state signals;
    uint64_t dead_cpu_time; /* of threads that ended, ns */
    uint64_t dead_switches, dead_preemptions;
    struct io_count dead_io;
    uint64_t start_time; /* clock_now() */
    const struct manifest *manifest;
    struct file *exe;
    bool dumpable, no_new_privs, subreaper;
    struct capabilities caps;
    unsigned personality;
    int death_signal;
    char hostname[65], domainname[65];
    /* What exec laid out, for /proc/self. */
    uint64_t arg_start, arg_end, env_start, env_end, stack_top;
    uint64_t code_start, code_end, data_start, data_end;
    uint64_t auxv[64];
    unsigned auxv_count; /* words */
};

extern struct process process;

/* Fields, limits and ids from the manifest; the descriptor table and file system come first. */
int process_init(const struct manifest *m);
/* After a change of ids: fsuid, fsgid and groups go to the file system's credentials, and the
 * capabilities follow as capabilities(7) says. */
void process_update_cred(void);
/* True when the process may do what needs a capability: euid 0. */
bool process_privileged(void);
/* Tells whoever enforces a limit what process.limits says now. */
void process_apply_limit(unsigned resource);
/* CPU time of all threads, ns. */
uint64_t process_cpu_time(void);
/* Of all threads, those that ended included: times one left a CPU by itself, and was made to. */
void process_switches(uint64_t *own, uint64_t *forced);
/* What all threads, those that ended included, have read and written. */
void process_io(struct io_count *out);
/* Threads that run or could. */
unsigned process_running(void);
