/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's machine protocol: requests, answers and events as JSON, a line each. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "instance.h"
#include "lines.h"

struct qmp {
    struct lines lines;
    cJSON *events; /* that came between answers */
};

/* Waits for its turn: QEMU serves one at a time. */
bool qmp_open(struct qmp *q, const struct instance *i, struct err *err);

/* Runs a command; takes over `arguments` (NULL: none); `fd` goes with it if it is not -1.
 * *value, if asked for, is freed with cJSON_Delete(). Errors: QEMU's own sentence. */
bool qmp_run(struct qmp *q, const char *command, cJSON *arguments, int fd, cJSON **value,
             struct err *err);

/* Waits for the event about that device. */
bool qmp_wait(struct qmp *q, const char *event, const char *device, struct err *err);

void qmp_close(struct qmp *q);
