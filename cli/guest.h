/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel in a running machine, asked over its ops.instance (include/ops/control.h). */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "instance.h"
#include "strlist.h"

/* *wrong is the kernel's own sentence when it will not, freed with free(); NULL: all is well. */
bool guest_ask(const struct instance *i, const char *request, char **wrong, struct err *err);

/* The lines of a text of the kernel's: "meminfo", "threads", ... */
bool guest_read(const struct instance *i, const char *what, struct strlist *lines, struct err *err);

/* A traced call, or with `lost` so many that are missing (`text` is NULL then). */
typedef void guest_call_fn(void *arg, const char *text, unsigned long lost);
/* Has calls of the set traced: until the machine ends, `seconds` are over (0: never), or SIGINT. */
bool guest_trace(const struct instance *i, const char *set, unsigned long seconds,
                 guest_call_fn *call, void *arg, struct err *err);
