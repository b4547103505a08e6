/* SPDX-License-Identifier: Apache-2.0 */
/* Manifest parser: see include/ops/manifest.h for the format. Two passes: count lists, fill. */
#include "core/manifest.h"

#include <linux/errno.h>

#include "lib/crc.h"
#include "lib/string.h"

enum key_type { KEY_STR, KEY_LIST, KEY_NUM, KEY_BOOL };

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
};

#define KEY_ROW(type, name, def) {#name, KEY_##type, offsetof(struct manifest, name)},
static const struct key keys[] = {OPS_MANIFEST_KEYS(KEY_ROW)};

#define DEFAULT_STR(name, def)       m->name = def;
#define DEFAULT_LIST(name, def)      m->name = (struct manifest_list){0, NULL};
#define DEFAULT_NUM(name, def)       m->name = def;
#define DEFAULT_BOOL(name, def)      m->name = def;
#define KEY_DEFAULT(type, name, def) DEFAULT_##type(name, def)

struct parser {
    struct manifest *m;
    bool fill; /* second pass */
    bool seen[ARRAY_SIZE(keys)];
    const char *why;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Resolves the escapes of a terminated value in place: false if one is malformed. */
static bool unescape(char *s)
{
    char *out = s;
    while (*s) {
        if ((unsigned char)*s < 0x20)
            return false;
        if (*s != '\\') {
            *out++ = *s++;
            continue;
        }
        if (s[1] == '\\' || s[1] == 'n') {
            *out++ = s[1] == 'n' ? '\n' : '\\';
            s += 2;
            continue;
        }
        int hi = s[1] == 'x' ? hex_digit(s[2]) : -1, lo = hi >= 0 ? hex_digit(s[3]) : -1;
        if (lo < 0 || !(hi << 4 | lo))
            return false;
        *out++ = (char)(hi << 4 | lo);
        s += 4;
    }
    *out = '\0';
    return true;
}

static bool parse_number(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (INT64_MAX - (uint64_t)(*s - '0')) / 10)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *out = v;
    return true;
}

static bool set_scalar(struct parser *p, const struct key *k, char *value)
{
    char *field = (char *)p->m + k->offset;
    if (k->type == KEY_STR)
        *(const char **)field = value;
    else if (k->type == KEY_NUM)
        return parse_number(value, (uint64_t *)field);
    else if (!strcmp(value, "true") || !strcmp(value, "false"))
        *(bool *)field = *value == 't';
    else
        return false;
    return true;
}

static bool set_key(struct parser *p, const char *name, char *value)
{
    unsigned i = 0;
    while (i < ARRAY_SIZE(keys) && strcmp(keys[i].name, name))
        i++;
    p->why = "unknown key";
    if (i == ARRAY_SIZE(keys))
        return false;
    const struct key *k = &keys[i];
    if (k->type == KEY_LIST) {
        struct manifest_list *l = (void *)((char *)p->m + k->offset);
        p->why = "bad escape";
        if (p->fill && !unescape(value))
            return false;
        if (p->fill)
            l->item[l->count] = value;
        l->count++;
        return true;
    }
    if (!p->fill)
        return true;
    p->why = "key stands twice";
    if (p->seen[i])
        return false;
    p->seen[i] = true;
    p->why = "bad escape";
    if (!unescape(value))
        return false;
    p->why = "bad value";
    return set_scalar(p, k, value);
}

/* One terminated line. The counting pass must leave the text as it was. */
static bool parse_line(struct parser *p, char *line)
{
    if (!*line || *line == '#')
        return true;
    char *eq = strchr(line, '=');
    p->why = "line without '='";
    if (!eq)
        return false;
    *eq = '\0';
    bool ok = set_key(p, line, eq + 1);
    if (!p->fill)
        *eq = '=';
    return ok;
}

static bool parse_lines(struct parser *p, char *text, size_t n, unsigned *line)
{
    char *s = text, *end = text + n;
    for (*line = 1; s < end; ++*line) {
        char *nl = memchr(s, p->fill ? '\0' : '\n', (size_t)(end - s));
        p->why = "last line is not ended";
        if (!nl)
            return false;
        *nl = '\0';
        p->why = "not a manifest";
        if (*line == 1 ? strcmp(s, OPS_MANIFEST_MAGIC) != 0 : !parse_line(p, s))
            return false;
        s = nl + 1;
    }
    p->why = "empty";
    return *line > 1;
}

static int alloc_lists(struct manifest *m, void *(*alloc)(size_t))
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        struct manifest_list *l = (void *)((char *)m + keys[i].offset);
        if (keys[i].type != KEY_LIST || !l->count)
            continue;
        l->item = alloc(l->count * sizeof *l->item);
        if (!l->item)
            return -ENOMEM;
        l->count = 0;
    }
    return 0;
}

/* Is a sealed text as it was? */
static bool seal_ok(const char *text, size_t n)
{
    const size_t mark = sizeof OPS_MANIFEST_MAGIC, digits = mark + sizeof OPS_MANIFEST_SEAL - 1;
    const size_t rest = digits + 9;
    uint32_t sum = 0;
    if (n < digits || memcmp(text + mark, OPS_MANIFEST_SEAL, digits - mark))
        return true;
    for (size_t i = digits; i < rest - 1; i++) {
        int digit = i < n ? hex_digit(text[i]) : -1;
        if (digit < 0)
            return false;
        sum = sum << 4 | (uint32_t)digit;
    }
    return n >= rest && text[rest - 1] == '\n' && ~crc32c(UINT32_MAX, text + rest, n - rest) == sum;
}

int manifest_parse(struct manifest *m, char *text, size_t n, void *(*alloc)(size_t), unsigned *line,
                   const char **why)
{
    OPS_MANIFEST_KEYS(KEY_DEFAULT)
    struct parser p = {.m = m};
    *line = 0;
    *why = "too large or holds a NUL byte";
    if (n > OPS_MANIFEST_MAX || memchr(text, '\0', n))
        return -EINVAL;
    *line = 2;
    *why = "the text is damaged: its checksum is wrong";
    if (!seal_ok(text, n))
        return -EINVAL;
    bool ok = parse_lines(&p, text, n, line);
    if (ok) {
        int err = alloc_lists(m, alloc);
        if (err)
            return err;
        p.fill = true;
        ok = parse_lines(&p, text, n, line);
    }
    *why = p.why;
    return ok ? 0 : -EINVAL;
}
