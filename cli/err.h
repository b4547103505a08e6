/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, for the one place that prints it (main.c): a sentence without
 * the leading `ops:`, a hint on what to do (may be NULL) and the exit status.
 * Functions that can fail take a `struct err *` and return false after filling it.
 */
#pragma once

#include <stdbool.h>

struct err {
    char *message;
    char *hint;
    int exit;
};

/* Fills `e`, replacing what it held. Always false, so `return err_set(...)` reads well. */
bool err_set(struct err *e, int exit, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "cannot VERB PATH: strerror(errno)", with a hint where the errno has an obvious one. */
bool err_errno(struct err *e, const char *verb, const char *path);

/* Replaces the hint; `fmt` as printf's. */
void err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_free(struct err *e);
