/* SPDX-License-Identifier: Apache-2.0 */
/* Packages as directories: see package.h. */
#include "package.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "json.h"
#include "ops/exit.h"
#include "script.h"

#define MANIFEST_LIMIT (1u << 20)

bool package_open(struct package *p, const char *dir, const char *label, struct err *err)
{
    *p = (struct package){.dir = alloc_string(dir), .label = alloc_string(label)};
    char *root = path_join(dir, PACKAGE_ROOT), *list = path_join(dir, PACKAGE_LIST);
    bool ok = rootdir_open(&p->root, root, list, err);
    free(list);
    free(root);
    return ok;
}

bool package_settings(struct package *p, struct config *c, struct err *err)
{
    char *path = path_join(p->dir, PACKAGE_MANIFEST);
    const struct config_source s = {.name = p->label, .dir = "/", .literal = true};
    free(c->program);
    c->program = NULL;
    strlist_free(&c->args);
    config_drop_origin(c, "Args");
    bool ok = config_load(c, path, &s, err);
    free(path);
    if (ok && !c->program)
        ok = err_set(err, OPS_EXIT_FAILED, "its package.manifest has to name one as \"Program\"",
                     "%s has no program", p->label);
    if (!ok)
        return false;
    p->program = alloc_string(p->entrypoint ? p->entrypoint : c->program);
    if (!p->entrypoint) {
        p->args = c->args;
        p->default_args = c->default_args;
        c->args = c->default_args = (struct strlist){0};
    }
    strlist_free(&c->args);
    strlist_free(&c->default_args);
    config_drop_origin(c, "Args");
    if (!p->args.count && !p->default_args.count)
        strlist_add(&p->args, path_basename(p->program));
    return true;
}

bool package_start(struct package *p, const struct strlist *words, struct err *err)
{
    const struct strlist *more = words->count ? words : &p->default_args;
    p->own = p->args.count;
    if (!p->args.count && words->count) { /* these are a program of its own, too */
        char *found = script_find(&p->root, words->items[0]);
        if (!found)
            return err_set(err, OPS_EXIT_FAILED, NULL, "%s has no program %s", p->label,
                           words->items[0]);
        free(p->program);
        p->program = found;
    }
    strlist_add_all(&p->args, more);
    return true;
}

cJSON *package_manifest(const char *dir, struct err *err)
{
    char *path = path_join(dir, PACKAGE_MANIFEST);
    struct json_text t = {.name = PACKAGE_MANIFEST};
    char *text = path_read(path, MANIFEST_LIMIT, &t.size, err);
    t.text = text;
    cJSON *o = text ? json_parse(&t, err) : NULL;
    if (o && !cJSON_IsObject(o)) {
        err_set(err, OPS_EXIT_FAILED, NULL, "%s is not a JSON object", path);
        cJSON_Delete(o);
        o = NULL;
    }
    free(text);
    free(path);
    return o;
}

void package_close(struct package *p)
{
    free(p->dir);
    free(p->label);
    free(p->entrypoint);
    free(p->program);
    strlist_free(&p->args);
    strlist_free(&p->default_args);
    rootdir_free(&p->root);
    *p = (struct package){0};
}
