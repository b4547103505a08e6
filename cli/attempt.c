/* SPDX-License-Identifier: Apache-2.0 */
/* One run of an instance's machine: see attempt.h. */
#include "attempt.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "cmd_run.h"
#include "ops/exit.h"
#include "supervised.h"

#define SAID_MOST 1024

struct teller {
    struct relay_watch watch; /* first */
    int fd;
    bool started;
};

/* The child's half: a line. Nobody may be there to read it any more. */
static void tell(int fd, cJSON *event)
{
    char *text = cJSON_PrintUnformatted(event);
    cJSON_Delete(event);
    if (text && dprintf(fd, "%s\n", text) < 0)
        _exit(OPS_EXIT_FAILED);
    free(text);
}

static void tell_started(struct relay_watch *w)
{
    struct teller *t = (struct teller *)w;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddTrueToObject(o, "started");
    t->started = true;
    tell(t->fd, o);
}

static void tell_ended(const struct teller *t, int status, bool crashed, const struct err *err)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "status", status);
    cJSON_AddBoolToObject(o, "crashed", crashed);
    if (err->message)
        cJSON_AddStringToObject(o, "message", err->message);
    if (err->hint)
        cJSON_AddStringToObject(o, "hint", err->hint);
    tell(t->fd, o);
}

static void streams_set(int out, int err)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
}

/* In the child: `ops run` as it was said, where it was said. */
static int child_run(struct supervised *in, struct teller *t)
{
    struct err err = {0};
    int status = OPS_EXIT_OK;
    bool ok = chdir(in->directory) == 0 || err_errno(&err, "enter", in->directory);
    ok = ok && run_machine(&in->request, &in->place, &t->watch, &status, &err);
    if (!ok) {
        fprintf(stderr, "ops: %s\n", err.message);
        if (err.hint)
            fprintf(stderr, "hint: %s\n", err.hint);
        status = err.exit;
    }
    tell_ended(t, status, t->watch.crashed || (!ok && !t->started), &err);
    err_free(&err);
    return status;
}

static _Noreturn void child_main(struct supervised *in, int out, int err, int events, pid_t parent)
{
    static struct teller t = {.watch = {.started = tell_started}};
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(OPS_EXIT_FAILED);
    streams_set(out, err);
    t.fd = events;
    close(in->listen);
    close(in->store.lock);
    if (in->report >= 0)
        close(in->report);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    exit(child_run(in, &t));
}

static void ends_close(const int ends[3])
{
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

static void attempt_reset(struct attempt *a)
{
    buf_free(&a->lines);
    buf_free(&a->said);
    free(a->message);
    free(a->hint);
    *a = (struct attempt)ATTEMPT_NONE;
}

bool attempt_start(struct attempt *a, struct supervised *in, struct err *err)
{
    int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
    attempt_reset(a);
    for (int i = 0; i < 3; i++) {
        int pair[2];
        if (pipe2(pair, O_CLOEXEC) < 0) {
            err_errno(err, "make", "a pipe");
            ends_close(ours);
            ends_close(theirs);
            return false;
        }
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    pid_t self = getpid();
    a->pid = fork();
    if (a->pid == 0)
        child_main(in, theirs[0], theirs[1], theirs[2], self);
    int number = errno;
    ends_close(theirs);
    if (a->pid < 0) {
        ends_close(ours);
        a->pid = 0;
        errno = number;
        return err_errno(err, "start", "a process");
    }
    for (int i = 0; i < 3; i++)
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
    a->out = ours[0];
    a->err = ours[1];
    a->events = ours[2];
    return true;
}

static ssize_t end_read(int *fd, char *bytes, size_t n)
{
    ssize_t got = read(*fd, bytes, n);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return -1;
    if (got > 0)
        return got;
    close(*fd);
    *fd = -1;
    return 0;
}

ssize_t attempt_read(struct attempt *a, int stream, char *bytes, size_t n)
{
    ssize_t got = end_read(stream ? &a->err : &a->out, bytes, n);
    if (stream && got > 0) {
        buf_add(&a->said, bytes, (size_t)got);
        if (a->said.size > 2 * SAID_MOST)
            buf_drop(&a->said, a->said.size - SAID_MOST);
    }
    return got;
}

static char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return text ? alloc_string(text) : NULL;
}

static void event_take(struct attempt *a, const char *line)
{
    cJSON *o = cJSON_Parse(line);
    if (cJSON_IsTrue(cJSON_GetObjectItem(o, "started"))) {
        a->started = true;
    } else if (o) {
        a->told = true;
        a->status = (int)cJSON_GetNumberValue(cJSON_GetObjectItem(o, "status"));
        a->crashed = cJSON_IsTrue(cJSON_GetObjectItem(o, "crashed"));
        a->message = text_of(o, "message");
        a->hint = text_of(o, "hint");
    }
    cJSON_Delete(o);
}

bool attempt_event(struct attempt *a)
{
    char bytes[4096], *end;
    ssize_t n = end_read(&a->events, bytes, sizeof bytes);
    bool any = false;
    if (n > 0)
        buf_add(&a->lines, bytes, (size_t)n);
    while (a->lines.size && (end = memchr(a->lines.data, '\n', a->lines.size))) {
        *end = 0;
        event_take(a, a->lines.data);
        buf_drop(&a->lines, (size_t)(end - a->lines.data) + 1);
        any = true;
    }
    return any;
}

void attempt_reap(struct attempt *a)
{
    if (a->pid <= 0 || waitpid(a->pid, &a->wait_status, WNOHANG) != a->pid)
        return;
    a->pid = 0;
    a->over = true;
}

/* The child ended without a word: somebody killed it. */
static void fate_guess(struct attempt *a)
{
    bool killed = WIFSIGNALED(a->wait_status);
    int number = killed ? WTERMSIG(a->wait_status) : WEXITSTATUS(a->wait_status);
    const char *name = killed ? sigabbrev_np(number) : NULL;
    a->told = true;
    a->crashed = true;
    a->status = killed ? 128 + number : number;
    a->message = name ? alloc_printf("the machine's process was ended by SIG%s", name)
                      : alloc_printf("the machine's process ended with status %d", number);
}

bool attempt_over(struct attempt *a)
{
    bool over = a->over && a->pid == 0 && a->out < 0 && a->err < 0 && a->events < 0;
    if (over && !a->told && !a->message)
        fate_guess(a);
    return over;
}
