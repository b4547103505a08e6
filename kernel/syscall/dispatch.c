/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call tables, made from table.def: `syscall_table` for the fast entry
 * (functions that copy the whole frame are reached through sys_full_*), and
 * `syscall_rows` for tracing. Arguments are registers; a function's C types
 * (int, struct uptr, ...) are passed the same way, so no stub stands between.
 */
#include "syscall/dispatch.h"

#include <linux/errno.h>

#include "arch/x86_64/trap.h"
#include "arch/x86_64/upcalls.h"
#include "fs/seq.h"
#include "lib/fmt.h"
#include "proc/control.h"
#include "proc/task.h"
#include "syscall/syscalls.h"

typedef long (*syscall_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* Slots for numbers nobody answers. */
static long syscall_missing(void);
long syscall_unknown(uint64_t nr);

#define FULL(name) long sys_full_##name(void);
FULL(clone)
FULL(clone3)
FULL(fork)
FULL(vfork)
FULL(execve)
FULL(execveat)
FULL(rt_sigreturn)
#undef FULL

#define SYS0(nr, name, ...)  [nr] = (syscall_fn)(void *)sys_##name,
#define SYS1                 SYS0
#define SYS2                 SYS0
#define SYS3                 SYS0
#define SYS4                 SYS0
#define SYS5                 SYS0
#define SYS6                 SYS0
#define SYSF0(nr, name, ...) [nr] = (syscall_fn)(void *)sys_full_##name,
#define SYSF2                SYSF0
#define SYSF3                SYSF0
#define SYSF5                SYSF0
extern const syscall_fn syscall_table[SYSCALL_TABLE_SIZE];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const syscall_fn syscall_table[SYSCALL_TABLE_SIZE] = {
    [0 ... SYSCALL_TABLE_SIZE - 1] = (syscall_fn)(void *)syscall_missing,
#include "syscall/table.def"
};
#pragma GCC diagnostic pop
#undef SYS0
#undef SYS1
#undef SYS2
#undef SYS3
#undef SYS4
#undef SYS5
#undef SYS6
#undef SYSF0
#undef SYSF2
#undef SYSF3
#undef SYSF5

#define ROW(nr, name, ...)                           [nr] = {#name, (syscall_fn)(void *)sys_##name, {__VA_ARGS__}},
#define SYS0(nr, name, note)                         ROW(nr, name, 0)
#define SYS1(nr, name, note, t1, a1)                 ROW(nr, name, ARG_##t1)
#define SYS2(nr, name, note, t1, a1, t2, a2)         ROW(nr, name, ARG_##t1, ARG_##t2)
#define SYS3(nr, name, note, t1, a1, t2, a2, t3, a3) ROW(nr, name, ARG_##t1, ARG_##t2, ARG_##t3)
#define SYS4(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4)                                       \
    ROW(nr, name, ARG_##t1, ARG_##t2, ARG_##t3, ARG_##t4)
#define SYS5(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                               \
    ROW(nr, name, ARG_##t1, ARG_##t2, ARG_##t3, ARG_##t4, ARG_##t5)
#define SYS6(nr, name, note, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                       \
    ROW(nr, name, ARG_##t1, ARG_##t2, ARG_##t3, ARG_##t4, ARG_##t5, ARG_##t6)
#define SYSF0 SYS0
#define SYSF2 SYS2
#define SYSF3 SYS3
#define SYSF5 SYS5
const struct syscall_row syscall_rows[SYSCALL_TABLE_SIZE] = {
#include "syscall/table.def"
};

/* Reports each missing call once. */
static void report_missing(uint64_t nr)
{
    static uint64_t reported[SYSCALL_TABLE_SIZE / 64];
    char text[32];
    if (nr >= SYSCALL_TABLE_SIZE)
        return;
    uint64_t bit = 1ull << nr % 64;
    if (__atomic_fetch_or(&reported[nr / 64], bit, __ATOMIC_RELAXED) & bit)
        return;
    const char *name = syscall_name(nr);
    snprintf(text, sizeof text, "system call %lu", nr);
    control_send("unsupported", name ? name : text);
}

static long syscall_missing(void)
{
    report_missing(task_frame(task_current())->orig_rax);
    return -ENOSYS;
}

long syscall_unknown(uint64_t nr)
{
    report_missing(nr);
    return -ENOSYS;
}

/* The traced entry: every register is in the frame. */
long syscall_dispatch(struct trap_frame *f)
{
    uint64_t nr = (uint32_t)f->orig_rax;
    const uint64_t args[6] = {f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9};
    const struct syscall_row *row = nr < SYSCALL_TABLE_SIZE ? &syscall_rows[nr] : NULL;
    bool traced = trace_wanted(nr);
    long r = -ENOSYS;
    if (row)
        percpu_count_call(nr);
    if (row && row->fn)
        r = row->fn(args[0], args[1], args[2], args[3], args[4], args[5]);
    else
        report_missing(nr);
    if (traced)
        trace_call(nr, args, r);
    return r;
}

void syscall_counts(struct seq *s)
{
    for (uint64_t nr = 0; nr < SYSCALL_TABLE_SIZE; nr++) {
        uint64_t n = 0;
        for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
            n += __atomic_load_n(&percpu_of(cpu)->calls[nr], __ATOMIC_RELAXED);
        const char *name = syscall_name(nr);
        if (n && name)
            seq_printf(s, "%s %lu\n", name, n);
        else if (n)
            seq_printf(s, "%lu %lu\n", nr, n);
    }
}
