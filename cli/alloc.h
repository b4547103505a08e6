/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is always there: when the host has none left these say one
 * sentence and exit with OPS_EXIT_FAILED (temporary files are removed on the
 * way, see tempfile.h). Results are freed with free().
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

void *alloc_zero(size_t size);
/* `p` grown or shrunk to `count` items of `size` bytes. */
void *alloc_array(void *p, size_t count, size_t size);
char *alloc_string(const char *s);
char *alloc_bytes(const char *s, size_t n); /* a copy of n bytes, NUL added */
char *alloc_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *alloc_vprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
