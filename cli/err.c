/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as values: filled where they happen, printed once by main.c. */
#include "err.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ops/exit.h"

bool err_set(struct err *e, int exit, const char *hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = alloc_vprintf(fmt, ap);
    va_end(ap);
    char *copy = hint ? alloc_string(hint) : NULL;
    err_free(e);
    *e = (struct err){.message = message, .hint = copy, .exit = exit};
    return false;
}

static const char *errno_hint(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return "free some space there, or choose another place";
    case EACCES:
    case EPERM:
        return "check its owner and mode, or run as a user who may";
    case ENOENT:
        return "check the spelling and the current directory";
    case EROFS:
        return "the filesystem is mounted read-only; choose another place";
    default:
        return NULL;
    }
}

bool err_errno(struct err *e, const char *verb, const char *path)
{
    int number = errno;
    char *text = alloc_string(number == ENOENT ? "no such file" : strerror(number));
    if (isupper((unsigned char)text[0]) && islower((unsigned char)text[1]))
        text[0] = (char)tolower((unsigned char)text[0]);
    err_set(e, OPS_EXIT_FAILED, errno_hint(number), "cannot %s %s: %s", verb, path, text);
    free(text);
    return false;
}

void err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *hint = alloc_vprintf(fmt, ap);
    va_end(ap);
    free(e->hint);
    e->hint = hint;
}

void err_free(struct err *e)
{
    free(e->message);
    free(e->hint);
    *e = (struct err){0};
}
