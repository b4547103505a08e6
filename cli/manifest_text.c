/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest as text: see manifest_text.h. */
#include "manifest_text.h"

#include <ctype.h>
#include <string.h>

#include "ops/exit.h"

void manifest_init(struct manifest *m)
{
    memset(m, 0, sizeof *m);
#define INIT_STR(name, initial)   m->name = initial;
#define INIT_LIST(name, initial)  ;
#define INIT_NUM(name, initial)   m->name = initial;
#define INIT_BOOL(name, initial)  m->name = initial;
#define INIT(type, name, initial) INIT_##type(name, initial)
    OPS_MANIFEST_KEYS(INIT)
#undef INIT
}

void manifest_free(struct manifest *m)
{
#define FREE_STR(name)
#define FREE_LIST(name) strlist_free(&m->name);
#define FREE_NUM(name)
#define FREE_BOOL(name)
#define FREE(type, name, initial) FREE_##type(name)
    OPS_MANIFEST_KEYS(FREE)
#undef FREE
}

void manifest_escape(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '\\')
            buf_add(out, "\\\\", 2);
        else if (*s == '\n')
            buf_add(out, "\\n", 2);
        else if ((unsigned char)*s < 0x20)
            buf_addf(out, "\\x%02x", (unsigned char)*s);
        else
            buf_add(out, s, 1);
    }
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The byte of a `\\xHH` at s; 0: it is none. */
static int escaped_byte(const char *s)
{
    int high = s[0] == '\\' && s[1] == 'x' ? hex_digit(s[2]) : -1;
    int low = high >= 0 ? hex_digit(s[3]) : -1;
    return low >= 0 ? 16 * high + low : 0;
}

void manifest_unescape(char *s)
{
    char *to = s;
    int byte;
    while (*s) {
        if (s[0] == '\\' && (s[1] == '\\' || s[1] == 'n')) {
            *to++ = s[1] == 'n' ? '\n' : '\\';
            s += 2;
        } else if ((byte = escaped_byte(s)) != 0) {
            *to++ = (char)byte;
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = 0;
}

static void write_text(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "%s=", name);
    manifest_escape(out, value);
    buf_add(out, "\n", 1);
}

static void write_list(struct buf *out, const char *name, const struct strlist *values)
{
    for (size_t i = 0; i < values->count; i++)
        write_text(out, name, values->items[i]);
}

bool manifest_write(const struct manifest *m, struct buf *out, struct err *err)
{
    size_t before = out->size;
    buf_addf(out, "%s\n", OPS_MANIFEST_MAGIC);
#define WRITE_STR(name, initial)                                                                   \
    if (strcmp(m->name, initial) != 0)                                                             \
        write_text(out, #name, m->name);
#define WRITE_LIST(name, initial) write_list(out, #name, &m->name);
#define WRITE_NUM(name, initial)                                                                   \
    if (m->name != (initial))                                                                      \
        buf_addf(out, "%s=%llu\n", #name, (unsigned long long)m->name);
#define WRITE_BOOL(name, initial)                                                                  \
    if (m->name != (initial))                                                                      \
        buf_addf(out, "%s=%s\n", #name, m->name ? "true" : "false");
#define WRITE(type, name, initial) WRITE_##type(name, initial)
    OPS_MANIFEST_KEYS(WRITE)
#undef WRITE
    if (out->size - before > OPS_MANIFEST_MAX)
        return err_set(err, OPS_EXIT_USAGE, "put long values into files and add them with Files",
                       "arguments and environment are too long: %zu bytes where %u fit",
                       out->size - before, OPS_MANIFEST_MAX);
    return true;
}
