/* SPDX-License-Identifier: Apache-2.0 */
/* Signals a program sends itself: handlers, masks, stacks, restart, queueing. */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

static volatile int count, last_value, order[64];
static volatile siginfo_t info;

static void on_signal(int sig)
{
    (void)sig;
    count++;
}

static void on_info(int sig, siginfo_t *si, void *uc)
{
    (void)uc;
    memcpy((void *)&info, si, sizeof info);
    if (count < 64)
        order[count] = si->si_code == SI_QUEUE ? si->si_value.sival_int : sig;
    count++;
}

static void handle(int sig, void (*fn)(int), int flags)
{
    struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};
    CHECK(sigaction(sig, &sa, NULL) == 0);
    count = 0;
}

static void handle_info(int sig, int flags)
{
    struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | flags};
    CHECK(sigaction(sig, &sa, NULL) == 0);
    count = 0;
}

static sigset_t set_of(int sig)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, sig);
    return s;
}

TEST(handler_runs)
{
    handle_info(SIGUSR1, 0);
    CHECK(raise(SIGUSR1) == 0 && count == 1);
    CHECK(info.si_signo == SIGUSR1 && info.si_code == SI_TKILL && info.si_pid == getpid());
    CHECK(kill(getpid(), SIGUSR1) == 0 && count == 2 && info.si_code == SI_USER);
    CHECK(kill(getpid(), 0) == 0 && count == 2);
    CHECK(FAILS(kill(getpid(), 99), EINVAL));
}

TEST(action_is_remembered)
{
    struct sigaction sa;
    handle(SIGUSR2, on_signal, SA_RESTART | SA_NODEFER);
    CHECK(sigaction(SIGUSR2, NULL, &sa) == 0 && sa.sa_handler == on_signal);
    CHECK((sa.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER));
    CHECK(signal(SIGUSR2, SIG_IGN) == on_signal && signal(SIGUSR2, SIG_DFL) == SIG_IGN);
    CHECK(FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL));
    CHECK(FAILS(sigaction(SIGSTOP, &sa, NULL), EINVAL));
    CHECK(FAILS(sigaction(99, &sa, NULL), EINVAL));
}

