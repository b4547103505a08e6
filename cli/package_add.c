/* SPDX-License-Identifier: Apache-2.0 */
/* Packages from elsewhere: see package_add.h. */
#include "package_add.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "hold.h"
#include "hostpath.h"
#include "import.h"
#include "ops/exit.h"
#include "package.h"
#include "package_store.h"

/* "/tmp/nginx_1.25.tar.gz" -> "nginx_1.25". */
static char *stem(const char *source)
{
    static const char *const ends[] = {".tar.gz", ".tgz", ".tar"};
    char *whole = path_absolute(source), *base = alloc_string(path_basename(whole));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t n = strlen(base), tail = strlen(ends[i]);
        if (n > tail && strcmp(base + n - tail, ends[i]) == 0)
            base[n - tail] = 0;
    }
    free(whole);
    return base;
}

/* What it is called: the words given, else its file's name and its manifest. */
static bool name_settle(const char *source, const char *dir, char **name, char **version,
                        struct err *err)
{
    char *base = stem(source), *base_name, *base_version;
    cJSON *manifest = package_manifest(dir, err);
    if (manifest) {
        const char *said = cJSON_GetStringValue(cJSON_GetObjectItem(manifest, "Version"));
        package_split(base, &base_name, &base_version);
        if (!*name)
            *name = alloc_string(base_name);
        if (!*version)
            *version = alloc_string(said ? said : *base_version ? base_version : "0");
        free(base_version);
        free(base_name);
    }
    cJSON_Delete(manifest);
    free(base);
    return manifest != NULL;
}

static bool unpack(const char *source, const struct package_draft *d, struct err *err)
{
    struct strlist words = {0};
    struct hold hold;
    char *path = path_absolute(source);
    strlist_add(&words, "archive");
    strlist_add(&words, d->dir);
    strlist_add(&words, path);
    hold_begin(&hold);
    bool ok = import_run(&words, &hold, NULL, err);
    hold_end(&hold);
    strlist_free(&words);
    free(path);
    return ok;
}

/* Can it be opened and does it name a program that is there? */
static bool draft_check(const char *dir, struct err *err)
{
    struct package p;
    struct config c = {0};
    bool ok = package_open(&p, dir, "the package", err) && package_settings(&p, &c, err);
    if (ok && !rootdir_find(&p.root, p.program))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "the package has no file %s, its program",
                     p.program);
    config_free(&c);
    package_close(&p);
    return ok;
}

char *package_add(const char *source, const char *name, const char *version, struct err *err)
{
    struct package_draft draft = {.fd = -1};
    struct stat st;
    char *called = name ? alloc_string(name) : NULL, *dir = NULL;
    char *is = version ? alloc_string(version) : NULL;
    bool ok = stat(source, &st) == 0 || err_errno(err, "open", source);
    char *store = ok ? package_store_dir(err) : NULL;
    if (store && package_draft_make(&draft, store, err) && unpack(source, &draft, err) &&
        draft_check(draft.dir, err) && name_settle(source, draft.dir, &called, &is, err))
        package_draft_keep(&draft, called, is, &dir, err);
    package_draft_drop(&draft);
    free(store);
    free(called);
    free(is);
    return dir;
}
