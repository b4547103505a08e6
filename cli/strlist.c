/* SPDX-License-Identifier: Apache-2.0 */
/* The growing list of strings: see strlist.h. */
#include "strlist.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

static void strlist_take(struct strlist *l, char *s)
{
    if (!l->items || (l->count & (l->count + 1)) == 0) /* full at 2^n - 1 */
        l->items = alloc_array(l->items, 2 * (l->count + 1), sizeof *l->items);
    l->items[l->count++] = s;
    l->items[l->count] = NULL;
}

void strlist_add(struct strlist *l, const char *s)
{
    strlist_take(l, alloc_string(s));
}

void strlist_addf(struct strlist *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strlist_take(l, alloc_vprintf(fmt, ap));
    va_end(ap);
}

void strlist_add_all(struct strlist *l, const struct strlist *from)
{
    for (size_t i = 0; i < from->count; i++)
        strlist_add(l, from->items[i]);
}

void strlist_split(struct strlist *l, const char *s, const char *separators)
{
    while (*s) {
        size_t n = strcspn(s, separators);
        if (n)
            strlist_take(l, alloc_bytes(s, n));
        s += n;
        s += strspn(s, separators);
    }
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

void strlist_free(struct strlist *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct strlist){0};
}
