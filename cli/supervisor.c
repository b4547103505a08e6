/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's loop: see supervisor.h. One poll() over the attempt's streams and
 * its reports, the clients and the signals; it never waits anywhere else.
 */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "attempt.h"
#include "buf.h"
#include "instance.h"
#include "instance_log.h"
#include "ops/exit.h"
#include "relay.h"
#include "supervised.h"

#define BACKOFF_LEAST 100   /* ms until it is started again; doubled each time */
#define BACKOFF_MOST  60000 /* but not over this */
#define BACKOFF_CALM  10000 /* a program that ran so long was well */
#define STOP_SECONDS  10    /* when somebody ends us by SIGTERM */
#define REASON_MOST   1000
#define STOP_FORCE    5000 /* ms for QEMU after the power was cut */

enum { WATCH_SIGNALS, WATCH_LISTEN, WATCH_OUT, WATCH_ERR, WATCH_EVENTS, WATCH_CLIENTS };

struct supervisor {
    struct supervised *in;
    struct instance_log log;
    struct attempt attempt;
    cJSON *state;
    int signals;
    int *clients;
    size_t client_count;
    bool stopping;
    bool waiting;     /* for the time to start it again */
    int power;        /* times the program or QEMU was asked to end */
    int64_t deadline; /* of the next of them, or of the next start; 0: none */
    int64_t began;    /* this attempt's program; 0: not yet */
    int64_t backoff;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void state_text(struct supervisor *s, const char *key, const char *text)
{
    cJSON_DeleteItemFromObject(s->state, key);
    if (text)
        cJSON_AddStringToObject(s->state, key, text);
}

static void state_number(struct supervisor *s, const char *key, double number)
{
    cJSON_DeleteItemFromObject(s->state, key);
    cJSON_AddNumberToObject(s->state, key, number);
}

static void state_time(struct supervisor *s, const char *key)
{
    char time[LOG_TIME];
    log_time(time);
    state_text(s, key, time);
}

/* A state that cannot be written is said in the log, and tried again at the next change. */
static void state_write(struct supervisor *s)
{
    struct err err = {0};
    if (!store_write_state(&s->in->store, s->state, &err)) {
        char *line = alloc_printf("ops: %s\n", err.message);
        log_write(&s->log, LOG_ERR, line, strlen(line));
        free(line);
    }
    err_free(&err);
}

static void attempt_begin(struct supervisor *s)
{
    struct err err = {0};
    s->began = 0;
    if (attempt_start(&s->attempt, s->in, &err))
        return;
    s->attempt.status = OPS_EXIT_FAILED;
    s->attempt.crashed = true;
    s->attempt.message = alloc_string(err.message);
    s->attempt.over = true;
    err_free(&err);
}

/* The program runs: who started us may go. */
static void attempt_started(struct supervisor *s)
{
    s->began = now_ms();
    state_text(s, "state", STATE_RUNNING);
    state_time(s, "started");
    state_text(s, "finished", NULL);
    state_text(s, "reason", NULL);
    cJSON_DeleteItemFromObject(s->state, "exitStatus");
    state_write(s);
    supervised_report(s->in, NULL);
}

/* The next step of ending it: the program, then QEMU by the power, then all of it. */
static void stop_step(struct supervisor *s)
{
    if (s->attempt.pid <= 0)
        return;
    static const int signals[] = {SIGTERM, RELAY_POWER, SIGKILL};
    kill(s->attempt.pid, signals[s->power < 2 ? s->power : 2]);
    s->power++;
    s->deadline = now_ms() + STOP_FORCE;
}

static void stop(struct supervisor *s, unsigned long seconds)
{
    bool first = !s->stopping;
    s->stopping = true;
    if (s->attempt.pid <= 0)
        return; /* it waited to be started again */
    if (first)
        stop_step(s);
    int64_t latest = now_ms() + (int64_t)seconds * 1000;
    if (first || latest < s->deadline)
        s->deadline = latest;
}

static void signals_take(struct supervisor *s)
{
    struct signalfd_siginfo info;
    if (read(s->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGCHLD)
        attempt_reap(&s->attempt);
    else
        stop(s, STOP_SECONDS);
}

static void client_add(struct supervisor *s)
{
    int fd = accept4(s->in->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    s->clients = alloc_array(s->clients, s->client_count + 1, sizeof *s->clients);
    s->clients[s->client_count++] = fd;
}

/* A request comes whole: it is one short write to a new connection. */
static void client_take(struct supervisor *s, size_t i)
{
    char line[64];
    ssize_t n = recv(s->clients[i], line, sizeof line - 1, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close(s->clients[i]);
        s->clients[i] = s->clients[--s->client_count];
        return;
    }
    line[n] = 0;
    if (strncmp(line, "stop ", 5) == 0)
        stop(s, strtoul(line + 5, NULL, 10));
}

static void streams_take(struct supervisor *s, const struct pollfd *p)
{
    static const enum log_stream streams[] = {LOG_OUT, LOG_ERR};
    char bytes[65536];
    for (int i = 0; i < 2; i++) {
        ssize_t n =
            p[WATCH_OUT + i].revents ? attempt_read(&s->attempt, i, bytes, sizeof bytes) : 0;
        if (n > 0)
            log_write(&s->log, streams[i], bytes, (size_t)n);
    }
    if (p[WATCH_EVENTS].revents && attempt_event(&s->attempt) && s->attempt.started && !s->began)
        attempt_started(s);
}

static bool restart_wanted(const struct supervisor *s)
{
    const char *policy = s->in->request.settings.restart;
    if (s->stopping || !policy || strcmp(policy, "no") == 0 || s->in->report >= 0)
        return false;
    return strcmp(policy, "always") == 0 || s->attempt.crashed || s->attempt.status != 0;
}

/* What failing machines say may be long, and the state has its size. */
static void state_reason(struct supervisor *s, const char *message)
{
    char *text = message ? alloc_bytes(message, strnlen(message, REASON_MOST)) : NULL;
    state_text(s, "reason", text);
    free(text);
}

/* The attempt is over: true when another follows. */
static bool attempt_end(struct supervisor *s)
{
    struct attempt *a = &s->attempt;
    bool again = restart_wanted(s);
    if (s->in->report >= 0)
        supervised_report(s->in, a);
    state_text(s, "state", again ? STATE_RESTARTING : a->crashed ? STATE_CRASHED : STATE_EXITED);
    state_number(s, "exitStatus", a->status);
    state_reason(s, a->message);
    state_time(s, "finished");
    if (again) {
        double restarts = cJSON_GetNumberValue(cJSON_GetObjectItem(s->state, "restarts"));
        state_number(s, "restarts", restarts >= 0 ? restarts + 1 : 1);
        if (s->began && now_ms() - s->began >= BACKOFF_CALM)
            s->backoff = 0;
        s->backoff = s->backoff ? 2 * s->backoff : BACKOFF_LEAST;
        s->backoff = s->backoff < BACKOFF_MOST ? s->backoff : BACKOFF_MOST;
        s->deadline = now_ms() + s->backoff;
    }
    state_write(s);
    return again;
}

static void deadline_pass(struct supervisor *s)
{
    s->deadline = 0;
    if (!s->waiting) {
        stop_step(s);
        return;
    }
    s->waiting = false;
    state_text(s, "state", STATE_STARTING);
    state_write(s);
    attempt_begin(s);
}

static struct pollfd *poll_make(const struct supervisor *s)
{
    size_t count = WATCH_CLIENTS + s->client_count;
    struct pollfd *p = alloc_array(NULL, count, sizeof *p);
    const int fds[] = {s->signals, s->in->listen, s->attempt.out, s->attempt.err,
                       s->attempt.events};
    for (size_t i = 0; i < count; i++)
        p[i] = (struct pollfd){.fd = i < WATCH_CLIENTS ? fds[i] : s->clients[i - WATCH_CLIENTS],
                               .events = POLLIN};
    return p;
}

/* Until the next thing happened. */
static void step(struct supervisor *s)
{
    struct pollfd *p = poll_make(s);
    size_t clients = s->client_count;
    int64_t left = s->deadline ? s->deadline - now_ms() : -1;
    if (s->deadline && left <= 0) {
        deadline_pass(s);
    } else if (poll(p, WATCH_CLIENTS + clients, (int)(left < 1000000 ? left : 1000000)) > 0) {
        if (p[WATCH_SIGNALS].revents)
            signals_take(s);
        streams_take(s, p);
        for (size_t i = clients; i-- > 0;)
            if (p[WATCH_CLIENTS + i].revents)
                client_take(s, i);
        if (p[WATCH_LISTEN].revents)
            client_add(s);
    }
    free(p);
}

static void loop(struct supervisor *s)
{
    for (;;) {
        if (!s->waiting && attempt_over(&s->attempt)) {
            s->deadline = 0;
            if (!attempt_end(s))
                return;
            s->waiting = true;
        }
        if (s->waiting && s->stopping) { /* it is not started again after all */
            state_text(s, "state", s->attempt.crashed ? STATE_CRASHED : STATE_EXITED);
            state_write(s);
            return;
        }
        step(s);
    }
}

/* Locks are free and the state is written before anybody hears of the end. */
static void finish(struct supervisor *s)
{
    struct err ignored = {0};
    char *answer = alloc_printf("ended %d\n", s->attempt.status);
    if (s->in->request.rm)
        store_delete(&s->in->store, &ignored);
    close(s->in->listen);
    instance_free(&s->in->place);
    close(s->in->store.lock);
    for (size_t i = 0; i < s->client_count; i++)
        send(s->clients[i], answer, strlen(answer), MSG_NOSIGNAL);
    free(answer);
    err_free(&ignored);
}

static int signals_open(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void supervisor_main(struct supervised *in)
{
    struct supervisor s = {.in = in, .attempt = ATTEMPT_NONE};
    struct err err = {0};
    s.signals = signals_open();
    s.state = cJSON_CreateObject();
    state_text(&s, "state", STATE_STARTING);
    if (!log_open(&s.log, in->store.dir, in->request.settings.log_size, &err) ||
        !store_write_state(&in->store, s.state, &err)) {
        s.attempt.message = alloc_string(err.message);
        s.attempt.status = OPS_EXIT_FAILED;
        supervised_report(in, &s.attempt);
    } else {
        attempt_begin(&s);
        loop(&s);
    }
    finish(&s);
}
