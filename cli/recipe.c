/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes of packages: see recipe.h. */
#include "recipe.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "json.h"
#include "ops/exit.h"
#include "toolfile.h"

#define RECIPES      "recipes"
#define RECIPE_FILE  "recipe.json"
#define RECIPE_LIMIT (256u << 10)

static bool texts_take(const cJSON *value, struct strlist *l)
{
    const cJSON *item;
    if (!cJSON_IsArray(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsString(item))
            return false;
        strlist_add(l, item->valuestring);
    }
    return true;
}

static bool links_take(const cJSON *value, struct strlist *l)
{
    const cJSON *item;
    if (!cJSON_IsObject(value))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsString(item) || item->string[0] != '/')
            return false;
        strlist_add(l, item->string);
        strlist_add(l, item->valuestring);
    }
    return true;
}

static bool member_take(struct recipe *r, cJSON *object, const cJSON *m)
{
    const struct {
        const char *name;
        struct strlist *list;
    } lists[] = {{"Packages", &r->packages},
                 {"Without", &r->without},
                 {"Keep", &r->keep},
                 {"Drop", &r->drop},
                 {"Ports", &r->ports}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(m->string, lists[i].name) == 0)
            return texts_take(m, lists[i].list);
    if (strcmp(m->string, "Links") == 0)
        return links_take(m, &r->links);
    if (strcmp(m->string, "Manifest") != 0 || !cJSON_IsObject(m))
        return false;
    r->manifest = cJSON_DetachItemFromObjectCaseSensitive(object, "Manifest");
    return true;
}

static bool recipe_read(struct recipe *r, const struct json_text *t, struct err *err)
{
    cJSON *o = json_parse(t, err);
    bool ok = o != NULL;
    for (cJSON *m = o ? o->child : NULL, *next; ok && m; m = next) {
        next = m->next;
        if (!member_take(r, o, m))
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s: %s is not a key with such a value",
                         t->name, m->string);
    }
    if (ok && (!r->packages.count || !r->manifest))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s needs Packages and a Manifest", t->name);
    cJSON_Delete(o);
    return ok;
}

bool recipe_load(struct recipe *r, const char *name, bool *found, struct err *err)
{
    struct json_text t = {0};
    char *all = tool_file(RECIPES, err);
    *r = (struct recipe){.name = alloc_string(name)};
    *found = false;
    if (!all)
        return false;
    r->dir = path_join(all, name);
    char *path = path_join(r->dir, RECIPE_FILE), *text = NULL;
    bool ok = true;
    if (path_name_ok(name, 64) && access(path, F_OK) == 0) {
        t.name = path;
        t.text = text = path_read(path, RECIPE_LIMIT, &t.size, err);
        ok = *found = text && recipe_read(r, &t, err);
    }
    free(text);
    free(path);
    free(all);
    return ok;
}

bool recipe_names(struct strlist *names, struct err *err)
{
    char *all = tool_file(RECIPES, err);
    bool ok = all && path_names(all, "", names, err);
    free(all);
    return ok;
}

const char *recipe_text(const struct recipe *r, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->manifest, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

void recipe_free(struct recipe *r)
{
    free(r->name);
    free(r->dir);
    strlist_free(&r->packages);
    strlist_free(&r->without);
    strlist_free(&r->keep);
    strlist_free(&r->drop);
    strlist_free(&r->ports);
    strlist_free(&r->links);
    cJSON_Delete(r->manifest);
    *r = (struct recipe){0};
}
