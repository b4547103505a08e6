/* SPDX-License-Identifier: Apache-2.0 */
/* What `ops run` does, for instances, which run machines of the same words by themselves. */
#pragma once

#include <stdbool.h>

#include "command.h"
#include "instance.h"
#include "plan.h"
#include "relay.h"

extern const struct option_table run_options;

/* Reads the words after `ops run`, which stay borrowed, and all other settings; `dir` is where they
 * were said, NULL: here. Freed with request_free(), also after a failure. Errors: OPS_EXIT_USAGE.
 */
bool run_request(struct request *r, char **words, const char *dir, bool *help, struct err *err);

/* The name of the program's file, for people. */
const char *run_subject(const struct request *r);

/* Would it run? Settles what the image holds, without making it. */
bool run_check(const struct request *r, struct err *err);

/* Runs the machine to its end. `claimed`: a place that the caller keeps; NULL: r->name says.
 * Errors as relay_run(), and whatever keeps the machine from starting. */
bool run_machine(const struct request *r, const struct instance *claimed, struct relay_watch *watch,
                 int *status, struct err *err);
