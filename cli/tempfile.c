/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of the unfinished file: see tempfile.h. The path is a plain array, for the handler. */
#include "tempfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/exit.h"

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

/* Who had the lock may have renamed it in between: then it is the finished file. */
static bool still_named(int fd, const char *temp)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && lstat(temp, &named) == 0 &&
           open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

int tempfile_open(const char *temp, const char *path, struct err *err)
{
    for (;;) {
        int fd = open(temp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (locked && still_named(fd, temp) && ftruncate(fd, 0) == 0)
            return fd;
        if (locked && !still_named(fd, temp)) {
            close(fd);
            continue;
        }
        if (fd >= 0 && !locked && errno == EWOULDBLOCK)
            err_set(err, OPS_EXIT_FAILED, "wait until that has ended", "another ops is writing %s",
                    path);
        else
            err_errno(err, "write", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
}
