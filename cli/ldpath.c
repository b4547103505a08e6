/* SPDX-License-Identifier: Apache-2.0 */
/* Where the dynamic loaders look: see ldpath.h and ld.so(8). */
#include "ldpath.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"

#define LDPATH_DEPTH 8         /* files that include files */
#define LDPATH_FILE  (1 << 20) /* bytes of one such file */

bool ldpath_is_musl(const char *loader)
{
    return strncmp(path_basename(loader), "ld-musl-", 8) == 0;
}

static void conf_read(struct strlist *dirs, const char *path, int depth);

static void conf_include(struct strlist *dirs, const char *pattern, const char *from, int depth)
{
    char *dir = path_dirname(from), *full = path_join(dir, pattern);
    glob_t found;
    if (glob(full, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            conf_read(dirs, found.gl_pathv[i], depth + 1);
        globfree(&found);
    }
    free(full);
    free(dir);
}

/* One ld.so.conf: directories and `include PATTERN` lines; the rest is of no interest here. */
static void conf_read(struct strlist *dirs, const char *path, int depth)
{
    struct err err = {0};
    char *text = depth < LDPATH_DEPTH ? path_read(path, LDPATH_FILE, NULL, &err) : NULL;
    struct strlist lines = {0};
    if (text)
        strlist_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.count; i++) {
        char *line = lines.items[i];
        line[strcspn(line, "#")] = 0;
        struct strlist words = {0};
        strlist_split(&words, line, " \t\r:,");
        bool include = words.count > 1 && strcmp(words.items[0], "include") == 0;
        for (size_t w = include; w < words.count; w++) {
            if (include)
                conf_include(dirs, words.items[w], path, depth);
            else if (words.items[w][0] == '/' && !strlist_has(dirs, words.items[w]))
                strlist_add(dirs, words.items[w]);
        }
        strlist_free(&words);
    }
    strlist_free(&lines);
    free(text);
    err_free(&err);
}

static void musl_add(struct strlist *dirs, const char *loader, const char *root)
{
    struct err err = {0};
    char *arch = alloc_string(path_basename(loader) + strlen("ld-musl-"));
    arch[strcspn(arch, ".")] = 0;
    char *path = alloc_printf("%s/etc/ld-musl-%s.path", root ? root : "", arch);
    char *text = path_read(path, LDPATH_FILE, NULL, &err);
    strlist_split(dirs, text ? text : "/lib:/usr/local/lib:/usr/lib", ":\n");
    free(text);
    free(path);
    free(arch);
    err_free(&err);
}

void ldpath_add(struct strlist *dirs, const char *loader, const char *root)
{
    static const char *const builtin[] = {
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    };
    if (ldpath_is_musl(loader)) {
        musl_add(dirs, loader, root);
        return;
    }
    if (!root)
        conf_read(dirs, "/etc/ld.so.conf", 0);
    for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++)
        if (!strlist_has(dirs, builtin[i]))
            strlist_add(dirs, builtin[i]);
}

/* The value of the $TOKEN at *at, which is moved behind it; NULL: not a token. */
static const char *token_value(const char **at, const char *origin, const char *lib)
{
    const struct {
        const char *name, *value;
    } tokens[] = {{"ORIGIN", origin}, {"LIB", lib}, {"PLATFORM", "x86_64"}};
    bool brace = (*at)[1] == '{';
    const char *name = *at + 1 + brace;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        size_t n = strlen(tokens[i].name);
        if (strncmp(name, tokens[i].name, n) == 0 && (!brace || name[n] == '}')) {
            *at = name + n + brace;
            return tokens[i].value;
        }
    }
    return NULL;
}

static char *dir_expand(const char *dir, const char *origin, const char *lib)
{
    struct buf b = {0};
    while (*dir) {
        const char *value = *dir == '$' ? token_value(&dir, origin, lib) : NULL;
        if (value)
            buf_add(&b, value, strlen(value));
        else
            buf_add(&b, dir++, 1);
    }
    buf_add(&b, "", 0);
    return b.data;
}

void ldpath_expand(struct strlist *dirs, const char *text, const char *origin)
{
    static const char *const libs[] = {"lib/x86_64-linux-gnu", "lib64", "lib"};
    struct strlist parts = {0};
    strlist_split(&parts, text, ":;");
    for (size_t i = 0; i < parts.count; i++) {
        bool several = strstr(parts.items[i], "$LIB") || strstr(parts.items[i], "${LIB}");
        for (size_t l = 0; l < (several ? 3 : 1); l++) {
            char *dir = dir_expand(parts.items[i], origin, libs[l]);
            char *normal = path_normal(dir);
            strlist_add(dirs, normal);
            free(normal);
            free(dir);
        }
    }
    strlist_free(&parts);
}
