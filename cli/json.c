/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places in JSON text: see json.h. cJSON keeps none, so a member is found again by
 * walking the text, which is known to be valid by then.
 */
#include "json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "ops/exit.h"

#define JSON_LINE 100 /* bytes of a line that are shown */

static bool error_at(const struct json_text *t, size_t offset, const char *message, struct err *err)
{
    size_t line = 1, start = 0;
    if (offset > t->size)
        offset = t->size;
    for (size_t i = 0; i < offset; i++) {
        if (t->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    size_t column = offset - start, length = strcspn(t->text + start, "\n");
    size_t skip = column > JSON_LINE - 20 ? column - (JSON_LINE - 20) : 0;
    if (length - skip > JSON_LINE)
        length = skip + JSON_LINE;
    char *shown = alloc_bytes(t->text + start + skip, length - skip);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    err_set(err, OPS_EXIT_USAGE, NULL, "%s:%zu:%zu: %s\n    %s\n    %*s^", t->name, line,
            column + 1, message, shown, (int)(column - skip), "");
    free(shown);
    return false;
}

static const char *skip_space(const char *p)
{
    while (*p && (unsigned char)*p <= ' ')
        p++;
    return p;
}

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    size_t depth = 0;
    for (; *p; p++) {
        if (*p == '"') {
            p = skip_string(p) - 1;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p;
            depth--;
        } else if (depth == 0 && (*p == ',' || (unsigned char)*p <= ' ')) {
            return p;
        }
        if (depth == 0 && (*p == '"' || *p == '}' || *p == ']'))
            return p + 1;
    }
    return p;
}

/* From a key to its value. */
static const char *skip_key(const char *p)
{
    p = skip_space(skip_string(p));
    return skip_space(*p == ':' ? p + 1 : p);
}

static size_t place_offset(const struct json_text *t, const struct json_place *place, bool key)
{
    const char *p = t->text;
    if (strncmp(p, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        p += 3;
    p = skip_space(p);
    for (size_t level = 0; level < place->depth && (*p == '{' || *p == '['); level++) {
        bool object = *p == '{';
        p = skip_space(p + 1);
        for (size_t i = 0; i < place->index[level] && *p; i++) {
            p = skip_space(skip_value(object ? skip_key(p) : p));
            p = skip_space(*p == ',' ? p + 1 : p);
        }
        if (object && !(key && level + 1 == place->depth))
            p = skip_key(p);
    }
    return (size_t)(p - t->text);
}

bool json_error(const struct json_text *t, const struct json_place *place, bool key,
                struct err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *message = alloc_vprintf(fmt, ap);
    va_end(ap);
    error_at(t, place_offset(t, place, key), message, err);
    free(message);
    return false;
}

size_t json_line(const struct json_text *t, const struct json_place *place)
{
    size_t line = 1, offset = place_offset(t, place, true);
    for (size_t i = 0; i < offset && i < t->size; i++)
        line += t->text[i] == '\n';
    return line;
}

/* Is the member's key there once more before it? */
static bool key_repeated(const cJSON *parent, const cJSON *member)
{
    for (const cJSON *m = parent->child; m != member; m = m->next)
        if (strcmp(m->string, member->string) == 0)
            return true;
    return false;
}

static bool keys_check(const struct json_text *t, const cJSON *node, struct json_place *place,
                       struct err *err)
{
    size_t index = 0;
    if (place->depth == JSON_DEPTH)
        return true;
    place->depth++;
    for (const cJSON *m = node->child; m; m = m->next) {
        place->index[place->depth - 1] = index++;
        if (cJSON_IsObject(node) && key_repeated(node, m))
            return json_error(t, place, true, err, "the key \"%s\" is there twice", m->string);
        if (!keys_check(t, m, place, err))
            return false;
    }
    place->depth--;
    return true;
}

cJSON *json_parse(const struct json_text *t, struct err *err)
{
    const char *end = NULL, *nul = memchr(t->text, 0, t->size);
    struct json_place place = {0};
    if (nul) { /* cJSON takes it for a blank */
        error_at(t, (size_t)(nul - t->text), "there is a NUL byte: this is not text", err);
        return NULL;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(t->text, t->size + 1, &end, true);
    if (!root) {
        size_t at = end && end >= t->text ? (size_t)(end - t->text) : t->size;
        error_at(t, at, t->size == 0 ? "the file is empty" : "this is not valid JSON", err);
        err_hint(err, "look at and before the caret for a comma, quote or bracket that is "
                      "missing or too many");
    } else if (!keys_check(t, root, &place, err)) {
        cJSON_Delete(root);
        root = NULL;
    }
    return root;
}
