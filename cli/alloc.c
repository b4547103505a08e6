/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that does not fail: see alloc.h. */
#include "alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/exit.h"

static void *alloc_checked(void *p)
{
    static const char text[] = "ops: out of memory on the host\n";
    if (p)
        return p;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(OPS_EXIT_FAILED);
    exit(OPS_EXIT_FAILED);
}

void *alloc_zero(size_t size)
{
    return alloc_checked(calloc(1, size ? size : 1));
}

void *alloc_array(void *p, size_t count, size_t size)
{
    return alloc_checked(reallocarray(p, count ? count : 1, size));
}

char *alloc_string(const char *s)
{
    return alloc_checked(strdup(s));
}

char *alloc_bytes(const char *s, size_t n)
{
    char *copy = alloc_zero(n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *alloc_vprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    return alloc_checked(vasprintf(&s, fmt, ap) < 0 ? NULL : s);
}

char *alloc_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = alloc_vprintf(fmt, ap);
    va_end(ap);
    return s;
}
