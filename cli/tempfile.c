/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of the unfinished file: see tempfile.h. The path is a plain array, for the handler. */
#include "tempfile.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char tempfile_path[4096];
static const int tempfile_signals[] = {SIGINT, SIGTERM, SIGHUP};

void tempfile_remove(void)
{
    if (tempfile_path[0])
        unlink(tempfile_path);
    tempfile_release();
}

static void tempfile_signal(int number)
{
    if (tempfile_path[0])
        unlink(tempfile_path);
    signal(number, SIG_DFL);
    raise(number);
}

static void handlers_set(void (*handler)(int))
{
    for (size_t i = 0; i < sizeof tempfile_signals / sizeof tempfile_signals[0]; i++) {
        struct sigaction now;
        sigaction(tempfile_signals[i], NULL, &now);
        if (now.sa_handler != SIG_IGN)
            signal(tempfile_signals[i], handler);
    }
}

void tempfile_guard(const char *path)
{
    static bool registered;
    snprintf(tempfile_path, sizeof tempfile_path, "%s", path);
    if (!registered)
        atexit(tempfile_remove);
    registered = true;
    handlers_set(tempfile_signal);
}

void tempfile_release(void)
{
    tempfile_path[0] = 0;
    handlers_set(SIG_DFL);
}
