/* SPDX-License-Identifier: Apache-2.0 */
/* Words that mean a package: see package_ref.h. */
#include "package_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "container.h"
#include "nearest.h"
#include "ops/exit.h"
#include "package_add.h"
#include "package_make.h"
#include "package_store.h"
#include "recipe.h"
#include "repo.h"

#define REF_PACKAGE "pkg:"

bool package_ref_is(const char *word)
{
    return strncmp(word, REF_PACKAGE, strlen(REF_PACKAGE)) == 0 || container_is(word);
}

static bool unknown(const char *name, struct err *err)
{
    struct strlist names = {0};
    struct err ignored = {0};
    const char *near = recipe_names(&names, &ignored)
                           ? nearest_word(name, (const char *const *)names.items, names.count)
                           : NULL;
    err_set(err, OPS_EXIT_FAILED, "`ops pkg search` lists what there is", "there is no package %s",
            name);
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

/* The first repository that has it; *dir stays NULL where none does. */
static bool repos_get(const char *name, const char *version, char **dir, struct err *err)
{
    struct repos r;
    bool ok = repos_load(&r, err);
    for (size_t i = 0; ok && !*dir && i < r.count; i++) {
        char *note = NULL;
        cJSON *index = repo_index(&r.items[i], &note, err);
        const cJSON *entry = index ? repo_find(index, name, version) : NULL;
        if (note)
            fprintf(stderr, "ops: %s\n", note);
        char *archive = entry ? repo_fetch(&r.items[i], entry, err) : NULL;
        const char *is = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "version"));
        if (archive)
            *dir = package_add(archive, name, is, err);
        ok = index && (!entry || *dir);
        cJSON_Delete(index);
        free(archive);
        free(note);
    }
    repos_free(&r);
    return ok;
}

char *package_get(const char *word, bool *made, struct err *err)
{
    char *name, *version, *dir = NULL;
    *made = false;
    if (!package_word(word, &name, &version, err))
        return NULL;
    if (package_store_find(name, version, &dir, err) && !dir)
        *made =
            repos_get(name, version, &dir, err) && (dir || recipe_make(name, version, &dir, err));
    free(version);
    free(name);
    return dir;
}

static bool container_open(struct package *p, const char *word, const char *entrypoint,
                           struct err *err)
{
    char *dir = container_get(word, entrypoint, false, err);
    char *label = alloc_printf("the image %s", word);
    bool ok = dir && package_open(p, dir, label, err);
    free(label);
    free(dir);
    return ok;
}

static bool stored_open(struct package *p, const char *word, const char *entrypoint,
                        struct err *err)
{
    bool made;
    char *dir = package_get(word, &made, err), *name, *version;
    if (!dir)
        return false;
    package_split(dir, &name, &version);
    char *label = alloc_printf("the package %s", name);
    bool ok = package_open(p, dir, label, err);
    if (ok && entrypoint)
        p->entrypoint = alloc_string(entrypoint);
    free(label);
    free(version);
    free(name);
    free(dir);
    return ok;
}

bool package_ref_open(struct package *p, const char *word, const char *entrypoint, struct err *err)
{
    *p = (struct package){0};
    return container_is(word) ? container_open(p, word, entrypoint, err)
                              : stored_open(p, word + strlen(REF_PACKAGE), entrypoint, err);
}
