/* SPDX-License-Identifier: Apache-2.0 */
/* Signal queues, actions and delivery: see signal.h. */
#include "proc/signal.h"

#include <asm/sigcontext.h>
#include <asm/unistd.h>
#include <linux/errno.h>

#include "file/wait.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "proc/ptimer.h"
#include "proc/restart.h"
#include "proc/task.h"

#define QUEUE_MAX 16384 /* siginfo records at once */

struct signal_info {
    struct list link;
    siginfo_t info;
};

static struct signal_state *const st = &process.signals;

static bool signal_ignored_by_default(int sig)
{
    return SIGNAL_BIT(sig) &
           (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT));
}

/* Stopping the only process of the machine would be for ever: these do nothing by default. */
static bool signal_stops(int sig)
{
    return SIGNAL_BIT(sig) &
           (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU));
}

static bool signal_ignored(int sig)
{
    uint64_t h = st->action[sig - 1].handler;
    return h == (uint64_t)SIG_IGN ||
           (h == (uint64_t)SIG_DFL && (signal_ignored_by_default(sig) || signal_stops(sig)));
}

static void queue_init(struct sigqueue *q)
{
    if (!q->info.next)
        list_init(&q->info);
}

/* Standard signals pend once, with the first one's info; real-time ones queue up. */
static int queue_add(struct sigqueue *q, int sig, const siginfo_t *info)
{
    queue_init(q);
    bool pending = q->set & SIGNAL_BIT(sig);
    if (pending && sig < SIGRTMIN)
        return 0;
    struct signal_info *n = st->queued < QUEUE_MAX ? kmalloc(sizeof *n) : NULL;
    if (!n && sig >= SIGRTMIN && info->si_code != SI_USER)
        return -EAGAIN;
    q->set |= SIGNAL_BIT(sig);
    if (n) {
        n->info = *info;
        n->info.si_signo = sig;
        list_add_tail(&q->info, &n->link);
        st->queued++;
    }
    return 0;
}

static bool queue_take(struct sigqueue *q, int sig, siginfo_t *info)
{
    if (!(q->set & SIGNAL_BIT(sig)))
        return false;
    struct signal_info *found = NULL;
    bool more = false;
    queue_init(q);
    LIST_FOR_EACH_SAFE(l, &q->info)
    {
        struct signal_info *n = LIST_ENTRY(l, struct signal_info, link);
        if (n->info.si_signo != sig)
            continue;
        if (found) {
            more = true;
            break;
        }
        found = n;
        list_remove(&n->link);
    }
    if (!more)
        q->set &= ~SIGNAL_BIT(sig);
    if (!found) { /* there was no memory for its record */
        memset(info, 0, sizeof *info);
        info->si_signo = sig;
        return true;
    }
    *info = found->info;
    st->queued--;
    kfree(found);
    if (info->si_code == SI_TIMER && info->si_sys_private)
        ptimer_taken(info);
    return true;
}

static void queue_flush(struct sigqueue *q, int sig)
{
    siginfo_t info;
    while (queue_take(q, sig, &info))
        ;
}

/* A thread that can take the signal now; one that is in user mode or waits interruptibly. */
static struct task *task_for(int sig)
{
    struct task *any = NULL;
    LIST_FOR_EACH(l, &process.tasks)
    {
        struct task *t = LIST_ENTRY(l, struct task, link);
        if (t->sigmask & SIGNAL_BIT(sig))
            continue;
        if (!any || t->thread->interruptible)
            any = t;
    }
    return any;
}

/* process.lock is held, so the task cannot end meanwhile. */
static int signal_send_locked(struct task *task, int sig, const siginfo_t *info)
{
    int err = 0;
    spin_lock_raw(&st->lock);
    const struct task *first = task ? task : LIST_ENTRY(process.tasks.next, struct task, link);
    bool blocked = !list_empty(&process.tasks) && first->sigmask & SIGNAL_BIT(sig);
    if (blocked || !signal_ignored(sig)) {
        struct task *who = !task ? task_for(sig) : blocked ? NULL : task;
        err = queue_add(task ? &task->pending : &st->pending, sig, info);
        if (!err && who)
            thread_interrupt(who->thread);
    }
    spin_unlock_raw(&st->lock);
    return err;
}