TEST(blocked_waits)
{
    sigset_t usr1 = set_of(SIGUSR1), old, pending;
    handle(SIGUSR1, on_signal, 0);
    CHECK(sigprocmask(SIG_BLOCK, &usr1, &old) == 0 && !sigismember(&old, SIGUSR1));
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK(count == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
    CHECK(sigprocmask(SIG_UNBLOCK, &usr1, NULL) == 0 && count == 1); /* they merged */
    CHECK(FAILS(sigprocmask(99, &usr1, NULL), EINVAL));
}

TEST(ignored_is_dropped)
{
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    handle(SIGUSR1, on_signal, 0);
    CHECK(count == 0);
    signal(SIGCHLD, SIG_DFL);
    raise(SIGCHLD); /* ignored by default */
    raise(SIGWINCH);
}

TEST(kill_cannot_be_blocked)
{
    sigset_t all, now;
    sigfillset(&all);
    sigset_t old;
    CHECK(sigprocmask(SIG_SETMASK, &all, &old) == 0);
    CHECK(sigprocmask(SIG_SETMASK, &old, &now) == 0);
    CHECK(!sigismember(&now, SIGKILL) && !sigismember(&now, SIGSTOP) && sigismember(&now, SIGTERM));
}

static volatile int depth, deepest;

static void nested(int sig)
{
    int d = ++depth;
    if (d > deepest)
        deepest = d;
    if (count++ < 3)
        raise(sig);
    depth--;
}

TEST(masked_while_handled)
{
    depth = deepest = 0;
    handle(SIGUSR1, nested, 0);
    raise(SIGUSR1);
    CHECK(deepest == 1 && count == 4);
}

TEST(nodefer_nests)
{
    depth = deepest = 0;
    handle(SIGUSR1, nested, SA_NODEFER);
    raise(SIGUSR1);
    CHECK(deepest == 4 && count == 4);
}

static void raise_other(int sig)
{
    (void)sig;
    int before = count;
    raise(SIGUSR2);
    last_value = count - before; /* 1 if it was handled at once */
}

TEST(mask_of_handler)
{
    struct sigaction sa = {.sa_handler = raise_other};
    handle(SIGUSR2, on_signal, 0);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    raise(SIGUSR1);
    CHECK(last_value == 1 && count == 1);
    sa.sa_mask = set_of(SIGUSR2);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    raise(SIGUSR1);
    CHECK(last_value == 0 && count == 2); /* handled after the handler */
}

TEST(reset_after_first)
{
    struct sigaction sa;
    handle(SIGUSR1, on_signal, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK(count == 1 && sigaction(SIGUSR1, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL);
}

TEST(realtime_queue)
{
    sigset_t rt = set_of(SIGRTMIN + 1);
    handle_info(SIGRTMIN + 1, 0);
    CHECK(sigprocmask(SIG_BLOCK, &rt, NULL) == 0);
    for (int i = 0; i < 20; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 100 + i}) == 0);
    CHECK(sigprocmask(SIG_UNBLOCK, &rt, NULL) == 0);
    CHECK(count == 20); /* each of them, in order */
    for (int i = 0; i < 20; i++)
        CHECK(order[i] == 100 + i);
    CHECK(info.si_code == SI_QUEUE && info.si_pid == getpid());
}

TEST(lowest_first)
{
    sigset_t s = set_of(SIGUSR1), old;
    sigaddset(&s, SIGRTMIN + 2);
    sigaddset(&s, SIGRTMIN + 5);
    handle_info(SIGUSR1, 0);
    handle_info(SIGRTMIN + 2, 0);
    handle_info(SIGRTMIN + 5, 0);
    for (int i = 0; i < 3; i++) { /* so that no handler interrupts another's first line */
        static const int sigs[] = {SIGUSR1, 0, 0};
        int sig = sigs[i] ? sigs[i] : i == 1 ? SIGRTMIN + 2 : SIGRTMIN + 5;
        struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
        sigfillset(&sa.sa_mask);
        CHECK(sigaction(sig, &sa, NULL) == 0);
    }
    CHECK(sigprocmask(SIG_BLOCK, &s, &old) == 0);
    sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_int = 3});
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 1});
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 2});
    raise(SIGUSR1);
    count = 0;
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    CHECK(count == 4 && order[0] == SIGUSR1);
    CHECK(order[1] == 1 && order[2] == 2 && order[3] == 3);
}

static char *volatile frame_at;

static void note_stack(int sig)
{
    char here;
    (void)sig;
    frame_at = &here;
    count++;
}

TEST(alternate_stack)
{
    static char stack[65536];
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}, old;
    CHECK(sigaltstack(&ss, &old) == 0 && old.ss_flags == SS_DISABLE);
    handle(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(count == 1 && frame_at > stack && frame_at < stack + sizeof stack);
    handle(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    CHECK(!(frame_at > stack && frame_at < stack + sizeof stack));
    CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_flags == 0);
    ss.ss_size = 100;
    CHECK(FAILS(sigaltstack(&ss, NULL), ENOMEM));
    ss.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&ss, NULL) == 0);
}

static void change_registers(int sig, siginfo_t *si, void *ucv)
{
    ucontext_t *uc = ucv;
    (void)sig;
    (void)si;
    uc->uc_mcontext.gregs[REG_RBX] = 0x1234567890abcdef;
    uc->uc_mcontext.gregs[REG_R13] = 77;
    uc->uc_mcontext.gregs[REG_EFL] |= 1; /* carry */
}

