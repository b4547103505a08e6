/* SPDX-License-Identifier: Apache-2.0 */
/* Signal system calls: decoding around proc/signal.h. */
#include <linux/errno.h>
#include <linux/signal.h>
#include <linux/signalfd.h>
#include <linux/time_types.h>

#include "file/wait.h"
#include "lib/string.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/signalfd.h"
#include "proc/task.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"
#include "syscall/timespec.h"

#define SET_SIZE sizeof(uint64_t)

static int set_from_user(uint64_t *set, struct uptr p, unsigned long size)
{
    if (size != SET_SIZE)
        return -EINVAL;
    return copy_from_user(set, p, sizeof *set);
}

long sys_rt_sigaction(int sig, struct uptr act, struct uptr old, unsigned long size)
{
    struct signal_action new, before;
    if (size != SET_SIZE)
        return -EINVAL;
    if (!uptr_null(act) && copy_from_user(&new, act, sizeof new))
        return -EFAULT;
    int err = signal_action(sig, uptr_null(act) ? NULL : &new, &before);
    if (!err && !uptr_null(old))
        err = copy_to_user(old, &before, sizeof before);
    return err;
}

long sys_rt_sigprocmask(int how, struct uptr set, struct uptr old, unsigned long size)
{
    uint64_t before = task_current()->sigmask, mask = before, change;
    if (size != SET_SIZE)
        return -EINVAL;
    if (!uptr_null(set)) {
        if (copy_from_user(&change, set, sizeof change))
            return -EFAULT;
        if (how == SIG_BLOCK)
            mask |= change;
        else if (how == SIG_UNBLOCK)
            mask &= ~change;
        else if (how == SIG_SETMASK)
            mask = change;
        else
            return -EINVAL;
        signal_set_mask(mask);
    }
    return uptr_null(old) ? 0 : copy_to_user(old, &before, sizeof before);
}

long sys_rt_sigreturn(void)
{
    struct trap_frame *f = task_frame(task_current());
    if (sigframe_pop(f))
        process_killed(SIGSEGV, "the frame of a signal handler was damaged when it returned");
    trap_return(f);
}

long sys_rt_sigpending(struct uptr set, unsigned long size)
{
    uint64_t pending = signal_pending_set();
    if (size > SET_SIZE)
        return -EINVAL;
    return copy_to_user(set, &pending, size);
}

/* Sleeps until a signal is there to deliver. */
static long sleep_for_signal(void)
{
    struct thread *t = thread_current();
    while (!t->interrupted) {
        thread_prepare_sleep();
        thread_block(CLOCK_NEVER, true);
    }
    return -ERESTARTNOHAND;
}

long sys_pause(void)
{
    return sleep_for_signal();
}

long sys_rt_sigsuspend(struct uptr set, unsigned long size)
{
    uint64_t mask;
    int err = set_from_user(&mask, set, size);
    if (err)
        return err;
    struct task *t = task_current();
    t->saved_sigmask = signal_set_mask(mask);
    t->restore_sigmask = true;
    return sleep_for_signal();
}

long sys_rt_sigtimedwait(struct uptr set, struct uptr info, struct uptr timeout, unsigned long size)
{
    uint64_t mask, deadline = CLOCK_NEVER;
    siginfo_t si;
    int err = set_from_user(&mask, set, size);
    if (!err && !uptr_null(timeout))
        err = deadline_from_user(&deadline, timeout);
    if (err)
        return err;
    mask &= ~SIGNAL_UNBLOCKABLE;
    struct waiter w;
    int sig;
    waiter_init(&w);
    for (;;) {
        waitq_add(&process.signals.arrived, &w);
        sig = signal_take(mask, &si);
        if (sig || err)
            break;
        err = thread_block(deadline, true);
    }
    waitq_remove(&w);
    if (!sig)
        return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
    if (!uptr_null(info) && copy_to_user(info, &si, sizeof si))
        return -EFAULT;
    return sig;
}

static void info_init(siginfo_t *info, int sig, int code)
{
    memset(info, 0, sizeof *info);
    info->si_signo = sig;
    info->si_code = code;
    info->si_pid = PROCESS_PID;
    info->si_uid = process.uid;
}

static bool signal_valid(int sig)
{
    return sig >= 0 && sig <= SIGNAL_COUNT;
}

