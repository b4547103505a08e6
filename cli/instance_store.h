/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays of instances while they do not run: a directory each in
 * $XDG_STATE_HOME/ops/instances (else ~/.local/state/ops/instances), with
 *   config.json  the words after `ops run`, where they were said, the environment
 *   state.json   what happened last; only who holds the lock writes it
 *   lock         locked (F_OFD_SETLK) by the supervisor as long as the instance lives
 *   log, log.1   what the program wrote (instance_log.h)
 * Files appear whole, by rename; making, naming and deleting go under a lock on the
 * directory of all. A state that says `running` while nobody holds the lock means that
 * the supervisor was killed.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "strlist.h"

/* Values of the state's `state`; `paused` is QEMU's, not the file's. */
#define STATE_CREATED    "created"
#define STATE_STARTING   "starting"
#define STATE_RUNNING    "running"
#define STATE_PAUSED     "paused"
#define STATE_RESTARTING "restarting" /* it has ended, and waits to be started again */
#define STATE_EXITED     "exited"     /* the program ended, or was stopped */
#define STATE_CRASHED    "crashed"    /* a signal ended it, or the machine failed */

struct stored {
    char *name;
    int dir;
    int lock; /* -1: not ours */
};

/* The names there are, sorted. */
bool store_names(struct strlist *names, struct err *err);

/* Is the name not an instance's? False: see err. */
bool store_free(const char *name, struct err *err);

/* Errors: exists already. `config` stays the caller's. */
bool store_create(const char *name, const cJSON *config, struct err *err);

/* Errors: unknown, with the nearest name. Closed with store_close(), also after a failure. */
bool store_open(struct stored *s, const char *name, struct err *err);
void store_close(struct stored *s);

/* Whether somebody holds its lock. */
bool store_locked(const struct stored *s);

/* Takes the lock until store_close(), also in child processes. Errors: it is running. */
bool store_lock(struct stored *s, struct err *err);

/* Freed with cJSON_Delete(). NULL: see err. */
cJSON *store_config(const struct stored *s, struct err *err);

/* Never NULL; the state of one whose supervisor was killed is `crashed`. */
cJSON *store_state(const struct stored *s);

/* Of a state: does the instance live? */
bool store_alive(const cJSON *state);

/* With the lock. On a full disk the old file's room is used. */
bool store_write_state(const struct stored *s, const cJSON *state, struct err *err);

/* With the lock. */
bool store_delete(const struct stored *s, struct err *err);
bool store_rename(const struct stored *s, const char *name, struct err *err);
