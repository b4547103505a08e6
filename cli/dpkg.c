/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of this host: see dpkg.h. */
#include "dpkg.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "child.h"
#include "script.h"

#define AT_ONCE 5000 /* words of a command line; each reads all lists of files */

/* The name that an older package has for a file of a merged /usr; NULL: none. */
static const char *unmerged(const char *path)
{
    static const char *const dirs[] = {"/usr/lib", "/usr/bin/", "/usr/sbin/"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        if (strncmp(path, dirs[i], strlen(dirs[i])) == 0)
            return path + 4;
    return NULL;
}

struct owned {
    const char *path, *package;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct owned *)a)->path, ((const struct owned *)b)->path);
}

/* Adds what dpkg-query says of these: "PACKAGE[, PACKAGE...]: PATH" a line. */
static bool answers_add(const char *tool, const struct strlist *paths, size_t from,
                        struct strlist *lines, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    int status;
    strlist_add(&argv, tool);
    strlist_split(&argv, "-S --", " ");
    for (size_t i = from; i < paths->count && i < from + AT_ONCE; i++) {
        strlist_add(&argv, paths->items[i]);
        if (unmerged(paths->items[i]))
            strlist_add(&argv, unmerged(paths->items[i]));
    }
    bool ok =
        child_status(&argv, NULL, 0, &said, &status, err); /* not 0: of some it knows nothing */
    if (ok && said.data)
        strlist_split(lines, said.data, "\n");
    buf_free(&said);
    strlist_free(&argv);
    return ok;
}

/* Cuts the lines apart; the array is freed with free(). */
static struct owned *lines_sort(struct strlist *lines, size_t *count)
{
    struct owned *all = alloc_array(NULL, lines->count + 1, sizeof *all);
    *count = 0;
    for (size_t i = 0; i < lines->count; i++) {
        char *colon = strstr(lines->items[i], ": /");
        if (!colon || strncmp(lines->items[i], "diversion", 9) == 0 ||
            strchr(lines->items[i], '\''))
            continue;
        *colon = 0;
        lines->items[i][strcspn(lines->items[i], ",")] = 0; /* one of several is enough */
        all[(*count)++] = (struct owned){colon + 2, lines->items[i]};
    }
    qsort(all, *count, sizeof *all, by_path);
    return all;
}

bool dpkg_owners(const struct strlist *paths, struct strlist *owners, struct err *err)
{
    struct strlist lines = {0};
    size_t count;
    bool ok = true;
    char *tool = script_find(NULL, "dpkg-query");
    for (size_t i = 0; tool && ok && i < paths->count; i += AT_ONCE)
        ok = answers_add(tool, paths, i, &lines, err);
    struct owned *all = lines_sort(&lines, &count);
    for (size_t i = 0; i < paths->count; i++) {
        const struct owned merged = {.path = paths->items[i]},
                           old = {.path = unmerged(paths->items[i])};
        const struct owned *found = bsearch(&merged, all, count, sizeof *all, by_path);
        if (!found && old.path)
            found = bsearch(&old, all, count, sizeof *all, by_path);
        strlist_add(owners, found ? found->package : "");
    }
    free(all);
    strlist_free(&lines);
    free(tool);
    return ok;
}

bool dpkg_versions(const struct strlist *packages, struct strlist *lines, struct err *err)
{
    struct strlist argv = {0};
    struct buf said = {0};
    char *tool = script_find(NULL, "dpkg-query");
    bool ok = true;
    if (tool && packages->count) {
        strlist_add(&argv, tool);
        strlist_add(&argv, "-W");
        strlist_add(&argv, "-f=${Package}\\t${Version}\\t${Architecture}\\n");
        strlist_add_all(&argv, packages);
        ok = child_collect(&argv, NULL, 0, &said, err);
        if (ok && said.data)
            strlist_split(lines, said.data, "\n");
    }
    buf_free(&said);
    strlist_free(&argv);
    free(tool);
    return ok;
}
