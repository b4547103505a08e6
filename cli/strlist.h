/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing list of strings. `items` ends with a NULL, so that it serves as an
 * argv. The list owns its strings. All zero is an empty list (items may be NULL).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strlist {
    char **items;
    size_t count;
};

void strlist_add(struct strlist *l, const char *s); /* a copy of s */
void strlist_addf(struct strlist *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strlist_add_all(struct strlist *l, const struct strlist *from);
/* Adds what stands between the separators of `s`; empty parts are skipped. */
void strlist_split(struct strlist *l, const char *s, const char *separators);
bool strlist_has(const struct strlist *l, const char *s);
void strlist_free(struct strlist *l); /* leaves an empty list */
