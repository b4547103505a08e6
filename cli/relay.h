/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll loop between the emulator and the world: the program's streams to
 * and from ours, the control channel, signals, the serial line. Buffers are
 * bounded: a slow reader slows the program, not our memory.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "child.h"
#include "err.h"
#include "qemu.h"
#include "tree.h"

/* Ends the machine without asking the program. Not a second SIGTERM: one that has not been taken
 * yet would swallow it. */
#define RELAY_POWER SIGUSR1

/* What somebody wants to know of a machine beside the program's status. */
struct relay_watch {
    void (*started)(struct relay_watch *w); /* the program is about to run */
    bool crashed; /* afterwards: a signal nobody sent ended it, or the machine failed */
};

struct relay_options {
    bool verbose;   /* kernel log and serial line to stderr */
    bool trace;     /* system calls to stderr */
    unsigned limit; /* seconds until the machine is ended; 0: none */
    int stop;       /* the signal that the program gets for SIGTERM; 0: that one */
    const struct forwards *forwards;
    struct relay_watch *watch; /* NULL: nobody */
    const struct tree *tree;   /* where the guest's files come from, for names; NULL */
};

/*
 * Runs until the emulator has ended and everything it said is passed on. `sockets`
 * are our ends; they are closed. Must be called with relay_block_signals() done
 * before the child was started.
 * *status is the program's own, or 128 + signal. False: the machine failed, a
 * signal ended the program, it failed after a missing system call, or its time
 * was over; err says which, and err->exit is the status to end with.
 */
bool relay_run(struct child *c, const int sockets[STREAM_COUNT], const struct relay_options *o,
               int *status, struct err *err);

void relay_block_signals(void);
