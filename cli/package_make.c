/* SPDX-License-Identifier: Apache-2.0 */
/* Packages from recipes: see package_make.h. */
#include "package_make.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "apt.h"
#include "hostpath.h"
#include "import.h"
#include "ops/exit.h"
#include "package.h"
#include "package_select.h"
#include "package_store.h"

/* "1:1.2.13.dfsg-1+deb12u1" -> "1.2.13.dfsg": what the program's makers call it. */
static char *upstream_version(const char *version)
{
    const char *colon = strchr(version, ':'), *begin = colon ? colon + 1 : version;
    const char *dash = strrchr(begin, '-');
    size_t n = dash ? (size_t)(dash - begin) : strlen(begin);
    size_t plus = strcspn(begin, "+~");
    return alloc_bytes(begin, plus < n ? plus : n);
}

static bool is_pattern(const char *name)
{
    return strpbrk(name, "*?[") != NULL;
}

static bool is_library(const struct apt_package *p)
{
    const char *slash = strrchr(p->section, '/'), *section = slash ? slash + 1 : p->section;
    return strcmp(section, "libs") == 0 || strcmp(section, "oldlibs") == 0;
}

static bool matches(const struct strlist *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->items[i], name, 0) == 0)
            return true;
    return false;
}

/* Marks the package, and the libraries it depends on. What a maintainer's script needs is none. */
static void package_want(const struct recipe *r, const struct apt_list *l, size_t i, bool *wanted)
{
    if (wanted[i] || matches(&r->without, l->items[i].name))
        return;
    wanted[i] = true;
    for (size_t d = 0; d < l->items[i].depends.count; d++) {
        const struct apt_package *p = apt_find(l, l->items[i].depends.items[d]);
        if (p && is_library(p))
            package_want(r, l, (size_t)(p - l->items), wanted);
    }
}

/* What is fetched for the recipe. */
static bool packages_settle(const struct recipe *r, const struct apt *a, struct apt_list *l,
                            struct err *err)
{
    struct strlist names = {0};
    for (size_t i = 0; i < r->packages.count; i++)
        if (!is_pattern(r->packages.items[i]))
            strlist_add(&names, r->packages.items[i]);
    bool ok = apt_closure(a, &names, l, err), *wanted = alloc_zero(l->count + 1);
    for (size_t i = 0; ok && i < l->count; i++)
        if (matches(&r->packages, l->items[i].name))
            package_want(r, l, i, wanted);
    for (size_t i = ok ? l->count : 0; i-- > 0;)
        if (!wanted[i])
            apt_list_remove(l, i);
    free(wanted);
    strlist_free(&names);
    return ok;
}

static cJSON *origin_object(const struct recipe *r, const struct apt_list *l)
{
    cJSON *o = cJSON_CreateObject(), *all = cJSON_AddArrayToObject(o, "Packages");
    cJSON_AddStringToObject(o, "Recipe", r->name);
    for (size_t i = 0; i < l->count; i++) {
        cJSON *p = cJSON_CreateObject();
        cJSON_AddStringToObject(p, "Name", l->items[i].name);
        cJSON_AddStringToObject(p, "Version", l->items[i].version);
        cJSON_AddStringToObject(p, "SHA256", l->items[i].digest);
        cJSON_AddItemToArray(all, p);
    }
    return o;
}

static char *version_of(const struct recipe *r, const struct apt_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].name, r->packages.items[0]) == 0)
            return upstream_version(l->items[i].version);
    return alloc_string("0");
}

static bool json_put(int dir, const char *name, const cJSON *o, struct err *err)
{
    char *text = cJSON_Print(o), *line = alloc_printf("%s\n", text);
    bool ok = path_write(dir, name, line, strlen(line)) || err_errno(err, "write", name);
    free(line);
    free(text);
    return ok;
}

/* The manifest, where the files come from, and what people read. */
static bool papers_write(const struct recipe *r, const struct package_draft *d, const char *version,
                         const cJSON *origin, struct err *err)
{
    size_t size;
    struct err none = {0};
    cJSON *manifest = cJSON_Duplicate(r->manifest, true);
    cJSON_AddStringToObject(manifest, "Version", version);
    char *from = path_join(r->dir, PACKAGE_README), *text = path_read(from, 1 << 20, &size, &none);
    bool ok =
        json_put(d->fd, PACKAGE_MANIFEST, manifest, err) &&
        json_put(d->fd, PACKAGE_ORIGIN, origin, err) &&
        (!text || path_write(d->fd, PACKAGE_README, text, size) || err_errno(err, "write", d->dir));
    err_free(&none);
    free(text);
    free(from);
    cJSON_Delete(manifest);
    return ok;
}

static bool unpack(const struct package_draft *d, const struct strlist *files, struct hold *h,
                   struct err *err)
{
    struct strlist words = {0};
    strlist_add(&words, "deb");
    strlist_add(&words, d->dir);
    strlist_add_all(&words, files);
    bool ok = import_run(&words, h, NULL, err);
    strlist_free(&words);
    return ok;
}

/* The settled list of packages and how old the index is, with a note for people. */
static bool look_up(const struct recipe *r, struct apt *a, bool fresh, struct apt_list *l,
                    struct err *err)
{
    char *note = NULL;
    bool ok = apt_refresh(a, fresh, &note, err) && packages_settle(r, a, l, err);
    if (note)
        fprintf(stderr, "ops: %s\n", note);
    free(note);
    return ok;
}

static bool version_check(const struct recipe *r, const char *version, const char *wanted,
                          struct err *err)
{
    if (!wanted || strcmp(wanted, version) == 0)
        return true;
    err_set(err, OPS_EXIT_FAILED, NULL, "this distribution's %s is %s, not %s", r->name, version,
            wanted);
    err_hint(err, "write %s, or %s:%s", r->name, r->name, version);
    return false;
}

bool package_make(struct recipe *r, const char *wanted, char **dir, struct err *err)
{
    struct hold hold;
    struct apt apt;
    struct apt_list list = {0};
    struct strlist files = {0};
    struct package_draft draft = {.fd = -1};
    char *version = NULL, *store = NULL;
    cJSON *origin = NULL;
    hold_begin(&hold);
    bool ok = apt_open(&apt, &hold, err) && look_up(r, &apt, true, &list, err);
    if (ok) {
        version = version_of(r, &list);
        origin = origin_object(r, &list);
        ok = version_check(r, version, wanted, err) && apt_fetch(&apt, &list, &files, err) &&
             (store = package_store_dir(err)) && package_draft_make(&draft, store, err) &&
             unpack(&draft, &files, &hold, err) && package_select(r, draft.dir, err) &&
             papers_write(r, &draft, version, origin, err) &&
             package_draft_keep(&draft, r->name, version, dir, err);
    }
    package_draft_drop(&draft);
    hold_end(&hold);
    apt_close(&apt);
    apt_list_free(&list);
    strlist_free(&files);
    cJSON_Delete(origin);
    free(version);
    free(store);
    return ok;
}

bool package_newest(const struct recipe *r, char **version, cJSON **origin, struct err *err)
{
    struct hold hold;
    struct apt apt;
    struct apt_list list = {0};
    hold_begin(&hold);
    bool ok = apt_open(&apt, &hold, err) && look_up(r, &apt, true, &list, err);
    if (ok) {
        *version = version_of(r, &list);
        *origin = origin_object(r, &list);
    }
    hold_end(&hold);
    apt_close(&apt);
    apt_list_free(&list);
    return ok;
}
