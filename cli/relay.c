/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The poll loop: see relay.h. Our ends of the sockets are non-blocking; the
 * standard streams are shared with others and stay as they are, so they are only
 * touched after poll() and with at most PIPE_BUF bytes at once.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "control_lines.h"
#include "ops/control.h"
#include "ops/exit.h"
#include "terminal.h"

#define RELAY_BUFFER 65536
#define RELAY_TAIL   8192 /* of the serial line and of QEMU's messages */
#define RELAY_GRACE  2000 /* ms for QEMU to end after the program did, or after SIGTERM */

enum {
    POLL_SIGNALS,
    POLL_STDIN,
    POLL_STDOUT,
    POLL_STDERR,
    POLL_MESSAGES,
    POLL_SOCKETS,
    POLL_COUNT = POLL_SOCKETS + STREAM_COUNT
};

struct relay {
    struct child *child;
    const struct relay_options *options;
    int fd[STREAM_COUNT];         /* -1: closed */
    struct buf out[STREAM_COUNT]; /* STDOUT, STDERR: to us; STDIN, CONTROL: to the guest */
    bool stdin_ended;             /* ours */
    bool stdin_shut;              /* the guest's */
    bool broken[STREAM_COUNT];    /* nobody reads our stdout or stderr any more */
    int signals;                  /* signalfd */
    struct control control;
    struct buf serial, messages; /* the newest RELAY_TAIL bytes of each */
    bool child_ended;
    int child_status;
    int sent;          /* last signal passed on */
    int asked;         /* interrupts by the user */
    bool refused;      /* to be suspended; said once */
    bool stopping;     /* SIGTERM was sent to QEMU */
    int64_t deadline;  /* SIGKILL to QEMU at this time; 0: none */
    int64_t limit;     /* when the program's time is over; 0: never */
    bool late;         /* it was */
    bool told;         /* the watch was told that the program started */
    uint64_t output;   /* bytes of stdout that were written so far */
    char *modes;       /* the terminal's next ones, NULL: none */
    uint64_t modes_at; /* `output` when they are due */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void relay_signal_set(sigset_t *set)
{
    static const int numbers[] = {SIGINT,   SIGTERM, SIGHUP,  SIGQUIT,
                                  SIGWINCH, SIGTSTP, SIGCHLD, RELAY_POWER};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(set, numbers[i]);
}

void relay_block_signals(void)
{
    sigset_t set;
    relay_signal_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void stream_close(struct relay *r, int stream)
{
    if (r->fd[stream] >= 0)
        close(r->fd[stream]);
    r->fd[stream] = -1;
}

static void tail_add(struct buf *tail, const char *bytes, size_t n)
{
    buf_add(tail, bytes, n);
    if (tail->size > 2 * RELAY_TAIL)
        buf_drop(tail, tail->size - RELAY_TAIL);
}

static void guest_signal(struct relay *r, int number)
{
    if (number == SIGTERM && r->options->stop)
        number = r->options->stop;
    buf_addf(&r->out[STREAM_CONTROL], "signal %d\n", number);
    r->sent = number;
}

/* Ends QEMU: politely, and by force when the deadline passes. */
static void child_stop(struct relay *r)
{
    if (r->child_ended)
        return;
    kill(r->child->pid, r->stopping ? SIGKILL : SIGTERM);
    r->stopping = true;
    r->deadline = now_ms() + RELAY_GRACE;
}

static void child_reap(struct relay *r)
{
    int status;
    if (waitpid(r->child->pid, &status, WNOHANG) != r->child->pid)
        return;
    r->child_ended = true;
    r->child_status = status;
    r->deadline = 0;
}

static void signals_take(struct relay *r)
{
    struct signalfd_siginfo info;
    unsigned rows, columns;
    if (read(r->signals, &info, sizeof info) != sizeof info)
        return;
    switch (info.ssi_signo) {
    case SIGCHLD:
        child_reap(r);
        break;
    case SIGWINCH:
        if (terminal_size(&rows, &columns))
            buf_addf(&r->out[STREAM_CONTROL], "winsize %u %u\n", rows, columns);
        break;
    case SIGTSTP: /* nothing could wake the program again: it has no parent */
        if (!r->refused)
            fprintf(stderr, "\nops: a machine cannot be suspended; Ctrl-C ends its program\n");
        r->refused = true;
        break;
    case RELAY_POWER:
        r->asked = 2;
        r->sent = SIGTERM;
        child_stop(r);
        break;
    default:
        guest_signal(r, (int)info.ssi_signo);
        if (info.ssi_signo != SIGQUIT && ++r->asked > 1)
            child_stop(r);
        break;
    }
}

/* Our standard input into the buffer for the guest. */
static void stdin_read(struct relay *r)
{
    char bytes[RELAY_BUFFER];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n > 0) {
        buf_add(&r->out[STREAM_STDIN], bytes, (size_t)n);
        if (isatty(STDIN_FILENO))
            r->asked = 0; /* who types on wants the program to live */
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        r->stdin_ended = true;
}

/* A panic too early for the control channel stands on the serial line. */
static bool serial_panic(const struct relay *r)
{
    static const char mark[] = "kernel panic";
    return r->serial.size && memmem(r->serial.data, r->serial.size, mark, sizeof mark - 1);
}

/* Once the program has ended, or the kernel panicked, QEMU has only so long to follow. */
static void ending_watch(struct relay *r)
{
    bool ending = r->control.exited || r->control.panic || serial_panic(r);
    if (ending && !r->deadline && !r->child_ended)
        r->deadline = now_ms() + RELAY_GRACE;
}

/* New modes for the terminal become due when the output before them is written. */
static void modes_take(struct relay *r)
{
    if (!r->control.termios)
        return;
    free(r->modes);
    r->modes = r->control.termios;
    r->modes_at = r->control.termios_at;
    r->control.termios = NULL;
}

static void modes_apply(struct relay *r)
{
    bool due = r->output >= r->modes_at || r->broken[STREAM_STDOUT] || !isatty(STDOUT_FILENO);
    if (!r->modes || !due)
        return;
    terminal_apply(r->modes);
    free(r->modes);
    r->modes = NULL;
}

/* From a socket of the guest to where it belongs; end of file closes it. */
static void guest_read(struct relay *r, int stream)
{
    char bytes[RELAY_BUFFER];
    size_t room = sizeof bytes;
    if (stream == STREAM_STDOUT || stream == STREAM_STDERR)
        room -= r->out[stream].size;
    ssize_t n = recv(r->fd[stream], bytes, room, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        stream_close(r, stream);
        return;
    }
    if (stream == STREAM_CONTROL) {
        control_feed(&r->control, bytes, (size_t)n);
        modes_take(r);
    } else if (stream == STREAM_SERIAL) {
        tail_add(&r->serial, bytes, (size_t)n);
        if (r->options->verbose)
            fwrite(bytes, 1, (size_t)n, stderr);
    } else if (stream != STREAM_STDIN && !r->broken[stream]) {
        buf_add(&r->out[stream], bytes, (size_t)n);
    }
    if (r->control.started && !r->told && r->options->watch) {
        r->told = true;
        r->options->watch->started(r->options->watch);
    }
    if (stream == STREAM_CONTROL || stream == STREAM_SERIAL)
        ending_watch(r);
}

/* From a buffer to the guest. */
static void guest_write(struct relay *r, int stream)
{
    struct buf *b = &r->out[stream];
    ssize_t n = send(r->fd[stream], b->data, b->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        buf_drop(b, (size_t)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        stream_close(r, stream);
}

/* From a buffer to our stdout or stderr. Without a reader the program gets what it would get on
 * Linux: SIGPIPE, and a stream that takes nothing more. */
static void host_write(struct relay *r, int stream)
{
    struct buf *b = &r->out[stream];
    size_t size = b->size < PIPE_BUF ? b->size : PIPE_BUF;
    if (stream == STREAM_STDOUT && r->modes && r->modes_at - r->output < size)
        size = r->modes_at - r->output; /* the rest is for the next modes */
    ssize_t n = write(stream == STREAM_STDOUT ? STDOUT_FILENO : STDERR_FILENO, b->data, size);
    if (n >= 0) {
        buf_drop(b, (size_t)n);
        if (stream == STREAM_STDOUT)
            r->output += (uint64_t)n;
    } else if (errno != EAGAIN && errno != EINTR) {
        b->size = 0;
        r->broken[stream] = true;
        guest_signal(r, SIGPIPE);
        if (r->fd[stream] >= 0)
            shutdown(r->fd[stream], SHUT_RDWR);
    }
}

static void messages_read(struct relay *r)
{
    char bytes[4096];
    ssize_t n = read(r->child->messages, bytes, sizeof bytes);
    if (n > 0) {
        tail_add(&r->messages, bytes, (size_t)n);
        if (r->options->verbose)
            fwrite(bytes, 1, (size_t)n, stderr);
    } else if (n == 0 || errno != EINTR) {
        close(r->child->messages);
        r->child->messages = -1;
    }
}

static void poll_fill(const struct relay *r, struct pollfd *p)
{
    for (int i = 0; i < POLL_COUNT; i++)
        p[i] = (struct pollfd){.fd = -1};
    p[POLL_SIGNALS] = (struct pollfd){.fd = r->signals, .events = POLLIN};
    p[POLL_MESSAGES] = (struct pollfd){.fd = r->child->messages, .events = POLLIN};
    if (!r->stdin_ended && r->out[STREAM_STDIN].size == 0 && r->fd[STREAM_STDIN] >= 0)
        p[POLL_STDIN] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    if (r->out[STREAM_STDOUT].size)
        p[POLL_STDOUT] = (struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT};
    if (r->out[STREAM_STDERR].size)
        p[POLL_STDERR] = (struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT};
    for (int s = 0; s < STREAM_COUNT; s++) {
        bool to_host = s == STREAM_STDOUT || s == STREAM_STDERR;
        short events = !to_host || r->out[s].size < RELAY_BUFFER ? POLLIN : 0;
        if (!to_host && r->out[s].size)
            events |= POLLOUT;
        p[POLL_SOCKETS + s] = (struct pollfd){.fd = events ? r->fd[s] : -1, .events = events};
    }
}

static void poll_act(struct relay *r, const struct pollfd *p)
{
    if (p[POLL_SIGNALS].revents)
        signals_take(r);
    if (p[POLL_MESSAGES].revents)
        messages_read(r);
    if (p[POLL_STDIN].revents)
        stdin_read(r);
    if (p[POLL_STDOUT].revents)
        host_write(r, STREAM_STDOUT);
    if (p[POLL_STDERR].revents)
        host_write(r, STREAM_STDERR);
    for (int s = 0; s < STREAM_COUNT; s++) {
        short events = p[POLL_SOCKETS + s].revents;
        if (events & POLLOUT && r->fd[s] >= 0)
            guest_write(r, s);
        if (events & (POLLIN | POLLHUP | POLLERR) && r->fd[s] >= 0)
            guest_read(r, s);
    }
    modes_apply(r);
    if (r->stdin_ended && !r->stdin_shut && r->out[STREAM_STDIN].size == 0 &&
        r->fd[STREAM_STDIN] >= 0) {
        shutdown(r->fd[STREAM_STDIN], SHUT_WR); /* QEMU reads what is left, then the end */
        r->stdin_shut = true;
    }
}

/* Is everything said and passed on? */
static bool relay_done(const struct relay *r)
{
    return r->child_ended && r->fd[STREAM_STDOUT] < 0 && r->fd[STREAM_STDERR] < 0 &&
           r->fd[STREAM_CONTROL] < 0 && r->fd[STREAM_SERIAL] < 0 && r->child->messages < 0 &&
           r->out[STREAM_STDOUT].size == 0 && r->out[STREAM_STDERR].size == 0;
}

/* The program's time is over: it may end by itself, as at the first Ctrl-C, then QEMU must. */
static void limit_pass(struct relay *r)
{
    r->limit = 0;
    r->late = true;
    guest_signal(r, SIGTERM);
    if (!r->deadline)
        r->deadline = now_ms() + RELAY_GRACE;
}

/* What has to be done without anything being heard; ms until the next of it, -1: nothing. */
static int64_t deadlines_pass(struct relay *r)
{
    int64_t now = now_ms();
    if (r->child_ended)
        return -1;
    if (r->limit && now >= r->limit)
        limit_pass(r);
    if (r->deadline && now >= r->deadline)
        child_stop(r);
    int64_t next = r->deadline && (!r->limit || r->deadline < r->limit) ? r->deadline : r->limit;
    int64_t left = next ? next - now : -1;
    return left > INT_MAX ? INT_MAX : left;
}

static void relay_loop(struct relay *r)
{
    struct pollfd p[POLL_COUNT];
    while (!relay_done(r)) {
        int left = (int)deadlines_pass(r);
        poll_fill(r, p);
        if (poll(p, POLL_COUNT, left) > 0)
            poll_act(r, p);
    }
}

static const char *tail_text(struct buf *tail)
{
    buf_add(tail, "", 0);
    if (tail->size > RELAY_TAIL)
        buf_drop(tail, tail->size - RELAY_TAIL);
    while (tail->size && tail->data[tail->size - 1] == '\n')
        tail->data[--tail->size] = 0;
    return tail->data;
}

static bool machine_failed(struct relay *r, struct err *err)
{
    bool exited = WIFEXITED(r->child_status);
    int number = exited ? WEXITSTATUS(r->child_status) : WTERMSIG(r->child_status);
    const char *messages = tail_text(&r->messages), *serial = tail_text(&r->serial);
    const char *lines = r->options->verbose ? "" : serial;
    if (r->control.panic || serial_panic(r) || (exited && number == OPS_DEBUG_EXIT_PANIC * 2 + 1))
        return err_set(err, OPS_EXIT_CRASH,
                       "this is a fault of ops, not of the program: report it with the lines above",
                       "the kernel gave up: %s%s%s",
                       r->control.panic ? r->control.panic : "see the lines below",
                       *lines ? "\n" : "", lines);
    if (strcasestr(messages, "cannot allocate memory") || strcasestr(messages, "guest memory"))
        return err_set(err, OPS_EXIT_CRASH, "give the machine less with -m",
                       "the host has not enough memory for the machine: %s", messages);
    return err_set(err, OPS_EXIT_CRASH, "-v shows the kernel's log and QEMU's command line",
                   "the machine ended without the program's exit status (QEMU: %s %d)%s%s%s%s",
                   exited ? "status" : "signal", number, *messages ? "\n" : "", messages,
                   *lines ? "\n" : "", lines);
}

static bool relay_verdict(struct relay *r, int *status, struct err *err)
{
    if (r->late)
        return err_set(err, OPS_EXIT_TIMEOUT, NULL, "the program did not end within %u s",
                       r->options->limit);
    if (r->control.exited && !r->control.panic) {
        *status = r->control.status;
        return control_verdict(&r->control, r->sent, err);
    }
    if (r->asked > 1) {
        *status = 128 + r->sent;
        return true;
    }
    return machine_failed(r, err);
}

bool relay_run(struct child *c, const int sockets[STREAM_COUNT], const struct relay_options *o,
               int *status, struct err *err)
{
    struct relay r = {.child = c, .options = o};
    sigset_t set;
    relay_signal_set(&set);
    r.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r.control.verbose = o->verbose;
    r.control.trace = o->trace;
    r.control.announce = o->watch != NULL; /* an instance's log is the only place to look */
    r.control.forwards = o->forwards;
    r.control.crash.tree = o->tree;
    memcpy(r.fd, sockets, sizeof r.fd);
    for (int s = 0; s < STREAM_COUNT; s++)
        fcntl(r.fd[s], F_SETFL, O_NONBLOCK);
    if (o->limit)
        r.limit = now_ms() + INT64_C(1000) * o->limit;
    child_reap(&r); /* it may have ended before the signalfd was there */
    relay_loop(&r);
    terminal_restore();
    bool ok = relay_verdict(&r, status, err);
    if (o->watch)
        o->watch->crashed = !ok && !r.late && (r.control.killed || !r.control.exited);
    stream_close(&r, STREAM_STDIN);
    close(r.signals);
    for (int s = 0; s < STREAM_COUNT; s++)
        buf_free(&r.out[s]);
    control_free(&r.control);
    free(r.modes);
    buf_free(&r.serial);
    buf_free(&r.messages);
    return ok;
}
