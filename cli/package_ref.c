/* SPDX-License-Identifier: Apache-2.0 */
/* Words that mean a package: see package_ref.h. */
#include "package_ref.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "nearest.h"
#include "ops/exit.h"
#include "package_make.h"
#include "package_store.h"
#include "recipe.h"

#define REF_PACKAGE "pkg:"

bool package_ref_is(const char *word)
{
    static const char *const starts[] = {REF_PACKAGE, "oci:", "oci-archive:", "docker-archive:",
                                         "docker://"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(word, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static bool unknown(const char *name, struct err *err)
{
    struct strlist names = {0};
    struct err ignored = {0};
    const char *near = recipe_names(&names, &ignored)
                           ? nearest_word(name, (const char *const *)names.items, names.count)
                           : NULL;
    err_set(err, OPS_EXIT_FAILED, "`ops pkg search` lists what there is",
            "there is no package %s", name);
    if (near)
        err_hint(err, "did you mean %s?", near);
    err_free(&ignored);
    strlist_free(&names);
    return false;
}

static bool recipe_make(const char *name, const char *version, char **dir, struct err *err)
{
    struct recipe r;
    bool found;
    bool ok = recipe_load(&r, name, &found, err) &&
              (found ? package_make(&r, version, dir, err) : unknown(name, err));
    recipe_free(&r);
    return ok;
}

char *package_get(const char *word, bool *made, struct err *err)
{
    char *name, *version, *dir = NULL;
    *made = false;
    if (!package_word(word, &name, &version, err))
        return NULL;
    if (package_store_find(name, version, &dir, err) && !dir)
        *made = recipe_make(name, version, &dir, err);
    free(version);
    free(name);
    return dir;
}

bool package_ref_open(struct package *p, const char *word, struct err *err)
{
    bool made;
    *p = (struct package){0};
    if (strncmp(word, REF_PACKAGE, strlen(REF_PACKAGE)) != 0)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s: container images are not read yet", word);
    char *dir = package_get(word + strlen(REF_PACKAGE), &made, err), *name, *version;
    if (!dir)
        return false;
    package_split(dir, &name, &version);
    char *label = alloc_printf("the package %s", name);
    bool ok = package_open(p, dir, label, err);
    free(label);
    free(version);
    free(name);
    free(dir);
    return ok;
}
