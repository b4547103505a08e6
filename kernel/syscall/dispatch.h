/* SPDX-License-Identifier: Apache-2.0 */
/* The table made from table.def: names, argument types, functions. */
#pragma once

#include "arch/x86_64/percpu.h" /* SYSCALL_TABLE_SIZE */
#include "lib/types.h"

enum sysarg {
    ARG_NONE,
    ARG_fd,
    ARG_int,
    ARG_uint,
    ARG_flags,
    ARG_mode,
    ARG_long,
    ARG_ulong,
    ARG_size,
    ARG_off,
    ARG_uptr,
    ARG_path,
    ARG_str,
};

struct syscall_row {
    const char *name; /* NULL: nobody implements this number */
    long (*fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    uint8_t arg[6]; /* enum sysarg */
};

extern const struct syscall_row syscall_rows[SYSCALL_TABLE_SIZE];

/* Name of a system call that Linux has, implemented here or not; NULL for unknown numbers. */
const char *syscall_name(uint64_t nr);

struct seq;
/* A line `NAME COUNT` for each call that was made since the start; a number where it has no name.
 */
void syscall_counts(struct seq *s);

/* Starts decoding: `set` is "all" or a comma list of names; "" does nothing. Unknown names are
 * logged. Sleeps, as the next two do. */
void trace_init(const char *set);
/*
 * The same later, each line to `sink`, which any thread of the program calls and must not sleep.
 * -EBUSY: it goes on already; -ENOENT: a name is unknown.
 */
int trace_start(const char *set, void (*sink)(const char *line));
void trace_stop(void);
bool trace_wanted(uint64_t nr);
/* Sends one decoded call. */
void trace_call(uint64_t nr, const uint64_t args[6], long result);
