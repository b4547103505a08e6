/* SPDX-License-Identifier: Apache-2.0 */
/* Processes beside the machine: see helper.h. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool kept(int fd, const int *keep, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (keep[i] == fd)
            return true;
    return false;
}

static void descriptors_close(const int *keep, size_t count)
{
    int last = 2;
    for (size_t i = 0; i < count; i++)
        last = keep[i] > last ? keep[i] : last;
    for (int fd = 3; fd <= last; fd++)
        if (!kept(fd, keep, count))
            close(fd);
    close_range((unsigned)last + 1, ~0u, 0);
}

static _Noreturn void helper_main(void (*run)(void *arg), void *arg, const int *keep, size_t count,
                                  pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(0);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    descriptors_close(keep, count);
    signal(SIGPIPE, SIG_IGN);
    run(arg);
    _exit(0);
}

bool helper_start(pid_t *pid, void (*run)(void *arg), void *arg, const int *keep, size_t count,
                  struct err *err)
{
    pid_t self = getpid();
    fflush(NULL);
    *pid = fork();
    if (*pid == 0)
        helper_main(run, arg, keep, count, self);
    if (*pid > 0)
        return true;
    *pid = 0;
    return err_errno(err, "start", "a process");
}

void helper_stop(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}
