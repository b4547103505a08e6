/* SPDX-License-Identifier: Apache-2.0 */
/* Signals held back, and progress: see hold.h. */
#include "hold.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ops/exit.h"

#define SHOW_AFTER 1000 /* ms; quicker work shows nothing */
#define SHOW_EVERY 200

static void held_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
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

static void progress_show(struct hold *h)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (elapsed_ms(&h->begin, &now) < SHOW_AFTER || elapsed_ms(&h->shown, &now) < SHOW_EVERY)
        return;
    h->shown = now;
    fprintf(stderr, "\r\033[K%llu files, %llu MiB", (unsigned long long)h->files,
            (unsigned long long)(h->bytes >> 20));
    fflush(stderr);
}

bool hold_step(struct hold *h, uint64_t files, uint64_t bytes, struct err *err)
{
    sigset_t held, pending;
    h->files += files;
    h->bytes += bytes;
    if (h->terminal)
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
