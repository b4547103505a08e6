/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of an instance's machine, in a child process of the supervisor that does what
 * `ops run` does in the foreground. Its streams are pipes; a third pipe tells by lines
 * of JSON that the program started, and how it ended. It dies with the supervisor, and
 * QEMU with it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct supervised;

struct attempt {
    pid_t pid;            /* 0: none, or it has ended */
    int out, err, events; /* read ends; -1: at their end */
    int wait_status;
    struct buf lines, said; /* of `events`; the newest of its standard error */
    bool started;
    bool over; /* it could not be started at all */
    bool told; /* how it ended */
    /* How it ended: */
    int status;
    bool crashed;
    char *message, *hint; /* NULL: none */
};

#define ATTEMPT_NONE                                                                               \
    {                                                                                              \
        .out = -1, .err = -1, .events = -1                                                         \
    }

bool attempt_start(struct attempt *a, struct supervised *in, struct err *err);

/* Reads what stream 0 (out) or 1 (err) has; 0: at its end, -1: nothing now. */
ssize_t attempt_read(struct attempt *a, int stream, char *bytes, size_t n);

/* Takes what the child tells. True: something new is known. */
bool attempt_event(struct attempt *a);

/* After SIGCHLD. */
void attempt_reap(struct attempt *a);

/* Has it ended, and was all read? Then the fields say how. */
bool attempt_over(struct attempt *a);
