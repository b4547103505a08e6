/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that keeps a detached machine: a session of its own, no terminal, one
 * an instance and no daemon beside it. It holds the locks of both directories (the
 * stored one and the machine's), runs each attempt in a child process, writes log and
 * state, and starts again as --restart says. Killed, it takes the machine with it.
 *
 * It listens on ops.sock in the machine's directory. A request is a line, answered when
 * the instance has ended for good and its locks are free:
 *   wait           -> ended STATUS
 *   stop SECONDS   SIGTERM to the program, after that time the power; the same answer
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "instance_store.h"
#include "plan.h"

/* `ops run -d`: makes the instance, starts it and prints its name. Errors: the instance does not
 * exist then. */
bool supervisor_detach(const struct request *r, char **words, int *status, struct err *err);

/* Makes an instance of these words without starting it; its name is freed with free(). NULL: see
 * err. */
char *supervisor_create(const struct request *r, char **words, struct err *err);

/* Starts it, and returns when its program runs. Errors: what kept it from that. */
bool supervisor_start(const char *name, struct err *err);

/* Sends the request to the supervisor: a socket that can be read once there is an answer.
 * -1 without an error: nobody is there. */
int supervisor_ask(const char *name, const char *request, struct err *err);

/* Waits for the answer; the socket is closed. False without an error: there will be none. */
bool supervisor_answer(int fd, int *status);
