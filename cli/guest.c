/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the kernel in a machine: see guest.h. */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc.h"
#include "lines.h"
#include "manifest_text.h"
#include "ops/exit.h"

static bool request_send(struct lines *l, const struct instance *i, const char *request,
                         struct err *err)
{
    *l = (struct lines){.fd = instance_connect(i, INSTANCE_GUEST, err), .whom = "the machine"};
    char *line = alloc_printf("%s\n", request);
    bool ok = l->fd >= 0 && lines_send(l, line, -1, err);
    free(line);
    return ok;
}

/* The answer's last line: *wrong is what it complains of. */
static void answer_read(const char *line, char **wrong)
{
    if (strcmp(line, "ok") != 0)
        *wrong = alloc_string(strncmp(line, "error ", 6) == 0 ? line + 6 : line);
}

bool guest_ask(const struct instance *i, const char *request, char **wrong, struct err *err)
{
    struct lines l;
    *wrong = NULL;
    char *line = request_send(&l, i, request, err) ? lines_next(&l, err) : NULL;
    bool ok = line != NULL;
    if (ok)
        answer_read(line, wrong);
    lines_close(&l);
    free(line);
    return ok;
}

static bool refused(const struct instance *i, char *wrong, struct err *err)
{
    if (wrong)
        err_set(err, OPS_EXIT_FAILED, NULL, "%s refuses: %s", i->name, wrong);
    free(wrong);
    return !wrong;
}

bool guest_read(const struct instance *i, const char *what, struct strlist *lines, struct err *err)
{
    struct lines l;
    char *request = alloc_printf("read %s", what), *line = NULL, *wrong = NULL;
    bool ok = request_send(&l, i, request, err);
    while (ok && (ok = (line = lines_next(&l, err)) != NULL) && line[0] == ' ') {
        manifest_unescape(line);
        strlist_add(lines, line + 1);
        free(line);
    }
    if (ok)
        answer_read(line, &wrong);
    lines_close(&l);
    free(request);
    free(line);
    return refused(i, wrong, err) && ok;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* ms until then, for poll(); -1: for ever. */
static int left(const struct timespec *end)
{
    struct timespec now;
    if (!end->tv_sec)
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

/* Whether a line is there or on its way. */
static bool line_waited(struct lines *l, const struct timespec *end)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    while (!lines_pending(l)) {
        int ready = interrupted ? 0 : poll(&p, 1, left(end));
        if (ready > 0)
            return true;
        if (ready == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static void calls_take(struct lines *l, unsigned long seconds, guest_call_fn *call, void *arg)
{
    struct timespec end = {0};
    struct err over = {0};
    char *line;
    if (seconds)
        clock_gettime(CLOCK_MONOTONIC, &end), end.tv_sec += (time_t)seconds;
    l->endless = true;
    while (line_waited(l, &end) && (line = lines_next(l, &over)) != NULL) {
        manifest_unescape(line);
        if (line[0] == ' ')
            call(arg, line + 1, 0);
        else if (strncmp(line, "lost ", 5) == 0)
            call(arg, NULL, strtoul(line + 5, NULL, 10));
        free(line);
    }
    err_free(&over); /* the machine has ended: so does the trace */
}

bool guest_trace(const struct instance *i, const char *set, unsigned long seconds,
                 guest_call_fn *call, void *arg, struct err *err)
{
    struct lines l;
    struct sigaction stop = {.sa_handler = on_interrupt}, before;
    char *request = alloc_printf("trace %s", set), *wrong = NULL;
    char *line = request_send(&l, i, request, err) ? lines_next(&l, err) : NULL;
    bool ok = line != NULL;
    if (ok)
        answer_read(line, &wrong);
    if (ok && !wrong) {
        sigaction(SIGINT, &stop, &before);
        calls_take(&l, seconds, call, arg);
        sigaction(SIGINT, &before, NULL);
    }
    lines_close(&l);
    free(request);
    free(line);
    return refused(i, wrong, err) && ok;
}
