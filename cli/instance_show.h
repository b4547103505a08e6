/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of `ops instance` that only look. */
#pragma once

#include "instance.h"
#include "qmp.h"
#include "verbs.h"

verb_fn instance_list, instance_inspect, instance_stats, instance_logs, instance_ps, instance_top,
    instance_dmesg, instance_trace;

/* A machine that runs, and its monitor. */
struct live {
    struct instance place;
    struct qmp qmp;
};

/* Closed with live_close(), also after a failure. Errors: unknown, or it does not run. */
bool live_open(struct live *l, const char *name, struct err *err);
void live_close(struct live *l);
/* Errors: it is paused, so that nobody in it answers. */
bool live_awake(struct live *l, struct err *err);

/* A number of an option; `what` names the option in errors. */
bool verb_number(const char *text, const char *what, unsigned long most, unsigned long *number,
                 struct err *err);
