/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the program from `-e`, files and secrets: see envfile.h. */
#include "envfile.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define ENVFILE_MAX (1 << 20) /* bytes of a file */
#define SECRET_MAX  (1 << 16)

bool envfile_set(struct config *c, const char *text, const char *origin, struct err *err)
{
    size_t n = strcspn(text, "=");
    if (n == 0)
        return err_set(err, OPS_EXIT_USAGE, "write -e NAME=value", "%s %s names no variable",
                       origin, text);
    const char *value = text[n] ? text + n + 1 : getenv(text);
    if (!value)
        return err_set(err, OPS_EXIT_USAGE, "write -e NAME=value to give it a value",
                       "%s %s: the variable is not set here", origin, text);
    char *name = alloc_bytes(text, n), *entry = alloc_printf("%s=%s", name, value);
    char *key = alloc_printf("Env.%s", name);
    config_set_env(&c->env, entry);
    config_note_origin(c, key, origin);
    if (!text[n])
        strlist_add(&c->variables, name);
    free(key);
    free(entry);
    free(name);
    return true;
}

static bool line_take(struct config *c, const char *file, size_t number, char *line,
                      struct err *err)
{
    size_t n = strlen(line);
    if (n && line[n - 1] == '\r')
        line[n - 1] = 0;
    if (!line[0] || line[0] == '#')
        return true;
    size_t name = strcspn(line, "=");
    char *origin = alloc_printf("%s:%zu", file, number);
    bool ok = true;
    if (name == 0 || strcspn(line, " \t") < name)
        ok = err_set(err, OPS_EXIT_USAGE, "a line is NAME=value, NAME or # a comment",
                     "%s: this line sets no variable: %s", origin, line);
    else if (!line[name] && !getenv(line))
        ok = err_set(err, OPS_EXIT_USAGE, "write NAME=value to give it a value",
                     "%s: the variable %s is not set here", origin, line);
    else
        ok = envfile_set(c, line, origin, err);
    free(origin);
    return ok;
}

bool envfile_load(struct config *c, const char *file, const char *dir, struct err *err)
{
    size_t size, number = 0;
    char *path = path_join(dir ? dir : ".", file), *rest;
    char *text = path_read(dir ? path : file, ENVFILE_MAX, &size, err);
    free(path);
    if (!text)
        return false;
    bool ok = !memchr(text, 0, size) ||
              err_set(err, OPS_EXIT_USAGE, NULL, "%s holds a NUL byte: this is not text", file);
    rest = text;
    for (char *line; ok && (line = strsep(&rest, "\n"));)
        ok = line_take(c, file, ++number, line, err);
    free(text);
    return ok;
}

bool envfile_secret(struct config *c, const char *text, const char *dir, struct err *err)
{
    size_t n = strcspn(text, "="), size;
    if (n == 0 || !text[n] || !text[n + 1])
        return err_set(err, OPS_EXIT_USAGE, "write --secret NAME=FILE",
                       "--secret %s names no variable and file", text);
    const char *file = text + n + 1;
    char *path = path_join(dir ? dir : ".", file);
    char *value = path_read(dir ? path : file, SECRET_MAX, &size, err);
    bool ok = value != NULL;
    if (ok && memchr(value, 0, size))
        ok = err_set(err, OPS_EXIT_USAGE, "base64 makes text of it",
                     "the secret %s holds a NUL byte, which no variable can", file);
    if (ok && size && value[size - 1] == '\n')
        value[size - 1] = 0;
    char *entry = ok ? alloc_printf("%.*s=%s", (int)n, text, value) : NULL;
    if (ok)
        config_set_env(&c->secrets, entry);
    free(entry);
    free(value);
    free(path);
    return ok;
}
