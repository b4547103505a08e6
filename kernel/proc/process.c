/* SPDX-License-Identifier: Apache-2.0 */
/* The process and its threads: see process.h and task.h. */
#include "proc/process.h"

#include <linux/capability.h>
#include <linux/errno.h>

#include "arch/x86_64/features.h"
#include "arch/x86_64/fpu.h"
#include "file/fdtable.h"
#include "fs/path.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "net/socket.h"
#include "proc/exit.h"
#include "proc/file_owner.h"
#include "proc/futex.h"
#include "proc/task.h"
#include "vm/vma.h"

#define NOFILE_SOFT 65536 /* nobody else needs some: servers take what clients bring */
#define NOFILE_HARD 1048576
#define STACK_SOFT  (8ull << 20)
#define TASKS_MAX   32000
#define TIMER_SLACK 50000

struct process process = {.next_tid = PROCESS_PID};

static struct fd_table fd_table;
static struct fs_context fs_context;

static void limits_init(void)
{
    for (unsigned i = 0; i < RLIM_NLIMITS; i++)
        process.limits[i] = (struct limit){UINT64_MAX, UINT64_MAX};
    process.limits[RLIMIT_STACK].soft = STACK_SOFT;
    process.limits[RLIMIT_NOFILE] = (struct limit){NOFILE_SOFT, NOFILE_HARD};
    process.limits[RLIMIT_CORE].soft = 0;
    process.limits[RLIMIT_NPROC] = (struct limit){TASKS_MAX, TASKS_MAX};
    process.limits[RLIMIT_MEMLOCK] = (struct limit){8u << 20, 8u << 20};
    process.limits[RLIMIT_SIGPENDING] = (struct limit){16384, 16384};
    process.limits[RLIMIT_MSGQUEUE] = (struct limit){819200, 819200};
    process.limits[RLIMIT_NICE] = (struct limit){0, 0};
    process.limits[RLIMIT_RTPRIO] = (struct limit){0, 0};
}

static void copy_name(char *dst, size_t n, const char *src)
{
    size_t len = strnlen(src, n - 1);
    memcpy(dst, src, len);
    dst[len] = '\0';
}

static void broken_pipe(void)
{
    signal_self(SIGPIPE);
}

static void limit_exceeded(void)
{
    signal_self(SIGXFSZ);
}

static struct credentials socket_credentials(void)
{
    return (struct credentials){PROCESS_PID, process.euid, process.egid};
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
    return id == a || id == b || id == c;
}

/* unix(7), SCM_CREDENTIALS. */
static int socket_may_claim(const struct credentials *c)
{
    if (c->pid != PROCESS_PID)
        return process_privileged() ? -ESRCH : -EPERM;
    if (process_privileged())
        return 0;
    return one_of(c->uid, process.uid, process.euid, process.suid) &&
                   one_of(c->gid, process.gid, process.egid, process.sgid)
               ? 0
               : -EPERM;
}

/* The network's name counts where nobody has chosen another. */
static void host_named(const char *name)
{
    if (!strcmp(process.hostname, OPS_HOSTNAME))
        copy_name(process.hostname, sizeof process.hostname, name);
}

int process_init(const struct manifest *m)
{
    list_init(&process.tasks);
    waitq_init(&process.task_gone);
    waitq_init(&process.signals.arrived);
    list_init(&process.signals.pending.info);
    limits_init();
    process.manifest = m;
    file_broken_pipe = broken_pipe;
    file_owner_signal = file_owner_notify;
    vnode_limit_exceeded = limit_exceeded;
    socket_process = (struct socket_process){.fds = &fd_table,
                                             .fs = &fs_context,
                                             .privileged = process_privileged,
                                             .credentials = socket_credentials,
                                             .may_claim = socket_may_claim,
                                             .host_named = host_named};
    process.dumpable = true;
    process.uid = process.euid = process.suid = process.fsuid = (uint32_t)m->uid;
    process.gid = process.egid = process.sgid = process.fsgid = (uint32_t)m->gid;
    process.caps.bounding = (2ull << CAP_LAST_CAP) - 1;
    process.caps.permitted = process.uid ? 0 : process.caps.bounding;
    process.start_time = clock_now();
    copy_name(process.hostname, sizeof process.hostname, m->hostname);
    copy_name(process.domainname, sizeof process.domainname, "(none)");
    int err = fd_table_init(&fd_table, NOFILE_SOFT);
    if (!err)
        err = fs_context_init(&fs_context);
    process.fds = &fd_table;
    process.fs = &fs_context;
    process_update_cred();
    return err;
}

static void capabilities_update(struct capabilities *c)
{
    bool euid_root = !process.euid, root = euid_root || !process.uid || !process.suid;
    if (c->was_root && !root && !c->keep)
        c->permitted = c->ambient = 0;
    if (euid_root != c->was_euid_root)
        c->effective = euid_root ? c->permitted : 0;
    c->effective &= c->permitted;
    c->was_root = root;
    c->was_euid_root = euid_root;
}

void process_update_cred(void)
{
    capabilities_update(&process.caps);
    struct cred *c = &fs_context.cred;
    c->uid = process.fsuid;
    c->gid = process.fsgid;
    c->group_count = process.group_count;
    c->groups = process.groups;
    vnode_writer_privileged = process.fsuid == 0;
}

