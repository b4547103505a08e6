/* SPDX-License-Identifier: Apache-2.0 */
/* Packages from elsewhere: see package_add.h. */
#include "package_add.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "hold.h"
#include "hostpath.h"
#include "import.h"
#include "ops/exit.h"
#include "package.h"
#include "package_archive.h"
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

/* A directory goes the way of an archive, so that it is looked at as closely. */
static bool unpack(const char *source, const struct package_draft *d, struct err *err);

static bool directory_unpack(const char *source, const struct package_draft *d, struct err *err)
{
    struct package_draft aside;
    char *base = stem(source), *file = NULL;
    bool ok = package_draft_make(&aside, d->store, err);
    if (ok) {
        file = path_join(aside.dir, "package.tar");
        ok = package_archive(source, base, file, err) && unpack(file, d, err);
    }
    package_draft_drop(&aside);
    free(file);
    free(base);
    return ok;
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

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct mtree_entry *)a)->path, ((const struct mtree_entry *)b)->path);
}

/* Adds the file `path`, which is on disk at `host`, to the list. */
static bool list_extend(const struct package_draft *d, const char *path, const char *host,
                        struct err *err)
{
    struct mtree m;
    struct stat st;
    char *list = path_join(d->dir, PACKAGE_LIST);
    bool ok = mtree_read(&m, list, err);
    if (ok && mtree_find(&m, path))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "the package has two files %s", path);
    if (ok) {
        struct mtree_entry e = {.kind = TREE_FILE, .nlink = 1, .mode = 0755};
        ok = (stat(host, &st) == 0 && digest_of_file(host, e.sha256) && chmod(host, 0755) == 0) ||
             err_errno(err, "read", host);
        e.path = alloc_string(path);
        e.size = (uint64_t)st.st_size;
        e.mtime = st.st_mtim;
        m.entries = alloc_array(m.entries, m.count + 1, sizeof *m.entries);
        m.entries[m.count++] = e;
        qsort(m.entries, m.count, sizeof *m.entries, entry_compare);
        ok = ok && mtree_write(&m, d->fd, PACKAGE_LIST, err);
    }
    mtree_free(&m);
    free(list);
    return ok;
}

static bool manifest_rewrite(const struct package_draft *d, cJSON *manifest, const char *program,
                             struct err *err)
{
    cJSON_ReplaceItemInObject(manifest, "Program", cJSON_CreateString(program));
    char *text = cJSON_Print(manifest);
    bool ok = path_write(d->fd, PACKAGE_MANIFEST, text, strlen(text)) ||
              err_errno(err, "write", PACKAGE_MANIFEST);
    free(text);
    return ok;
}

/* OPS' "nginx_1.25/nginx": the file `nginx` beside the manifest, which becomes /nginx. */
static bool program_move(const struct package_draft *d, struct err *err)
{
    cJSON *manifest = package_manifest(d->dir, err);
    const char *program = cJSON_GetStringValue(cJSON_GetObjectItem(manifest, "Program"));
    bool ok = manifest != NULL;
    if (ok && program && program[0] != '/') {
        const char *name = path_basename(program);
        char *from = path_join(d->dir, name), *path = alloc_printf("/%s", name);
        char *host = alloc_printf("%s/" PACKAGE_ROOT "%s", d->dir, path);
        struct stat st;
        if (lstat(from, &st) < 0 || !S_ISREG(st.st_mode))
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "the package has no file %s, its program",
                         name);
        else
            ok = (rename(from, host) == 0 || err_errno(err, "write", host)) &&
                 list_extend(d, path, host, err) && manifest_rewrite(d, manifest, path, err);
        free(host);
        free(path);
        free(from);
    }
    cJSON_Delete(manifest);
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
    if (store && package_draft_make(&draft, store, err) &&
        (S_ISDIR(st.st_mode) ? directory_unpack : unpack)(source, &draft, err) &&
        program_move(&draft, err) && draft_check(draft.dir, err) &&
        name_settle(source, draft.dir, &called, &is, err))
        package_draft_keep(&draft, called, is, &dir, err);
    package_draft_drop(&draft);
    free(store);
    free(called);
    free(is);
    return dir;
}
