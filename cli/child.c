/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the emulator: see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/exit.h"

#define CHILD_TICK 200 /* ms between two looks at whether to go on */

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

/* Waits for its end: its status. */
static bool child_end(const struct child *c, const char *name, int *number, struct err *err)
{
    int status = 0;
    close(c->messages);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status))
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s was ended by signal %d", name,
                       WTERMSIG(status));
    *number = WEXITSTATUS(status);
    return true;
}

bool child_status(const struct strlist *argv, const int *keep, size_t count, struct buf *said,
                  int *status, struct err *err)
{
    struct child c;
    char bytes[4096];
    ssize_t n;
    if (!child_start(&c, argv, keep, count, err))
        return false;
    while ((n = read(c.messages, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(said, bytes, (size_t)n);
    buf_add(said, "", 0);
    return child_end(&c, argv->items[0], status, err);
}

/* Gives all whole lines of `in` away; with `rest` also what is behind them. */
static bool lines_give(struct buf *in, bool rest, child_line_fn *line, void *context)
{
    bool ok = true;
    for (char *end; ok && in->size && ((end = memchr(in->data, '\n', in->size)) || rest);) {
        size_t n = end ? (size_t)(end - in->data) : in->size;
        in->data[n] = 0;
        ok = line(context, in->data);
        buf_drop(in, end ? n + 1 : n);
    }
    return ok;
}

bool child_lines(const struct strlist *argv, child_line_fn *line, void *context, int *status,
                 struct err *err)
{
    struct child c;
    struct buf in = {0};
    char bytes[4096];
    ssize_t n = 1;
    bool ok = true;
    if (!child_start(&c, argv, NULL, 0, err))
        return false;
    while (ok && n != 0) {
        struct pollfd p = {.fd = c.messages, .events = POLLIN};
        if (poll(&p, 1, CHILD_TICK) <= 0) {
            ok = line(context, NULL);
        } else if ((n = read(c.messages, bytes, sizeof bytes)) > 0) {
            buf_add(&in, bytes, (size_t)n);
            ok = lines_give(&in, false, line, context);
        } else if (n < 0 && errno != EINTR) {
            n = 0;
        }
    }
    ok = ok && lines_give(&in, true, line, context);
    buf_free(&in);
    if (ok)
        return child_end(&c, argv->items[0], status, err);
    struct err ignored = {0};
    kill(c.pid, SIGKILL);
    child_end(&c, argv->items[0], status, &ignored);
    err_free(&ignored);
    *status = -1;
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