TEST(return_changes_registers)
{
    struct sigaction sa = {.sa_sigaction = change_registers, .sa_flags = SA_SIGINFO};
    unsigned long seen[4], number = SYS_tgkill;
    register unsigned long *to __asm__("r14") = seen;
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    __asm__ volatile("movl $1, %%ebx; movl $2, %%r13d; movl $3, %%r12d; clc; syscall;"
                     "setc %%al; movzbl %%al, %%eax; movq %%rax, (%%r14); movq %%rbx, 8(%%r14);"
                     "movq %%r12, 16(%%r14); movq %%r13, 24(%%r14)"
                     : "+a"(number)
                     : "D"(getpid()), "S"(syscall(SYS_gettid)), "d"(SIGUSR1), "r"(to)
                     : "rbx", "rcx", "r11", "r12", "r13", "memory", "cc");
    CHECK(seen[0] == 1 && seen[1] == 0x1234567890abcdef && seen[2] == 3 && seen[3] == 77);
}

TEST(mask_in_frame)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t now;
    sa.sa_mask = set_of(SIGUSR2);
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    raise(SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    CHECK(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2));
}

/* ---- a thread blocked in read ---- */

static int p[2];
static volatile long read_result;
static volatile int read_error, reading;

static void *block_in_read(void *arg)
{
    char c;
    (void)arg;
    reading = 1;
    read_result = read(p[0], &c, 1);
    read_error = errno;
    reading = 0;
    return NULL;
}

TEST(interrupts_read)
{
    pthread_t t;
    CHECK(pipe(p) == 0);
    handle(SIGUSR1, on_signal, 0);
    CHECK(pthread_create(&t, NULL, block_in_read, NULL) == 0);
    CHECK(SOON(reading));
    for (int64_t end = now_ns() + 10000 * MS; reading && now_ns() < end; sched_yield())
        pthread_kill(t, SIGUSR1);
    CHECK(!reading);
    pthread_join(t, NULL);
    CHECK(read_result == -1 && read_error == EINTR && count > 0);
    close(p[0]);
    close(p[1]);
}

TEST(restarts_read)
{
    pthread_t t;
    CHECK(pipe(p) == 0);
    handle(SIGUSR1, on_signal, SA_RESTART);
    CHECK(pthread_create(&t, NULL, block_in_read, NULL) == 0);
    CHECK(SOON(reading));
    for (int i = 1; i <= 20; i++) {
        pthread_kill(t, SIGUSR1);
        CHECK(SOON(count >= i));
    }
    CHECK(reading);
    CHECK(write(p[1], "x", 1) == 1);
    pthread_join(t, NULL);
    CHECK(read_result == 1);
    close(p[0]);
    close(p[1]);
}

static volatile int spinning;
static volatile pid_t handled_by;

static void note_thread(int sig)
{
    (void)sig;
    handled_by = (pid_t)syscall(SYS_gettid);
    spinning = 0;
}

static void *spin(void *arg)
{
    *(pid_t *)arg = (pid_t)syscall(SYS_gettid);
    for (spinning = 1; spinning;)
        ;
    return NULL;
}

TEST(interrupts_a_loop)
{
    pthread_t t;
    pid_t tid = 0;
    handle(SIGUSR1, note_thread, 0);
    CHECK(pthread_create(&t, NULL, spin, &tid) == 0);
    CHECK(SOON(spinning));
    pthread_kill(t, SIGUSR1);
    CHECK(SOON(!spinning));
    pthread_join(t, NULL);
    CHECK(handled_by == tid && tid != getpid());
}

TEST(process_signal_finds_thread)
{
    pthread_t t;
    pid_t tid = 0;
    sigset_t usr1 = set_of(SIGUSR1);
    handle(SIGUSR1, note_thread, 0);
    CHECK(pthread_create(&t, NULL, spin, &tid) == 0);
    CHECK(SOON(spinning));
    CHECK(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    kill(getpid(), SIGUSR1); /* only the other thread can take it */
    bool taken = SOON(!spinning);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
    CHECK(taken && handled_by == tid);
    pthread_join(t, NULL);
}

TEST(tgkill_errors)
{
    CHECK(FAILS(syscall(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1), ESRCH));
    CHECK(FAILS(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL));
    CHECK(FAILS(syscall(SYS_tgkill, getpid(), getpid(), 99), EINVAL));
    CHECK(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
}
