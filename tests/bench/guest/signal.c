/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: one sent to oneself and handled, and a fault that a handler steps over. */
#include "guest.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define STORE_LENGTH 3 /* bytes of `movb $0, (%rax)` */

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
    (void)sig;
    handled = handled + 1;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)info;
    on_signal(sig);
    uc->uc_mcontext.gregs[REG_RIP] += STORE_LENGTH;
}

static void signals(long n)
{
    const pid_t pid = getpid(), tid = (pid_t)syscall(SYS_gettid);
    handled = 0;
    for (long i = 0; i < n; i++)
        syscall(SYS_tgkill, pid, tid, SIGUSR1);
    NEED(handled == n);
}

static void faults(long n)
{
    static void *page;
    if (!page)
        page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handled = 0;
    for (long i = 0; i < n; i++)
        __asm__ volatile("movb $0, (%0)" ::"a"(page) : "memory");
    NEED(handled == n);
}

void rows_signal(void)
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    signal(SIGUSR1, on_signal);
    sigaction(SIGSEGV, &fault, NULL);
    measure("signal", signals, 2000);
    measure("segv", faults, 2000);
    signal(SIGSEGV, SIG_DFL);
}
