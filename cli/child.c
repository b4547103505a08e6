/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the emulator: see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/exit.h"

struct entry {
    child_enter *enter; /* NULL: nothing is to be done first */
    const void *arg;
};

/* Writes what kept it from starting to `report`. */
static _Noreturn void child_refuse(int report, int number)
{
    if (write(report, &number, sizeof number) < 0)
        _exit(OPS_EXIT_FAILED);
    _exit(OPS_EXIT_FAILED);
}

/* In the child; with `enter` no signal-safe calls alone, but there is one thread only. */
static void child_exec(const struct strlist *argv, const int *keep, size_t count, int messages,
                       int report, pid_t parent, const struct entry *entry)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    int number = entry->enter ? entry->enter(entry->arg) : 0;
    if (number)
        child_refuse(report, number);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of the user takes back */
    if (getppid() != parent)          /* it died before the line above */
        _exit(OPS_EXIT_FAILED);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(messages, STDOUT_FILENO);
    dup2(messages, STDERR_FILENO);
    for (size_t i = 0; i < count; i++)
        fcntl(keep[i], F_SETFD, 0);
    execv(argv->items[0], argv->items);
    child_refuse(report, errno);
}

bool child_start_as(struct child *c, const struct strlist *argv, const int *keep, size_t count,
                    child_enter *enter, const void *arg, struct err *err)
{
    const struct entry entry = {enter, arg};
    int messages[2], report[2], number = 0;
    if (pipe2(messages, O_CLOEXEC) < 0)
        return err_errno(err, "start", argv->items[0]);
    if (pipe2(report, O_CLOEXEC) < 0) {
        close(messages[0]);
        close(messages[1]);
        return err_errno(err, "start", argv->items[0]);
    }
    pid_t self = getpid(), pid = fork();
    if (pid == 0)
        child_exec(argv, keep, count, messages[1], report[1], self, &entry);
    int fork_errno = errno;
    close(messages[1]);
    close(report[1]);
    bool failed = pid < 0 || read(report[0], &number, sizeof number) > 0;
    close(report[0]);
    if (failed) {
        close(messages[0]);
        if (pid > 0)
            waitpid(pid, NULL, 0);
        errno = pid < 0 ? fork_errno : number;
        return err_errno(err, "start", argv->items[0]);
    }
    *c = (struct child){.pid = pid, .messages = messages[0]};
    return true;
}

bool child_start(struct child *c, const struct strlist *argv, const int *keep, size_t count,
                 struct err *err)
{
    return child_start_as(c, argv, keep, count, NULL, NULL, err);
}

bool child_status(const struct strlist *argv, const int *keep, size_t count, struct buf *said,
                  int *number, struct err *err)
{
    struct child c;
    char bytes[4096];
    ssize_t n;
    int status = 0;
    if (!child_start(&c, argv, keep, count, err))
        return false;
    while ((n = read(c.messages, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(said, bytes, (size_t)n);
    close(c.messages);
    while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
        ;
    buf_add(said, "", 0);
    if (!WIFEXITED(status))
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s was ended by signal %d", argv->items[0],
                       WTERMSIG(status));
    *number = WEXITSTATUS(status);
    return true;
}

bool child_collect(const struct strlist *argv, const int *keep, size_t count, struct buf *said,
                   struct err *err)
{
    int status;
    if (!child_status(argv, keep, count, said, &status, err))
        return false;
    if (status == 0)
        return true;
    return err_set(err, OPS_EXIT_FAILED, NULL, "%s failed: %s", argv->items[0], said->data);
}
