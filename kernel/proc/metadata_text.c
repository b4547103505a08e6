/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of clouds: see metadata_text.h. */
#include "proc/metadata_text.h"

#include "lib/string.h"

#define LABEL_MAX 63u

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind "key" and the colon, where a key may begin; NULL: another text begins there. */
static const char *key_match(const char *p, const char *key)
{
    bool quoted = *p == '"';
    size_t n = strlen(key);
    p += quoted;
    if (strncmp(p, key, n))
        return NULL;
    p += n;
    if (quoted && *p++ != '"')
        return NULL;
    while (is_blank(*p))
        p++;
    if (*p++ != ':')
        return NULL;
    while (is_blank(*p))
        p++;
    return p;
}

bool metadata_value(const char *text, const char *key, char *out, size_t size)
{
    const char *value = NULL;
    bool start = true; /* a key may begin here */
    for (const char *p = text; *p && !value; p++) {
        if (start || *p == '"')
            value = key_match(p, key);
        start = *p == '\n' || *p == '{' || *p == ',' || (start && is_blank(*p));
    }
    if (!value)
        return false;
    char quote = *value == '"' || *value == '\'' ? *value : '\0';
    size_t n = 0;
    for (value += quote != '\0'; *value && *value != '\n' && *value != '\r'; value++) {
        if (quote ? *value == quote : *value == ',' || *value == '}' || is_blank(*value))
            break;
        if (n + 1 < size)
            out[n++] = *value;
    }
    out[n] = '\0';
    return n;
}

bool metadata_hostname(char *name)
{
    size_t n = 0;
    while (is_alnum(name[n]) || (name[n] == '-' && n))
        n++;
    bool sound = n && n <= LABEL_MAX && name[n - 1] != '-' &&
                 (!name[n] || name[n] == '.' || name[n] == '\n' || name[n] == '\r');
    name[n] = '\0';
    return sound;
}

/* Ends the line at `p`; what follows it, NULL: nothing. */
static char *line_end(char *p)
{
    char *end = strchr(p, '\n'), *next = end ? end + 1 : NULL;
    end = end ? end : p + strlen(p);
    if (end > p && end[-1] == '\r')
        end--;
    *end = '\0';
    return next;
}

char *metadata_variable(char **rest, unsigned *bad)
{
    while (*rest) {
        char *line = *rest;
        size_t n = 0;
        *rest = line_end(line);
        while (is_blank(*line))
            line++;
        while (is_alnum(line[n]) || line[n] == '_')
            n++;
        if (n && line[n] == '=' && !(line[0] >= '0' && line[0] <= '9'))
            return line;
        *bad += *line && *line != '#';
    }
    return NULL;
}

bool metadata_is_foreign(const char *text)
{
    static const char *const heads[] = {
        "#!",           "#cloud-",       "#include",     "#upstart", "#part-handler",
        "## template:", "Content-Type:", "MIME-Version:"};
    bool foreign = text[0] == '\x1f'; /* gzip */
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
        foreign |= !strncmp(text, heads[i], strlen(heads[i]));
    return foreign;
}

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t metadata_base64(char *text, size_t n)
{
    size_t out = 0, i = 0;
    unsigned bits = 0, have = 0;
    for (; i < n && text[i] != '='; i++) {
        int v = digit64(text[i]);
        if (v < 0 && text[i] != '\n' && text[i] != '\r')
            return -1;
        if (v < 0)
            continue;
        bits = (bits << 6 | (unsigned)v) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            text[out++] = (char)(bits >> have);
        }
    }
    for (; i < n; i++)
        if (text[i] != '=' && text[i] != '\n' && text[i] != '\r')
            return -1;
    text[out] = '\0';
    return have < 6 ? (ssize_t)out : -1;
}