int signal_send(struct task *task, int sig, const siginfo_t *info)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    int err = signal_send_locked(task, sig, info);
    spin_unlock_irq(&process.lock, flags);
    if (!err)
        waitq_wake(&st->arrived, 0);
    return err;
}

void signal_kernel(int sig)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = SI_KERNEL;
    signal_send(NULL, sig, &info);
}

void signal_self(int sig)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = SI_USER;
    info.si_pid = PROCESS_PID;
    info.si_uid = process.uid;
    signal_send(task_current(), sig, &info);
}

void signal_fault(int sig, int code, uint64_t addr, struct trap_frame *f)
{
    struct task *t = task_current();
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = code;
    info.si_addr = (void *)addr;
    irqflags_t flags = spin_lock_irq(&st->lock);
    struct signal_action *a = &st->action[sig - 1];
    bool lost = t->sigmask & SIGNAL_BIT(sig) || a->handler == (uint64_t)SIG_IGN;
    if (lost) {
        a->handler = (uint64_t)SIG_DFL;
        t->sigmask &= ~SIGNAL_BIT(sig);
    }
    bool fatal = a->handler == (uint64_t)SIG_DFL;
    spin_unlock_irq(&st->lock, flags);
    if (fatal)
        process_killed_by_fault(sig, code, addr, f);
    signal_send(t, sig, &info);
}

uint64_t signal_set_mask(uint64_t mask)
{
    struct task *t = task_current();
    irqflags_t flags = spin_lock_irq(&st->lock);
    uint64_t old = t->sigmask;
    t->sigmask = mask & ~SIGNAL_UNBLOCKABLE;
    spin_unlock_irq(&st->lock, flags);
    if (old & ~mask)
        signal_recheck(t);
    return old;
}

void signal_recheck(struct task *t)
{
    irqflags_t flags = spin_lock_irq(&st->lock);
    if ((t->pending.set | st->pending.set) & ~t->sigmask)
        thread_interrupt(t->thread);
    spin_unlock_irq(&st->lock, flags);
}

int signal_action(int sig, const struct signal_action *act, struct signal_action *old)
{
    if (sig < 1 || sig > SIGNAL_COUNT || (act && SIGNAL_BIT(sig) & SIGNAL_UNBLOCKABLE))
        return -EINVAL;
    irqflags_t pflags = spin_lock_irq(&process.lock);
    spin_lock_raw(&st->lock);
    if (old)
        *old = st->action[sig - 1];
    if (act) {
        st->action[sig - 1] = *act;
        st->action[sig - 1].mask &= ~SIGNAL_UNBLOCKABLE;
        if (signal_ignored(sig)) {
            queue_flush(&st->pending, sig);
            LIST_FOR_EACH(l, &process.tasks)
            queue_flush(&LIST_ENTRY(l, struct task, link)->pending, sig);
        }
    }
    spin_unlock_raw(&st->lock);
    spin_unlock_irq(&process.lock, pflags);
    return 0;
}

static int take_locked(struct task *t, uint64_t set, siginfo_t *info)
{
    /* Faults first (synchronous), then by number, as Linux does. */
    const uint64_t sync = SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) |
                          SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS);
    struct sigqueue *queues[] = {&t->pending, &st->pending};
    for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
        uint64_t ready = queues[i]->set & set;
        if (!ready)
            continue;
        int sig = __builtin_ctzll(ready & sync ? ready & sync : ready) + 1;
        queue_take(queues[i], sig, info);
        return sig;
    }
    return 0;
}

int signal_take(uint64_t set, siginfo_t *info)
{
    irqflags_t flags = spin_lock_irq(&st->lock);
    int sig = take_locked(task_current(), set, info);
    spin_unlock_irq(&st->lock, flags);
    return sig;
}

uint64_t signal_pending_set(void)
{
    const struct task *t = task_current();
    return (t->pending.set | st->pending.set) & t->sigmask;
}

/* The next signal to act upon, with its action; handles SA_RESETHAND. 0: nothing is pending. */
static int signal_next(struct task *t, siginfo_t *info, struct signal_action *act)
{
    int sig;
    if (!((t->pending.set | st->pending.set) & ~t->sigmask))
        return 0; /* one that comes now interrupts the thread again */
    irqflags_t flags = spin_lock_irq(&st->lock);
    do {
        sig = take_locked(t, ~t->sigmask, info);
        if (!sig)
            break;
        *act = st->action[sig - 1];
        if (act->flags & SA_RESETHAND && act->handler > (uint64_t)SIG_IGN)
            st->action[sig - 1].handler = (uint64_t)SIG_DFL;
    } while (act->handler == (uint64_t)SIG_IGN ||
             (act->handler == (uint64_t)SIG_DFL &&
              (signal_ignored_by_default(sig) || signal_stops(sig))));
    spin_unlock_irq(&st->lock, flags);
    return sig;
}

