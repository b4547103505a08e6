/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's half of the control channel (include/ops/control.h), line by line:
 * what the kernel reports, collected until the machine has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "crash.h"
#include "err.h"
#include "forward.h"
#include "strlist.h"

struct control {
    bool verbose, trace;             /* what goes to stderr at once */
    bool announce;                   /* forwarded ports also where stderr is no terminal */
    const struct forwards *forwards; /* NULL: they are not told */
    struct buf line;                 /* the unfinished line */
    bool started;                    /* the program */
    bool exited;
    char *termios; /* modes for the terminal, for who takes them from here; NULL: no new ones */
    unsigned long long termios_at; /* bytes of stdout before they apply */
    int status;
    int signal;   /* of `killed`; 0: none */
    char *killed; /* its text */
    char *panic;  /* NULL: none */
    struct crash crash;
    struct strlist unsupported;
};

/* Takes bytes from the guest; complete lines are acted on. */
void control_feed(struct control *c, const char *bytes, size_t n);

/* Sentences for the end: a killed program, or one that failed without a system call it wanted.
 * `sent`: the signal we passed on last, 0 if none. False when there is something to say. */
bool control_verdict(const struct control *c, int sent, struct err *err);

void control_free(struct control *c);
