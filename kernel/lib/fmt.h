/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatting: %d %i %u %x %X %p %s %c %% with the flags 0 - + #, width and
 * precision (also `*`), and the lengths hh h l ll z. No floating point.
 */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

/* snprintf(3): the length the whole text would have; always terminated when n > 0. */
int snprintf(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buf, size_t n, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
