/* SPDX-License-Identifier: Apache-2.0 */
/* Signals held back, and progress: see hold.h. */
#include "hold.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ops/exit.h"

#define SHOW_AFTER 1000 /* ms; quicker work shows nothing */
#define SHOW_EVERY 200

/* Those that nohup(1) or a shell has not told us to ignore. */
static void held_signals(sigset_t *set)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction now;
        sigaction(signals[i], NULL, &now);
        if (now.sa_handler != SIG_IGN)
            sigaddset(set, signals[i]);
    }
}

static long elapsed_ms(const struct timespec *from, const struct timespec *to)
{
    return (to->tv_sec - from->tv_sec) * 1000 + (to->tv_nsec - from->tv_nsec) / 1000000;
}

void hold_begin(struct hold *h)
{
    sigset_t set;
    *h = (struct hold){.terminal = isatty(STDERR_FILENO)};
    clock_gettime(CLOCK_MONOTONIC, &h->begin);
    held_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Is it time for a new progress line? Then the old one is taken away. */
static bool progress_due(struct hold *h)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!h->terminal || elapsed_ms(&h->begin, &now) < SHOW_AFTER ||
        elapsed_ms(&h->shown, &now) < SHOW_EVERY)
        return false;
    h->shown = now;
    fprintf(stderr, "\r\033[K");
    return true;
}

void hold_bar(struct hold *h, const char *what, double part)
{
    static const char full[] = "##############################";
    int width = (int)sizeof full - 1, done = (int)(part * width);
    if (!progress_due(h))
        return;
    if (part < 0)
        fprintf(stderr, "%s", what);
    else
        fprintf(stderr, "%s [%-*.*s] %3.0f %%", what, width, done < width ? done : width, full,
                part < 1 ? part * 100 : 100);
    fflush(stderr);
}

static void progress_show(struct hold *h)
{
    if (!progress_due(h))
        return;
    fprintf(stderr, "%llu files, %llu MiB", (unsigned long long)h->files,
            (unsigned long long)(h->bytes >> 20));
    fflush(stderr);
}

bool hold_step(struct hold *h, uint64_t files, uint64_t bytes, struct err *err)
{
    sigset_t held, pending;
    h->files += files;
    h->bytes += bytes;
    if (h->files || h->bytes)
        progress_show(h);
    held_signals(&held);
    sigpending(&pending);
    for (int s = 1; s < NSIG; s++)
        if (sigismember(&held, s) == 1 && sigismember(&pending, s) == 1)
            return err_set(err, OPS_EXIT_FAILED, NULL, "interrupted");
    return true;
}

void hold_end(struct hold *h)
{
    sigset_t set;
    if (h->terminal && h->shown.tv_sec)
        fprintf(stderr, "\r\033[K");
    held_signals(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
