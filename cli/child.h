/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulator as a child process: its own process group (the terminal's Ctrl-C
 * is ours to forward), no standard input, its messages on a pipe, and dead as
 * soon as we are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"
#include "strlist.h"

struct child {
    pid_t pid;
    int messages; /* read end of its stdout and stderr */
};

/* Starts argv[0] with the `count` descriptors of `keep` inherited under their numbers. */
bool child_start(struct child *c, const struct strlist *argv, const int *keep, size_t count,
                 struct err *err);

/* The same for one that first calls `enter` (0 or an errno), to become what it shall be. */
typedef int child_enter(const void *arg);
bool child_start_as(struct child *c, const struct strlist *argv, const int *keep, size_t count,
                    child_enter *enter, const void *arg, struct err *err);

/* Runs a short-lived tool to its end and adds what it prints to `said`. Errors: it does not start,
 * or ends with another status than 0 (the error quotes what it said). */
bool child_collect(const struct strlist *argv, const int *keep, size_t count, struct buf *said,
                   struct err *err);

/* The same for a tool whose statuses mean something. Errors: it does not start, or a signal. */
bool child_status(const struct strlist *argv, const int *keep, size_t count, struct buf *said,
                  int *status, struct err *err);

/* The same, giving what it prints to `line` line by line, and NULL now and then while there is
 * nothing. False of `line` kills the tool and ends the work; *status is then -1. */
typedef bool child_line_fn(void *context, char *line);
bool child_lines(const struct strlist *argv, child_line_fn *line, void *context, int *status,
                 struct err *err);
