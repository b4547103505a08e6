/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that have a name (`ops run --name`). Each has a directory that only its
 * user may enter, $XDG_RUNTIME_DIR/ops/NAME (without that variable
 * /tmp/ops-UID/NAME):
 *   qmp.sock    QEMU's monitor, QMP
 *   guest.sock  the kernel's ops.instance (include/ops/control.h)
 *   ops.sock    the supervisor of a detached one (supervisor.h)
 *   pid         QEMU's process id
 * The directory is locked (flock) by QEMU and by `ops run` as long as the machine
 * lives; one that nobody has locked is a leftover.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "strlist.h"

#define INSTANCE_QMP   "qmp.sock"
#define INSTANCE_GUEST "guest.sock"
#define INSTANCE_OPS   "ops.sock"
#define INSTANCE_PID   "pid"

struct instance {
    char *name;
    char *dir; /* NULL: none */
    int lock;  /* the directory, -1 while it is not ours */
};

/* Errors: OPS_EXIT_USAGE. */
bool instance_name_check(const char *name, struct err *err);

/* Where that machine's directory is or would be. Errors: no possible name. */
bool instance_place(struct instance *i, const char *name, struct err *err);

/* Makes it and locks it, for a machine that is started. Errors: one of that name runs. */
bool instance_claim(struct instance *i, struct err *err);

bool instance_write_pid(const struct instance *i, pid_t pid, struct err *err);

/* Names of machines that run, in no order. */
void instance_names(struct strlist *names);

/* Errors: no such machine runs. */
bool instance_find(struct instance *i, const char *name, struct err *err);

/* A listening socket there, non-blocking; -1: see err. */
int instance_listen(const struct instance *i, const char *socket, struct err *err);

/* A stream connected to one of its sockets; -1: see err. */
int instance_connect(const struct instance *i, const char *socket, struct err *err);

/* Somebody else, a child process, has the directory from now on. */
void instance_leave(struct instance *i);

/* Removes the directory if it is ours. */
void instance_free(struct instance *i);
