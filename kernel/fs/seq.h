/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows: what generators of /proc files write into. No locking. */
#pragma once

#include "lib/types.h"

struct seq {
    char *buf; /* kmalloc'ed; not terminated */
    size_t len, cap;
    int err; /* -ENOMEM once memory was out; later writes do nothing */
    int id;  /* of the numbered directory the file stands in (a thread), else -1 */
};

void seq_write(struct seq *s, const void *data, size_t n);
void seq_text(struct seq *s, const char *text);
/* At most 255 bytes a call. */
void seq_printf(struct seq *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Empties it; keeps nothing allocated. */
void seq_reset(struct seq *s);