bool process_privileged(void)
{
    return process.euid == 0;
}

uint64_t process_cpu_time(void)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    uint64_t sum = process.dead_cpu_time;
    LIST_FOR_EACH(l, &process.tasks)
    sum += thread_cpu_time(LIST_ENTRY(l, struct task, link)->thread);
    spin_unlock_irq(&process.lock, flags);
    return sum;
}

void process_switches(uint64_t *own, uint64_t *forced)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    *own = process.dead_switches;
    *forced = process.dead_preemptions;
    LIST_FOR_EACH(l, &process.tasks)
    {
        const struct thread *t = LIST_ENTRY(l, struct task, link)->thread;
        *own += t->switches;
        *forced += t->preemptions;
    }
    spin_unlock_irq(&process.lock, flags);
}

static void io_add(struct io_count *sum, const struct io_count *io)
{
    sum->bytes_read += io->bytes_read;
    sum->bytes_written += io->bytes_written;
    sum->reads += io->reads;
    sum->writes += io->writes;
}

void process_io(struct io_count *out)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    *out = process.dead_io;
    LIST_FOR_EACH(l, &process.tasks)
    io_add(out, &LIST_ENTRY(l, struct task, link)->thread->io);
    spin_unlock_irq(&process.lock, flags);
}

unsigned process_running(void)
{
    unsigned n = 0;
    irqflags_t flags = spin_lock_irq(&process.lock);
    LIST_FOR_EACH(l, &process.tasks)
    n += LIST_ENTRY(l, struct task, link)->thread->state != THREAD_BLOCKED;
    spin_unlock_irq(&process.lock, flags);
    return n;
}

static void task_main(void *arg)
{
    trap_return(task_frame(arg));
}

int task_create(struct task **out, const struct trap_frame *frame, const char *name)
{
    struct task *t = kzalloc(sizeof *t);
    void *fpu = kmalloc(fpu_area_size);
    struct thread *th;
    int err = t && fpu ? thread_create(&th, name, task_main, t) : -ENOMEM;
    if (err) {
        kfree(fpu);
        kfree(t);
        return err;
    }
    uint64_t top = th->context.stack_top;
    context_init(&th->context, ALIGN_DOWN(top - FRAME_SIZE, 16), task_main, t);
    th->context.stack_top = top;
    th->context.fpu = fpu;
    fpu_area_init(fpu);
    th->task = t;
    t->thread = th;
    t->timer_slack = TIMER_SLACK;
    list_init(&t->pending.info);
    *task_frame(t) = *frame;

    irqflags_t flags = spin_lock_irq(&process.lock);
    bool room = process.task_count < process.limits[RLIMIT_NPROC].soft;
    if (room) {
        t->tid = process.next_tid++;
        list_add_tail(&process.tasks, &t->link);
        process.task_count++;
    }
    spin_unlock_irq(&process.lock, flags);
    if (!room) {
        list_init(&t->link);
        t->tid = 0;
        task_destroy(t);
        return -EAGAIN;
    }
    *out = t;
    return 0;
}

static void task_unlink(struct task *t)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    if (t->tid) {
        list_remove(&t->link);
        process.task_count--;
    }
    process.dead_cpu_time += thread_cpu_time(t->thread);
    process.dead_switches += t->thread->switches;
    process.dead_preemptions += t->thread->preemptions;
    io_add(&process.dead_io, &t->thread->io);
    spin_unlock_irq(&process.lock, flags);
}

void task_start(struct task *t)
{
    thread_start(t->thread);
}

void task_destroy(struct task *t)
{
    task_unlink(t);
    thread_discard(t->thread);
    kfree(t);
}

void task_exit(int status)
{
    struct task *t = task_current();
    if (!process.exiting)
        futex_thread_exit(t);
    irqflags_t flags = spin_lock_irq(&process.lock);
    bool last = process.task_count == 1 && !process.exiting;
    spin_unlock_irq(&process.lock, flags);
    if (last)
        process_exit(status);
    task_unlink(t);
    signal_drop(t);
    t->thread->task = NULL;
    kfree(t);
    waitq_wake(&process.task_gone, 0);
    thread_exit();
}

void task_park(void)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    process.parked++;
    spin_unlock_irq(&process.lock, flags);
    waitq_wake(&process.task_gone, 0);
    for (;;)
        thread_block(CLOCK_NEVER, false);
}

struct task *task_find_locked(int tid)
{
    LIST_FOR_EACH(l, &process.tasks)
    if (LIST_ENTRY(l, struct task, link)->tid == tid)
        return LIST_ENTRY(l, struct task, link);
    return NULL;
}

void process_apply_limit(unsigned resource)
{
    uint64_t soft = process.limits[resource].soft;
    if (resource == RLIMIT_NOFILE)
        fd_table_set_limit(process.fds, (unsigned)MIN(soft, FD_TABLE_MAX));
    else if (resource == RLIMIT_STACK)
        vm.stack_limit = soft;
    else if (resource == RLIMIT_AS)
        vm.as_limit = soft;
    else if (resource == RLIMIT_DATA)
        vm.data_limit = soft;
    else if (resource == RLIMIT_FSIZE)
        __atomic_store_n(&vnode_size_limit, soft, __ATOMIC_RELAXED);
}
