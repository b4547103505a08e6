/* SPDX-License-Identifier: Apache-2.0 */
/* The growing run of bytes: see buf.h. */
#include "buf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (b->size + n + 1 > b->capacity) {
        b->capacity = 2 * (b->size + n + 1);
        b->data = alloc_array(b->data, b->capacity, 1);
    }
    if (n)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
    b->data[b->size] = 0;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = alloc_vprintf(fmt, ap);
    va_end(ap);
    buf_add(b, s, strlen(s));
    free(s);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->size - n);
    b->size -= n;
    b->data[b->size] = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}
