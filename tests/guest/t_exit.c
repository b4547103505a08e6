/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to end, one a run: `t_exit WAY`. tests/run-guest compares status and
 * output with the host's. Not a program of cases; `t_exit ways` lists the ways.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static void *exit_all(void *arg)
{
    exit((int)(long)arg);
}

static void *quiet(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void *last_words(void *arg)
{
    pthread_join(*(pthread_t *)arg, NULL);
    write(1, "after main\n", 11);
    return NULL;
}

static int way_0(void)
{
    return 0;
}
static int way_1(void)
{
    return 1;
}
static int way_77(void)
{
    exit(77);
}
static int way_127(void)
{
    _exit(127);
}
static int way_255(void)
{
    return 255;
}
static int way_256(void)
{
    exit(256 + 3); /* only the low 8 bits count */
}
static int way_abort(void)
{
    abort();
}
static int way_segv(void)
{
    *(volatile int *)8 = 1;
    return 0;
}
static int way_fpe(void)
{
    volatile int zero = 0;
    return 1 / zero;
}
static int way_ill(void)
{
    __asm__ volatile("ud2");
    return 0;
}
static int way_term(void)
{
    raise(SIGTERM);
    return 0;
}
static int way_kill(void)
{
    kill(getpid(), SIGKILL);
    return 0;
}
static int way_pipe(void)
{
    int p[2];
    if (pipe(p) == 0 && close(p[0]) == 0)
        (void)!write(p[1], "x", 1);
    return 0;
}
static int way_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, exit_all, (void *)42l);
    pthread_join(t, NULL);
    return 0;
}
static int way_with_threads(void)
{
    pthread_t t;
    for (int i = 0; i < 5; i++)
        pthread_create(&t, NULL, quiet, NULL);
    return 9;
}
static int way_main_first(void)
{
    static pthread_t me;
    pthread_t t;
    me = pthread_self();
    pthread_create(&t, NULL, last_words, &me);
    pthread_exit(NULL);
}
static int way_ignored_segv(void)
{
    signal(SIGSEGV, SIG_IGN); /* a fault cannot be ignored */
    return way_segv();
}
#define FP_MXCSR  24  /* in the image of the extended state */
#define FP_MAGIC  464 /* says that it is more than 512 bytes */
#define FP_HEADER 512

static int damage; /* where, FP_* */

static void damage_frame(int sig, siginfo_t *info, void *context)
{
    char *fp = (char *)((ucontext_t *)context)->uc_mcontext.fpregs;
    (void)sig;
    (void)info;
    if (damage)
        memset(fp + damage, damage == FP_MAGIC ? 0 : 0xff, 8);
}

static int way_frame(int what)
{
    struct sigaction sa = {.sa_sigaction = damage_frame, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, NULL);
    damage = what;
    raise(SIGUSR1);
    return 5;
}
static int way_frame_legacy(void)
{
    return way_frame(FP_MAGIC); /* that is allowed */
}
static int way_frame_header(void)
{
    return way_frame(FP_HEADER);
}
static int way_frame_mxcsr(void)
{
    return way_frame(FP_MXCSR);
}
static int way_atexit(void)
{
    static char text[] = "buffered, without a newline";
    fputs(text, stdout);
    return 4;
}

static const struct {
    const char *name;
    int (*run)(void);
} ways[] = {
    {"0", way_0},
    {"1", way_1},
    {"77", way_77},
    {"127", way_127},
    {"255", way_255},
    {"256", way_256},
    {"abort", way_abort},
    {"segv", way_segv},
    {"fpe", way_fpe},
    {"ill", way_ill},
    {"term", way_term},
    {"kill", way_kill},
    {"pipe", way_pipe},
    {"thread", way_thread},
    {"with_threads", way_with_threads},
    {"main_first", way_main_first},
    {"ignored_segv", way_ignored_segv},
    {"frame_legacy", way_frame_legacy},
    {"frame_header", way_frame_header},
    {"frame_mxcsr", way_frame_mxcsr},
    {"atexit", way_atexit},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (argc > 1 && !strcmp(argv[1], "ways"))
            puts(ways[i].name);
        else if (argc > 1 && !strcmp(argv[1], ways[i].name))
            return ways[i].run();
    }
    return argc > 1 ? 0 : 2;
}