static bool in_syscall(const struct trap_frame *f)
{
    return f->vector == VECTOR_SYSCALL && (int64_t)f->orig_rax >= 0;
}

static void syscall_again(struct trap_frame *f, uint64_t nr)
{
    f->rax = nr;
    f->rip -= 2; /* the `syscall` instruction */
}

/* A call was interrupted and no handler runs: it goes on. */
static void restart_silently(struct trap_frame *f)
{
    if (!in_syscall(f))
        return;
    int64_t r = (int64_t)f->rax;
    if (r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND)
        syscall_again(f, f->orig_rax);
    else if (r == -ERESTART_RESTARTBLOCK)
        syscall_again(f, __NR_restart_syscall);
}

static void restart_for_handler(struct trap_frame *f, uint64_t sa_flags)
{
    if (!in_syscall(f))
        return;
    int64_t r = (int64_t)f->rax;
    bool again = r == -ERESTARTNOINTR || (r == -ERESTARTSYS && sa_flags & SA_RESTART);
    if (again)
        syscall_again(f, f->orig_rax);
    else if (r == -ERESTARTSYS || r == -ERESTARTNOHAND || r == -ERESTART_RESTARTBLOCK)
        f->rax = (uint64_t)-EINTR;
}

static void run_handler(struct task *t, struct trap_frame *f, int sig, siginfo_t *info,
                        const struct signal_action *act)
{
    restart_for_handler(f, act->flags);
    f->orig_rax = (uint64_t)-1; /* the frame is complete: not restarted twice */
    uint64_t old = t->restore_sigmask ? t->saved_sigmask : t->sigmask;
    t->restore_sigmask = false;
    if (sigframe_push(f, sig, info, act, old))
        process_killed(SIGSEGV, "the stack for a signal handler cannot be written");
    uint64_t block = act->mask | (act->flags & SA_NODEFER ? 0 : SIGNAL_BIT(sig));
    irqflags_t flags = spin_lock_irq(&st->lock);
    t->sigmask = (t->sigmask | block) & ~SIGNAL_UNBLOCKABLE;
    spin_unlock_irq(&st->lock, flags);
}

void signal_deliver(struct trap_frame *f)
{
    struct task *t = task_current();
    t->thread->interrupted = false;
    if (process.exiting)
        task_exit(0);
    siginfo_t info;
    struct signal_action act;
    bool handled = false;
    int sig;
    while ((sig = signal_next(t, &info, &act))) {
        if (act.handler == (uint64_t)SIG_DFL)
            process_killed(sig, NULL);
        run_handler(t, f, sig, &info, &act);
        handled = true;
    }
    if (handled)
        return;
    restart_silently(f);
    if (t->restore_sigmask) {
        t->restore_sigmask = false;
        signal_set_mask(t->saved_sigmask);
    }
}

const char *signal_name(int sig)
{
    static const char *const names[] = {
        "SIGNAL 0",  "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
        "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
        "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS"};
    return sig > 0 && sig < (int)ARRAY_SIZE(names) ? names[sig] : "a real-time signal";
}

void signal_drop(struct task *t)
{
    irqflags_t flags = spin_lock_irq(&st->lock);
    while (!list_empty(&t->pending.info)) {
        kfree(LIST_ENTRY(list_pop_head(&t->pending.info), struct signal_info, link));
        st->queued--;
    }
    t->pending.set = 0;
    spin_unlock_irq(&st->lock, flags);
}

int signal_send_tid(int tid, int sig, const siginfo_t *info)
{
    irqflags_t flags = spin_lock_irq(&process.lock);
    struct task *t = task_find_locked(tid);
    int err = t ? 0 : -ESRCH;
    if (t && sig)
        err = signal_send_locked(t, sig, info);
    spin_unlock_irq(&process.lock, flags);
    if (!err && sig)
        waitq_wake(&st->arrived, 0);
    return err;
}
