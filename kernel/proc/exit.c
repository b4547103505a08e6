/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the program: see exit.h. */
#include "proc/exit.h"

#include <linux/fcntl.h>

#include "dev/crashlog.h"
#include "dev/power.h"
#include "file/fdtable.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/vnode.h"
#include "lib/fmt.h"
#include "mem/page.h"
#include "net/finish.h"
#include "ops/control.h"
#include "proc/control.h"
#include "proc/core.h"
#include "proc/crash.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "vm/fault.h"
#include "vm/map.h"

#define STOP_WAIT  (200 * 1000000ull) /* ns the other threads get to leave user mode */
#define REASON_MAX 320

/* Every other thread ends at its next step to user mode. */
static void stop_others(void)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    LIST_FOR_EACH(l, &process.tasks)
    if (LIST_ENTRY(l, struct task, link) != task_current())
        thread_interrupt(LIST_ENTRY(l, struct task, link)->thread);
    spin_unlock_irq(&process.lock, flags);
    uint64_t deadline = clock_now() + STOP_WAIT;
    unsigned rest = task_current() ? 1 : 0;
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        waitq_add(&process.task_gone, &w);
        if (process.task_count - process.parked <= rest || thread_block(deadline, false))
            break;
    }
    waitq_remove(&w);
}

/* A deleted file that stays open would leave its file system with something to finish. */
static void close_files(void)
{
    for (int fd = fd_next(process.fds, 0); fd >= 0; fd = fd_next(process.fds, fd + 1)) {
        struct file *f;
        if (fd_get_any(process.fds, fd, &f))
            continue;
        bool close = f->vnode && (vnode_is_regular(f->vnode) || vnode_is_dir(f->vnode));
        file_put(f);
        if (close)
            fd_close(process.fds, fd);
    }
}

static _Noreturn void machine_end(int status)
{
    close_files();
    net_finish(process.fds);
    mount_end_all();
    control_exit(status);
    power_off(OPS_DEBUG_EXIT_DONE);
}

void process_exit(int status)
{
    if (__atomic_exchange_n(&process.exiting, true, __ATOMIC_ACQ_REL))
        task_exit(0); /* another thread was first */
    stop_others();
    if (status & 0xff) {
        char why[40];
        snprintf(why, sizeof why, "the program ended with %d", status & 0xff);
        crashlog_write(OPS_LOG_EXIT, (unsigned)status & 0xff, why);
    }
    machine_end(status & 0xff);
}

/* Signals that make Linux write a core file: a report is worth its lines. */
static bool signal_is_crash(int sig)
{
    const uint64_t crashes = SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) |
                             SIGNAL_BIT(SIGABRT) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) |
                             SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGSYS);
    return SIGNAL_BIT(sig) & crashes;
}

/* `touched`: the address of a fault, else NULL. */
static _Noreturn void killed(int sig, const char *why, const uint64_t *touched)
{
    bool crash = signal_is_crash(sig) && task_current();
    if (crash && process.manifest->core)
        process.keep_threads = true;
    if (__atomic_exchange_n(&process.exiting, true, __ATOMIC_ACQ_REL))
        task_exit(0);
    stop_others();
    if (crash)
        crash_report(task_frame(task_current()), touched);
    if (crash && process.keep_threads)
        core_write(sig);
    control_killed(sig, why ? why : signal_name(sig));
    crashlog_write(OPS_LOG_SIGNAL, (unsigned)sig, why ? why : signal_name(sig));
    machine_end(128 + sig);
}

void process_killed(int sig, const char *why)
{
    killed(sig, why, NULL);
}

/* "/bin/app+0x1136", or what else is known of a program address. */
static void describe_address(char *buf, size_t n, uint64_t addr)
{
    struct vma v;
    char path[128];
    uint64_t dev, ino;
    if (!vm_lookup(addr, &v))
        snprintf(buf, n, "nothing is mapped there");
    else if (v.object && !v.object->ops->describe(v.object, path, sizeof path, &dev, &ino))
        snprintf(buf, n, "%s+%#lx", path, addr - v.start + (v.pgoff << PAGE_SHIFT));
    else
        snprintf(buf, n, "%s",
                 v.flags & VMA_STACK  ? "the stack"
                 : v.flags & VMA_HEAP ? "the heap"
                                      : "anonymous memory");
}

static const char *access_of(const struct trap_frame *f)
{
    return f->error & 16 ? "jump to" : f->error & 2 ? "write to" : "read of";
}

/* How much there was, who has it, and what to try. */
static void describe_shortage(char *buf, size_t n)
{
    size_t total = page_count_total() >> 8, more = 16;
    while (more <= total + total / 8) /* the kernel's own part is not in `total` */
        more *= 2;
    snprintf(buf, n,
             "out of memory: of %zu MiB the program has %zu MiB in use, %zu MiB are free; "
             "try -m %zuM",
             total, vm.resident >> 8, page_count_free() >> 8, more);
}

void process_killed_by_fault(int sig, int code, uint64_t addr, const struct trap_frame *f)
{
    char why[REASON_MAX], at[160], from[160];
    describe_address(from, sizeof from, f->rip);
    describe_address(at, sizeof at, addr);
    if (thread_current()->fault == FAULT_OOM && sig == SIGKILL)
        describe_shortage(why, sizeof why);
    else if (sig == SIGSEGV && f->vector == 14)
        snprintf(why, sizeof why, "%s %#lx (%s%s) at %#lx (%s)", access_of(f), addr, at,
                 code == SEGV_ACCERR ? ", not allowed" : "", f->rip, from);
    else if (sig == SIGBUS)
        snprintf(why, sizeof why, "%s %#lx (%s) beyond the end of the file at %#lx (%s)",
                 access_of(f), addr, at, f->rip, from);
    else
        snprintf(why, sizeof why, "at %#lx (%s)", f->rip, from);
    killed(sig, why, f->vector == 14 ? &addr : NULL);
}
