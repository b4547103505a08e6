/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--trace`: decodes system calls, like strace, from the argument types in
 * table.def. Each finished call is one line over the control channel.
 */
#include <asm/unistd.h>
#include <linux/errno.h>

#include "arch/x86_64/features.h"
#include "core/log.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "proc/control.h"
#include "proc/task.h"
#include "sched/thread.h"
#include "syscall/dispatch.h"
#include "vm/uaccess.h"

#define STRING_SHOWN 48
#define LINE_SIZE    512

static uint64_t wanted[SYSCALL_TABLE_SIZE / 64];
static void (*trace_sink)(const char *line); /* NULL: nothing is traced */

bool trace_wanted(uint64_t nr)
{
    return nr < SYSCALL_TABLE_SIZE && wanted[nr / 64] >> nr % 64 & 1;
}

static bool want_name(const char *name, size_t len)
{
    for (uint64_t nr = 0; nr < SYSCALL_TABLE_SIZE; nr++) {
        const char *n = syscall_name(nr);
        if (n && strlen(n) == len && !strncmp(n, name, len)) {
            wanted[nr / 64] |= 1ull << nr % 64;
            return true;
        }
    }
    return false;
}

/* Marks the calls of the set; the names that are none are logged: false. */
static bool want_set(const char *set)
{
    bool known = true;
    if (!strcmp(set, "all")) {
        memset(wanted, 0xff, sizeof wanted);
        return true;
    }
    while (*set) {
        const char *comma = strchr(set, ',');
        size_t len = comma ? (size_t)(comma - set) : strlen(set);
        if (!want_name(set, len)) {
            log_warn("trace: no system call is named %.*s", (int)len, set);
            known = false;
        }
        set += len + (comma ? 1 : 0);
    }
    return known;
}

static void entry_set(void *traced)
{
    cpu_trace_syscalls(traced);
}

static void sink_control(const char *line)
{
    control_send("trace", line);
}

void trace_init(const char *set)
{
    if (!*set)
        return;
    want_set(set);
    trace_sink = sink_control;
    thread_each_cpu(entry_set, wanted);
}

int trace_start(const char *set, void (*sink)(const char *line))
{
    if (trace_sink)
        return -EBUSY;
    if (!want_set(set)) {
        memset(wanted, 0, sizeof wanted);
        return -ENOENT;
    }
    __atomic_store_n(&trace_sink, sink, __ATOMIC_RELEASE);
    thread_each_cpu(entry_set, wanted);
    return 0;
}

void trace_stop(void)
{
    thread_each_cpu(entry_set, NULL);
    memset(wanted, 0, sizeof wanted);
    __atomic_store_n(&trace_sink, NULL, __ATOMIC_RELEASE);
}

static size_t put_string(char *out, size_t n, uint64_t addr)
{
    char text[STRING_SHOWN + 1];
    if (!addr)
        return (size_t)snprintf(out, n, "NULL");
    ssize_t len = string_from_user(text, (struct uptr){addr}, sizeof text);
    if (len == -EFAULT)
        return (size_t)snprintf(out, n, "%#lx", addr);
    return (size_t)snprintf(out, n, "\"%.*s\"%s", STRING_SHOWN, text, len < 0 ? "..." : "");
}

static size_t put_arg(char *out, size_t n, enum sysarg type, uint64_t v)
{
    switch (type) {
    case ARG_fd:
        if ((int)v == -100)
            return (size_t)snprintf(out, n, "AT_FDCWD");
        return (size_t)snprintf(out, n, "%d", (int)v);
    case ARG_int:
        return (size_t)snprintf(out, n, "%d", (int)v);
    case ARG_uint:
        return (size_t)snprintf(out, n, "%u", (unsigned)v);
    case ARG_flags:
        return (size_t)snprintf(out, n, "%#x", (unsigned)v);
    case ARG_mode:
        return (size_t)snprintf(out, n, "%#o", (unsigned)v);
    case ARG_long:
    case ARG_off:
        return (size_t)snprintf(out, n, "%ld", (long)v);
    case ARG_ulong:
    case ARG_size:
        return (size_t)snprintf(out, n, "%lu", v);
    case ARG_path:
    case ARG_str:
        return put_string(out, n, v);
    default:
        return v ? (size_t)snprintf(out, n, "%#lx", v) : (size_t)snprintf(out, n, "NULL");
    }
}

static const char *error_name(long err)
{
    static const char *const names[] = {
        [EPERM] = "EPERM",
        [ENOENT] = "ENOENT",
        [EINTR] = "EINTR",
        [EIO] = "EIO",
        [ENXIO] = "ENXIO",
        [EBADF] = "EBADF",
        [ECHILD] = "ECHILD",
        [EAGAIN] = "EAGAIN",
        [ENOMEM] = "ENOMEM",
        [EACCES] = "EACCES",
        [EFAULT] = "EFAULT",
        [EBUSY] = "EBUSY",
        [EEXIST] = "EEXIST",
        [ENODEV] = "ENODEV",
        [ENOTDIR] = "ENOTDIR",
        [EISDIR] = "EISDIR",
        [EINVAL] = "EINVAL",
        [ENFILE] = "ENFILE",
        [EMFILE] = "EMFILE",
        [ENOTTY] = "ENOTTY",
        [ENOSPC] = "ENOSPC",
        [ESPIPE] = "ESPIPE",
        [EROFS] = "EROFS",
        [EPIPE] = "EPIPE",
        [ERANGE] = "ERANGE",
        [ESRCH] = "ESRCH",
        [ENOSYS] = "ENOSYS",
        [ELOOP] = "ELOOP",
        [ENAMETOOLONG] = "ENAMETOOLONG",
        [ENOTEMPTY] = "ENOTEMPTY",
        [ENODATA] = "ENODATA",
        [EOPNOTSUPP] = "EOPNOTSUPP",
        [ETIMEDOUT] = "ETIMEDOUT",
    };
    return -err < (long)ARRAY_SIZE(names) ? names[-err] : NULL;
}

void trace_call(uint64_t nr, const uint64_t args[6], long result)
{
    char line[LINE_SIZE];
    const struct syscall_row *row = &syscall_rows[nr];
    const char *name = syscall_name(nr);
    size_t len =
        (size_t)snprintf(line, sizeof line, "%d %s(", task_current()->tid, name ? name : "?");
    for (unsigned i = 0; i < 6 && row->arg[i] && len < sizeof line - 96; i++) {
        if (i)
            len += (size_t)snprintf(line + len, sizeof line - len, ", ");
        len += put_arg(line + len, sizeof line - len, row->arg[i], args[i]);
    }
    const char *err = result < 0 && result > -4096 ? error_name(result) : NULL;
    if (err)
        snprintf(line + len, sizeof line - len, ") = -1 %s", err);
    else if (result < 0 && result >= -516 && result <= -512)
        snprintf(line + len, sizeof line - len, ") = ? interrupted by a signal");
    else if (result < -4095 || result > 0xffff)
        snprintf(line + len, sizeof line - len, ") = %#lx", (uint64_t)result);
    else
        snprintf(line + len, sizeof line - len, ") = %ld", result);
    void (*sink)(const char *) = __atomic_load_n(&trace_sink, __ATOMIC_ACQUIRE);
    if (sink) /* it may have ended while the call was made */
        sink(line);
}
