/* SPDX-License-Identifier: Apache-2.0 */
/* What machines left on a disk of `ops build` when they ended badly (include/ops/crashlog.h). */
#pragma once

#include <cjson/cJSON.h>

#include "err.h"

/*
 * The records of a raw disk as a JSON array, oldest first: number, time, kind, status, kernel,
 * reason, details and log (lists of lines). Bytes that are no printable ASCII have become `?`.
 * Errors: no such file, no disk, one without the partition. Freed with cJSON_Delete(); NULL: err.
 */
cJSON *crashlog_read(const char *file, struct err *err);

/* Prints them for people. */
void crashlog_print(const cJSON *records);
