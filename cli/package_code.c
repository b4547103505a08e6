/* SPDX-License-Identifier: Apache-2.0 */
/* The user's code in a package: see package_code.h. */
#include "package_code.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"

/* The index of the argument that is code; argv->count: none is. */
static size_t code_find(const struct strlist *argv, size_t first)
{
    size_t i = first;
    while (i < argv->count &&
           (argv->items[i][0] == '-' || !argv->items[i][0] || access(argv->items[i], R_OK) < 0))
        i++;
    return i;
}

/* Is all of that directory somebody's program, and not all that somebody has? */
static bool is_project(const char *dir)
{
    const char *home = getenv("HOME");
    char *real = home ? realpath(home, NULL) : NULL;
    bool is = strcmp(dir, "/") != 0 && !(real && strcmp(dir, real) == 0);
    free(real);
    return is;
}

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || !path[n]);
}

bool package_code(struct tree *t, const char *into, struct strlist *argv, size_t first, bool *taken,
                  struct err *err)
{
    size_t at = code_find(argv, first);
    struct strlist hidden = {0};
    *taken = at < argv->count;
    if (!*taken)
        return true;
    char *here = realpath(".", NULL), *code = realpath(argv->items[at], NULL);
    bool ok = (here && code) || err_errno(err, "open", argv->items[at]);
    if (ok && argv->items[at][0] != '/' && is_below(code, here) && is_project(here)) {
        strlist_addf(&hidden, "%s/.git", into);
        t->exclude = &hidden;
        ok = tree_add_all(t, into, here, "the code", NULL, NULL, err);
        t->exclude = NULL;
    } else if (ok) {
        char *to = path_join(into, path_basename(code));
        ok = tree_add_all(t, to, code, "the code", NULL, NULL, err);
        free(argv->items[at]);
        argv->items[at] = to;
    }
    strlist_free(&hidden);
    free(code);
    free(here);
    return ok;
}