/* pid 0 and -1 and the process group reach the only process there is. */
static bool pid_is_ours(int pid)
{
    return pid == PROCESS_PID || pid == 0 || pid == -PROCESS_PID;
}

long sys_kill(int pid, int sig)
{
    siginfo_t info;
    if (!signal_valid(sig))
        return -EINVAL;
    if (!pid_is_ours(pid))
        return -ESRCH;
    info_init(&info, sig, SI_USER);
    return sig ? signal_send(NULL, sig, &info) : 0;
}

static long send_to_thread(int tid, int sig, const siginfo_t *info)
{
    if (!signal_valid(sig))
        return -EINVAL;
    if (tid <= 0)
        return -EINVAL;
    return signal_send_tid(tid, sig, info);
}

long sys_tkill(int tid, int sig)
{
    siginfo_t info;
    info_init(&info, sig, SI_TKILL);
    return send_to_thread(tid, sig, &info);
}

long sys_tgkill(int tgid, int tid, int sig)
{
    siginfo_t info;
    if (tgid <= 0)
        return -EINVAL;
    if (tgid != PROCESS_PID)
        return -ESRCH;
    info_init(&info, sig, SI_TKILL);
    return send_to_thread(tid, sig, &info);
}

/* The info must not claim to come from kill(2) or the kernel. */
static int info_from_user(siginfo_t *info, struct uptr p, int sig)
{
    if (copy_from_user(info, p, sizeof *info))
        return -EFAULT;
    info->si_signo = sig;
    if (info->si_code == SI_TIMER)
        info->si_sys_private = 0; /* proc/ptimer.c's own mark */
    return 0;
}

long sys_rt_sigqueueinfo(int pid, int sig, struct uptr p)
{
    siginfo_t info;
    int err = info_from_user(&info, p, sig);
    if (err)
        return err;
    if (!signal_valid(sig))
        return -EINVAL;
    if (!pid_is_ours(pid))
        return -ESRCH;
    return sig ? signal_send(NULL, sig, &info) : 0;
}

long sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, struct uptr p)
{
    siginfo_t info;
    int err = info_from_user(&info, p, sig);
    if (err)
        return err;
    return tgid != PROCESS_PID ? -ESRCH : send_to_thread(tid, sig, &info);
}

long sys_sigaltstack(struct uptr stack, struct uptr old)
{
    struct task *t = task_current();
    uint64_t sp = task_frame(t)->rsp;
    bool on = sp > t->altstack && sp - t->altstack <= t->altstack_size;
    stack_t before, new;
    memset(&before, 0, sizeof before);
    before.ss_sp = (void *)t->altstack;
    before.ss_size = t->altstack_size;
    before.ss_flags = !t->altstack_size ? SS_DISABLE : on ? SS_ONSTACK : (int)t->altstack_flags;
    if (!uptr_null(stack)) {
        if (copy_from_user(&new, stack, sizeof new))
            return -EFAULT;
        if (on)
            return -EPERM;
        int mode = new.ss_flags & ~(int)SS_AUTODISARM;
        if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
            return -EINVAL;
        if (mode != SS_DISABLE && new.ss_size < MINSIGSTKSZ)
            return -ENOMEM;
        t->altstack = mode == SS_DISABLE ? 0 : (uint64_t) new.ss_sp;
        t->altstack_size = mode == SS_DISABLE ? 0 : new.ss_size;
        t->altstack_flags = (uint32_t) new.ss_flags &SS_AUTODISARM;
    }
    return uptr_null(old) ? 0 : copy_to_user(old, &before, sizeof before);
}

long sys_signalfd4(int fd, struct uptr set, unsigned long size, unsigned flags)
{
    struct file *f;
    uint64_t mask;
    if (flags & ~(unsigned)(SFD_CLOEXEC | SFD_NONBLOCK))
        return -EINVAL;
    int err = set_from_user(&mask, set, size);
    if (err)
        return err;
    if (fd == -1) {
        err = signalfd_create(mask, flags & SFD_NONBLOCK, &f);
        return err ? err : file_install(f, flags & SFD_CLOEXEC);
    }
    err = file_of(fd, &f);
    if (err)
        return err;
    err = signalfd_set_mask(f, mask);
    file_put(f);
    return err ? err : fd;
}

long sys_signalfd(int fd, struct uptr set, unsigned long size)
{
    return sys_signalfd4(fd, set, size, 0);
}
