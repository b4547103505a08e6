/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: clone, exit, rseq; and the calls that would make a second process. */
#include <linux/errno.h>
#include <linux/sched.h>

#include "arch/x86_64/fpu.h"
#include "arch/x86_64/layout.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "proc/control.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "proc/restart.h"
#include "proc/rseq.h"
#include "proc/task.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

#define THREAD_FLAGS       (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_DETACHED_OLD 0x400000 /* musl sets it; ignored since Linux 2.6.2 */
#define ACCEPTED_FLAGS                                                                             \
    (THREAD_FLAGS | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |    \
     CLONE_CHILD_SETTID | CLONE_DETACHED_OLD | CLONE_IO | CLONE_PTRACE | CLONE_UNTRACED | CSIGNAL)

struct thread_spec {
    uint64_t flags, stack, tls, parent_tid, child_tid;
};

/*
 * There is one process and no second. -EPERM, because programs take it as final (Python:
 * PermissionError; posix_spawn(3), system(3), popen(3): an error at once); with -EAGAIN bash tries
 * again for 15 seconds. The user is told about the first one.
 */
static long refuse_process(const char *name)
{
    static bool told;
    char text[64];
    if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED)) {
        snprintf(text, sizeof text, "%s %#lx", name, task_frame(task_current())->rip);
        control_send("refused", text);
    }
    return -EPERM;
}

static int put_tid(uint64_t addr, int tid)
{
    return copy_to_user((struct uptr){addr}, &tid, sizeof tid);
}

static long thread_spawn(const struct thread_spec *s)
{
    struct task *self = task_current(), *t;
    struct trap_frame f = *task_frame(self);
    if (s->flags & ~(uint64_t)ACCEPTED_FLAGS || (s->flags & THREAD_FLAGS) != THREAD_FLAGS)
        return -EINVAL;
    if (s->flags & CLONE_SETTLS && s->tls >= USER_END)
        return -EPERM;
    f.rax = 0;
    f.orig_rax = UINT64_MAX;
    if (s->stack)
        f.rsp = s->stack;
    int err = task_create(&t, &f, self->thread->name);
    if (err)
        return err;
    struct context *c = &t->thread->context;
    irqflags_t flags = irq_save();
    memset(c->fpu, 0, fpu_area_size);
    fpu_save(c->fpu);
    irq_restore(flags);
    c->fs_base = s->flags & CLONE_SETTLS ? s->tls : context_get_fs(&self->thread->context);
    c->gs_base = context_get_gs(&self->thread->context);
    t->sigmask = self->sigmask;
    t->thread->affinity = self->thread->affinity;
    t->sched_policy = self->sched_policy;
    t->nice = self->nice;
    if (s->flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = s->child_tid;
    if (s->flags & CLONE_PARENT_SETTID)
        put_tid(s->parent_tid, t->tid); /* as Linux: a bad address is not an error */
    if (s->flags & CLONE_CHILD_SETTID)
        put_tid(s->child_tid, t->tid);
    int tid = t->tid;
    task_start(t);
    return tid;
}

long sys_clone(unsigned flags, struct uptr stack, struct uptr parent_tid, struct uptr child_tid,
               unsigned long tls)
{
    struct thread_spec s = {flags, stack.addr, tls, parent_tid.addr, child_tid.addr};
    if (!(flags & CLONE_THREAD))
        return refuse_process(flags & CLONE_VFORK ? "vfork" : "fork");
    return thread_spawn(&s);
}

long sys_clone3(struct uptr args, unsigned long size)
{
    struct clone_args a;
    memset(&a, 0, sizeof a);
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (copy_from_user(&a, args, MIN(size, sizeof a)))
        return -EFAULT;
    if (!(a.flags & CLONE_THREAD))
        return -ENOSYS; /* glibc then tries clone, which says why */
    if (a.set_tid_size || a.exit_signal || a.flags & CLONE_PIDFD || (a.stack && !a.stack_size))
        return -EINVAL;
    struct thread_spec s = {a.flags, a.stack ? a.stack + a.stack_size : 0, a.tls, a.parent_tid,
                            a.child_tid};
    return thread_spawn(&s);
}

long sys_fork(void)
{
    return refuse_process("fork");
}

long sys_vfork(void)
{
    return refuse_process("vfork");
}

long sys_execve(struct uptr name, struct uptr argv, struct uptr envp)
{
    (void)name, (void)argv, (void)envp;
    return refuse_process("execve");
}

long sys_execveat(int fd, struct uptr name, struct uptr argv, struct uptr envp, unsigned flags)
{
    (void)fd, (void)flags;
    return sys_execve(name, argv, envp);
}

long sys_wait4(int pid, struct uptr status, unsigned options, struct uptr usage)
{
    (void)pid, (void)status, (void)options, (void)usage;
    return -ECHILD;
}

long sys_waitid(int type, int id, struct uptr info, unsigned options, struct uptr usage)
{
    (void)type, (void)id, (void)info, (void)options, (void)usage;
    return -ECHILD;
}

long sys_exit(int status)
{
    task_exit(status);
}

long sys_exit_group(int status)
{
    process_exit(status);
}

long sys_gettid(void)
{
    return task_current()->tid;
}

long sys_set_tid_address(struct uptr addr)
{
    task_current()->clear_child_tid = addr.addr;
    return task_current()->tid;
}

long sys_restart_syscall(void)
{
    struct restart *r = &task_current()->restart;
    long (*fn)(struct restart *) = r->fn;
    r->fn = NULL;
    if (!fn)
        return -EINTR;
    struct restart copy = *r;
    long result = fn(&copy);
    if (result == -ERESTART_RESTARTBLOCK) {
        copy.fn = fn;
        *r = copy;
    }
    return result;
}

long sys_getcpu(struct uptr cpu, struct uptr node, struct uptr unused)
{
    uint32_t id = percpu()->id, zero = 0;
    (void)unused;
    if (!uptr_null(cpu) && copy_to_user(cpu, &id, sizeof id))
        return -EFAULT;
    return uptr_null(node) ? 0 : copy_to_user(node, &zero, sizeof zero);
}

long sys_rseq(struct uptr area, unsigned len, int flags, unsigned signature)
{
    return rseq_register(area.addr, len, flags, signature);
}
