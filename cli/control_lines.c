/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the control channel: see control_lines.h. */
#include "control_lines.h"

#include "bootchart.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "manifest_text.h"
#include "ops/control.h"

#define UNSUPPORTED_MOST 64 /* that are told at the end */

static void take_log(struct control *c, char *rest)
{
    char *text = strchr(rest, ' ');
    bool error = strncmp(rest, "error ", 6) == 0;
    if (!text || (!c->verbose && !error))
        return;
    *text++ = 0;
    manifest_unescape(text);
    fprintf(stderr, "kernel: %s%s\n", error ? "error: " : "", text);
}

static void take_trace(struct control *c, char *rest)
{
    manifest_unescape(rest);
    if (c->trace)
        fprintf(stderr, "%s\n", rest);
}

/* Every C library asks for these and is content without: no reason for a failure. */
static bool call_is_optional(const char *name)
{
    static const char *const names[] = {"rseq", "set_robust_list", "membarrier", "statx"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void take_unsupported(struct control *c, char *rest)
{
    if (c->verbose)
        fprintf(stderr, "kernel: the system call %s is not there\n", rest);
    if (c->unsupported.count < UNSUPPORTED_MOST && !call_is_optional(rest) &&
        !strlist_has(&c->unsupported, rest))
        strlist_add(&c->unsupported, rest);
}

static void take_refused(struct control *c, char *rest)
{
    char *address = strchr(rest, ' ');
    (void)c;
    if (!address)
        return;
    *address++ = 0;
    fprintf(stderr, "ops: the program called %s at %s: refused, one image is one process\n", rest,
            address);
}

static void take_listening(struct control *c, char *rest)
{
    chart_listening((unsigned)strtoul(rest, NULL, 10));
    if (c->forwards && (c->verbose || c->announce || isatty(STDERR_FILENO)))
        forwards_announce(c->forwards, (unsigned)strtoul(rest, NULL, 10), stderr);
}

static void take_termios(struct control *c, char *rest)
{
    free(c->termios);
    c->termios_at = strtoull(rest, &rest, 10);
    c->termios = alloc_string(rest);
}

static void take_killed(struct control *c, char *rest)
{
    char *text;
    c->signal = (int)strtol(rest, &text, 10);
    manifest_unescape(text);
    free(c->killed);
    c->killed = alloc_string(*text == ' ' ? text + 1 : text);
}

static void take_crash(struct control *c, char *rest)
{
    manifest_unescape(rest);
    crash_add_line(&c->crash, rest);
}

static void take_frame(struct control *c, char *rest)
{
    manifest_unescape(rest);
    crash_add_frame(&c->crash, rest);
}

static void take_panic(struct control *c, char *rest)
{
    manifest_unescape(rest);
    free(c->panic);
    c->panic = alloc_string(rest);
}

static void take_started(struct control *c, char *rest)
{
    (void)rest;
    chart_started();
    c->started = true;
}

static void take_phase(struct control *c, char *rest)
{
    (void)c;
    chart_phase(rest);
}

static void take_exit(struct control *c, char *rest)
{
    chart_ended();
    c->exited = true;
    c->status = (int)strtol(rest, NULL, 10) & 0xff;
}

static void line_take(struct control *c, char *line)
{
    static const struct {
        const char *name;
        void (*take)(struct control *, char *);
    } words[] = {
        {"log", take_log},         {"trace", take_trace},         {"unsupported", take_unsupported},
        {"refused", take_refused}, {"termios", take_termios},     {"killed", take_killed},
        {"panic", take_panic},     {"exit", take_exit},           {"crash", take_crash},
        {"frame", take_frame},     {"listening", take_listening}, {"started", take_started},
        {"phase", take_phase},
    };
    char *rest = strchr(line, ' ');
    if (!rest)
        return;
    *rest++ = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(line, words[i].name) == 0)
            words[i].take(c, rest);
}

void control_feed(struct control *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            if (c->line.size < OPS_CONTROL_LINE && bytes[i])
                buf_add(&c->line, bytes + i, 1);
            continue;
        }
        buf_add(&c->line, "", 0);
        line_take(c, c->line.data);
        c->line.size = 0;
    }
}

static const char *signal_hint(int number)
{
    switch (number) {
    case SIGSEGV:
    case SIGBUS:
        return "run it on Linux to compare; --trace shows the system calls before it, -v more";
    case SIGILL:
        return "the program may need CPU features that the emulated CPU lacks; ops profile shows "
               "whether KVM is there";
    case SIGKILL:
        return "if memory ran out, give more with -m";
    case SIGABRT:
        return "the program ended itself; its own messages say why";
    default:
        return NULL;
    }
}

static bool verdict_killed(const struct control *c, int sent, struct err *err)
{
    if (c->signal == sent || c->signal == SIGPIPE)
        return true;
    crash_print(&c->crash, stderr);
    const char *name = sigabbrev_np(c->signal);
    return err_set(err, 128 + c->signal, signal_hint(c->signal),
                   "the program was ended by SIG%s%s%s", name ? name : "?", *c->killed ? ": " : "",
                   c->killed);
}

bool control_verdict(const struct control *c, int sent, struct err *err)
{
    if (c->killed)
        return verdict_killed(c, sent, err);
    if (c->status == 0 || c->unsupported.count == 0)
        return true;
    struct buf names = {0};
    for (size_t i = 0; i < c->unsupported.count; i++)
        buf_addf(&names, "%s%s", i ? ", " : "", c->unsupported.items[i]);
    err_set(err, c->status, "-v shows when, --trace what came before",
            "the program ended with status %d after it asked for system calls that are not there: "
            "%s",
            c->status, names.data);
    buf_free(&names);
    return false;
}

void control_free(struct control *c)
{
    buf_free(&c->line);
    free(c->killed);
    free(c->panic);
    free(c->termios);
    strlist_free(&c->unsupported);
    crash_free(&c->crash);
}
