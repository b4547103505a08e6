/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one file being written that must not stay if ops ends before it is done:
 * by a return, exit(), or SIGINT, SIGTERM or SIGHUP. (After SIGKILL the next run
 * sweeps or reuses it.)
 */
#pragma once

#include "err.h"

/* From now on `path` is unlinked at the end of the process. One file at a time. */
void tempfile_guard(const char *path);

/* The file is in place (or gone); nothing will be unlinked. */
void tempfile_release(void);

/* Unlinks the guarded file now. */
void tempfile_remove(void);

/* Opens, empties and locks `temp`, which will be renamed to `path`. Its name is fixed, so that one
 * of a killed ops is used again; the lock says whether somebody is still writing it. -1: see err.
 */
int tempfile_open(const char *temp, const char *path, struct err *err);
