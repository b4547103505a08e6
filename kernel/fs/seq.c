/* SPDX-License-Identifier: Apache-2.0 */
/* Growing texts: `struct seq` of seq.h. */
#include "fs/seq.h"

#include <linux/errno.h>

#include "lib/fmt.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

void seq_write(struct seq *s, const void *data, size_t n)
{
    if (s->err)
        return;
    if (n > s->cap - s->len) {
        size_t cap = MAX(MAX(s->cap * 2, s->len + n), (size_t)256);
        char *buf = krealloc(s->buf, cap);
        if (!buf) {
            s->err = -ENOMEM;
            return;
        }
        s->buf = buf;
        s->cap = cap;
    }
    memcpy(s->buf + s->len, data, n);
    s->len += n;
}

void seq_text(struct seq *s, const char *text)
{
    seq_write(s, text, strlen(text));
}

void seq_printf(struct seq *s, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    seq_write(s, line, MIN((size_t)MAX(n, 0), sizeof line - 1));
}

void seq_reset(struct seq *s)
{
    kfree(s->buf);
    *s = (struct seq){0};
}
