/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes. `data` always has a NUL behind `size` bytes once
 * something was added. All zero is empty.
 */
#pragma once

#include <stddef.h>

struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_drop(struct buf *b, size_t n); /* removes the first n bytes */
void buf_free(struct buf *b);
