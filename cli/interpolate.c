/* SPDX-License-Identifier: Apache-2.0 */
/* Variables in strings: see interpolate.h. */
#include "interpolate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"

static size_t name_length(const char *p)
{
    size_t n = 0;
    if (isalpha((unsigned char)*p) || *p == '_')
        while (isalnum((unsigned char)p[n]) || p[n] == '_')
            n++;
    return n;
}

/* The variable at `p`, behind the dollar sign; NULL: not well formed. *end: behind it. */
static char *variable_take(const char *p, const char **end, const char **instead, size_t *length)
{
    bool brace = *p == '{';
    size_t n = name_length(p + brace);
    const char *after = p + brace + n, *close = brace ? strchr(after, '}') : after;
    *instead = NULL;
    if (!n || !close)
        return NULL;
    if (brace && strncmp(after, ":-", 2) == 0) {
        *instead = after + 2;
        *length = (size_t)(close - *instead);
    } else if (brace && after != close) {
        return NULL;
    }
    *end = brace ? close + 1 : close;
    return alloc_bytes(p + brace, n);
}

/* One variable's value into `to`. */
static bool variable_put(struct buf *to, const char *p, const char **end, struct strlist *used,
                         char **missing)
{
    const char *instead;
    size_t length = 0;
    char *name = variable_take(p, end, &instead, &length);
    const char *value = name ? getenv(name) : NULL;
    if (name && !strlist_has(used, name))
        strlist_add(used, name);
    if (value && (*value || !instead))
        buf_add(to, value, strlen(value));
    else if (instead)
        buf_add(to, instead, length);
    else {
        *missing = name ? name : alloc_string("${");
        return false;
    }
    free(name);
    return true;
}

char *interpolate(const char *text, struct strlist *used, char **missing)
{
    struct buf b = {0};
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "$");
        buf_add(&b, p, n);
        p += n;
        if (*p && p[1] == '$') {
            buf_add(&b, "$", 1);
            p += 2;
        } else if (*p && p[1] != '{' && !name_length(p + 1)) {
            buf_add(&b, p++, 1);
        } else if (*p && !variable_put(&b, p + 1, &p, used, missing)) {
            buf_free(&b);
            return NULL;
        }
    }
    buf_add(&b, "", 0);
    return b.data ? b.data : alloc_string("");
}
