/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories of packages: see repo.h. */
#include "repo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "hold.h"
#include "hostpath.h"
#include "import.h"
#include "json.h"
#include "minisign.h"
#include "ops/exit.h"

#define REPOS_FILE  "repos.json"
#define INDEX_LIMIT (16u << 20)
#define INDEX_FRESH 600      /* seconds for which a kept index is not asked for again */
#define SEEN        "serial" /* the highest serial number that an index had */

/* The directory of repos.json, made; freed with free(). */
static char *config_dir(struct err *err)
{
    char *dir = path_user("XDG_CONFIG_HOME", ".config", "ops", err);
    if (dir && !path_make_dirs(dir)) {
        err_errno(err, "write", dir);
        free(dir);
        dir = NULL;
    }
    return dir;
}

static bool repo_take(struct repos *r, const cJSON *item)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));
    const char *url = cJSON_GetStringValue(cJSON_GetObjectItem(item, "url"));
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItem(item, "key"));
    if (!name || !url || !key || !path_name_ok(name, 64))
        return false;
    r->items = alloc_array(r->items, r->count + 1, sizeof *r->items);
    r->items[r->count++] = (struct repo){
        .name = alloc_string(name), .url = alloc_string(url), .key = alloc_string(key)};
    return true;
}

bool repos_load(struct repos *r, struct err *err)
{
    struct json_text t = {.name = REPOS_FILE};
    *r = (struct repos){0};
    char *path = path_user("XDG_CONFIG_HOME", ".config", "ops/" REPOS_FILE, err);
    if (!path)
        return false;
    if (access(path, F_OK) < 0) {
        free(path);
        return true;
    }
    char *text = path_read(path, INDEX_LIMIT, &t.size, err);
    t.text = text;
    cJSON *list = text ? json_parse(&t, err) : NULL;
    bool ok = list != NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (ok && !repo_take(r, item))
            ok = err_set(err, OPS_EXIT_FAILED, "`ops pkg repo add` writes it",
                         "%s is not a list of repositories", path);
    }
    cJSON_Delete(list);
    free(text);
    free(path);
    return ok;
}

void repos_free(struct repos *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->items[i].name);
        free(r->items[i].url);
        free(r->items[i].key);
    }
    free(r->items);
    *r = (struct repos){0};
}

/* Whole, by rename. The directory is locked. */
static bool repos_write(const struct repos *r, int dir, struct err *err)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < r->count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", r->items[i].name);
        cJSON_AddStringToObject(o, "url", r->items[i].url);
        cJSON_AddStringToObject(o, "key", r->items[i].key);
        cJSON_AddItemToArray(list, o);
    }
    char *text = cJSON_Print(list);
    bool ok = (path_write(dir, REPOS_FILE ".new", text, strlen(text)) &&
               renameat(dir, REPOS_FILE ".new", dir, REPOS_FILE) == 0) ||
              err_errno(err, "write", REPOS_FILE);
    free(text);
    cJSON_Delete(list);
    return ok;
}

/* Runs `change` on the list under its lock. */
static bool repos_change(bool (*change)(struct repos *r, const struct repo *with, struct err *err),
                         const struct repo *with, struct err *err)
{
    struct repos r = {0};
    char *dir = config_dir(err);
    int lock = dir ? path_lock(dir, err) : -1;
    bool ok =
        lock >= 0 && repos_load(&r, err) && change(&r, with, err) && repos_write(&r, lock, err);
    if (lock >= 0)
        close(lock);
    repos_free(&r);
    free(dir);
    return ok;
}

static size_t find(const struct repos *r, const char *name)
{
    size_t i = 0;
    while (i < r->count && strcmp(r->items[i].name, name) != 0)
        i++;
    return i;
}

static bool put(struct repos *r, const struct repo *with, struct err *err)
{
    size_t i = find(r, with->name);
    (void)err;
    if (i == r->count) {
        r->items = alloc_array(r->items, r->count + 1, sizeof *r->items);
        r->items[r->count++] = (struct repo){0};
    }
    struct repo *at = &r->items[i];
    free(at->name);
    free(at->url);
    free(at->key);
    *at = (struct repo){alloc_string(with->name), alloc_string(with->url), alloc_string(with->key)};
    return true;
}

static bool take_away(struct repos *r, const struct repo *with, struct err *err)
{
    size_t i = find(r, with->name);
    if (i == r->count)
        return err_set(err, OPS_EXIT_FAILED, "`ops pkg repo list` lists them",
                       "there is no repository %s", with->name);
    free(r->items[i].name);
    free(r->items[i].url);
    free(r->items[i].key);
    memmove(&r->items[i], &r->items[i + 1], (--r->count - i) * sizeof *r->items);
    return true;
}

/* http:, https: and file: URLs as they are, a directory as file:. Freed with free(). */
static char *url_settle(const char *given)
{
    char *url = strstr(given, "://") ? alloc_string(given) : NULL;
    if (!url) {
        char *path = path_absolute(given);
        url = alloc_printf("file://%s", path);
        free(path);
    }
    for (size_t n = strlen(url); n && url[n - 1] == '/';)
        url[--n] = 0;
    return url;
}

bool repo_add(const char *name, const char *url, const char *key, struct err *err)
{
    struct minisign_key k;
    struct err none = {0};
    if (!path_name_ok(name, 64))
        return err_set(err, OPS_EXIT_USAGE, "1 to 64 letters, digits, '.', '_' and '-'",
                       "'%s' cannot be a repository's name", name);
    char *text = access(key, R_OK) == 0 ? path_read(key, 4096, NULL, &none) : NULL;
    err_free(&none);
    bool ok = minisign_key_parse(&k, text ? text : key, err);
    free(text);
    if (!ok)
        return false;
    struct repo r = {.name = (char *)name, .url = url_settle(url), .key = minisign_key_text(&k)};
    char *note = NULL;
    cJSON *index = repo_index(&r, &note, err);
    ok = index && repos_change(put, &r, err);
    cJSON_Delete(index);
    free(note);
    free(r.url);
    free(r.key);
    return ok;
}

static char *cache_dir(const struct repo *r, struct err *err)
{
    char *base = path_user("XDG_CACHE_HOME", ".cache", "ops/repos", err);
    char *dir = base ? path_join(base, r->name) : NULL;
    free(base);
    if (dir && !path_make_dirs(dir)) {
        err_errno(err, "write", dir);
        free(dir);
        dir = NULL;
    }
    return dir;
}

bool repo_remove(const char *name, struct err *err)
{
    const struct repo r = {.name = (char *)name};
    struct err none = {0};
    char *dir = path_name_ok(name, 64) ? cache_dir(&r, &none) : NULL;
    bool ok = repos_change(take_away, &r, err);
    if (ok && dir)
        path_remove_all(AT_FDCWD, dir);
    err_free(&none);
    free(dir);
    return ok;
}

static bool fetch(const char *url, const char *file, const char *sha256, uint64_t limit,
                  struct err *err)
{
    struct strlist words = {0};
    struct hold hold;
    hold_begin(&hold);
    strlist_addf(&words, "--limit=%llu", (unsigned long long)limit);
    if (sha256)
        strlist_addf(&words, "--sha256=%s", sha256);
    if (sha256)
        strlist_add(&words, "--resume");
    strlist_add(&words, "fetch");
    strlist_add(&words, url);
    strlist_add(&words, file);
    bool ok = import_run(&words, &hold, NULL, err);
    hold_end(&hold);
    strlist_free(&words);
    return ok;
}

static bool entry_ok(const cJSON *e)
{
    unsigned char digest[DIGEST_SIZE];
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(e, "name"));
    const char *version = cJSON_GetStringValue(cJSON_GetObjectItem(e, "version"));
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(e, "file"));
    const char *sha256 = cJSON_GetStringValue(cJSON_GetObjectItem(e, "sha256"));
    const cJSON *size = cJSON_GetObjectItem(e, "size");
    return name && version && file && sha256 && path_name_ok(name, 64) && !strchr(file, '/') &&
           *file && file[0] != '.' && digest_parse(sha256, digest) && cJSON_IsNumber(size) &&
           size->valuedouble >= 0 && size->valuedouble < 1e12;
}

cJSON *repo_index_parse(const char *text, size_t size, const char *name, struct err *err)
{
    const struct json_text t = {.name = name, .text = text, .size = size};
    cJSON *index = json_parse(&t, err);
    if (!index)
        return NULL;
    const cJSON *list = cJSON_GetObjectItem(index, "Packages"), *e;
    bool ok = cJSON_IsArray(list) && cJSON_IsNumber(cJSON_GetObjectItem(index, "Serial")) &&
              cJSON_IsNumber(cJSON_GetObjectItem(index, "Expires"));
    cJSON_ArrayForEach(e, list) ok = ok && entry_ok(e);
    if (ok)
        return index;
    err_set(err, OPS_EXIT_FAILED, NULL, "%s is not an index of packages", name);
    cJSON_Delete(index);
    return NULL;
}

/* Neither expired nor older than one that was seen before. */
static bool index_current(const cJSON *index, const char *dir, const char *name, struct err *err)
{
    struct err none = {0};
    double serial = cJSON_GetNumberValue(cJSON_GetObjectItem(index, "Serial"));
    double expires = cJSON_GetNumberValue(cJSON_GetObjectItem(index, "Expires"));
    char *path = path_join(dir, SEEN), *text = path_read(path, 64, NULL, &none), line[32];
    double seen = text ? strtod(text, NULL) : 0;
    bool ok = true;
    if (serial < seen)
        ok = err_set(err, OPS_EXIT_FAILED, "somebody may hold back what is new",
                     "the index of %s is older than one it had before (%.0f, then %.0f)", name,
                     seen, serial);
    else if (expires && expires < (double)time(NULL))
        ok = err_set(err, OPS_EXIT_FAILED, "`ops pkg publish` makes a new one",
                     "the index of %s has expired", name);
    snprintf(line, sizeof line, "%.0f\n", serial);
    if (ok && serial > seen)
        ok = path_write(AT_FDCWD, path, line, strlen(line)) || err_errno(err, "write", path);
    err_free(&none);
    free(text);
    free(path);
    return ok;
}

/* The index in `dir` under these names, if it is what the key signed. */
static cJSON *index_read(const struct repo *r, const char *dir, const char *suffix, struct err *err)
{
    struct minisign_key key;
    char *path = alloc_printf("%s/" REPO_INDEX "%s", dir, suffix);
    char *signed_by = alloc_printf("%s/" REPO_SIGNATURE "%s", dir, suffix);
    size_t size = 0;
    cJSON *index = NULL;
    char *text = path_read(path, INDEX_LIMIT, &size, err);
    char *signature = text ? path_read(signed_by, 4096, NULL, err) : NULL;
    if (signature && minisign_key_parse(&key, r->key, err) &&
        minisign_verify(&key, signature, text, size, r->name, err))
        index = repo_index_parse(text, size, r->name, err);
    if (index && !index_current(index, dir, r->name, err)) {
        cJSON_Delete(index);
        index = NULL;
    }
    free(signature);
    free(text);
    free(signed_by);
    free(path);
    return index;
}

/* Gets both files beside the kept ones, and lets them take their place when they are good.
 * *fetched: they came, whatever they are. */
static cJSON *index_get(const struct repo *r, const char *dir, bool *fetched, struct err *err)
{
    static const char *const names[] = {REPO_INDEX, REPO_SIGNATURE};
    bool ok = true;
    for (size_t i = 0; ok && i < 2; i++) {
        char *url = alloc_printf("%s/%s", r->url, names[i]);
        char *file = alloc_printf("%s/%s.new", dir, names[i]);
        ok = fetch(url, file, NULL, INDEX_LIMIT, err);
        free(file);
        free(url);
    }
    *fetched = ok;
    cJSON *index = ok ? index_read(r, dir, ".new", err) : NULL;
    for (size_t i = 0; i < 2; i++) {
        char *file = alloc_printf("%s/%s", dir, names[i]), *made = alloc_printf("%s.new", file);
        if (!index)
            unlink(made);
        else if (rename(made, file) < 0)
            err_errno(err, "write", file);
        free(made);
        free(file);
    }
    return index;
}

cJSON *repo_index(const struct repo *r, char **note, struct err *err)
{
    struct stat st;
    struct err late = {0};
    *note = NULL;
    char *dir = cache_dir(r, err);
    int lock = dir ? path_lock(dir, err) : -1;
    if (lock < 0) {
        free(dir);
        return NULL;
    }
    bool kept = fstatat(lock, REPO_INDEX, &st, 0) == 0;
    bool fresh =
        kept && difftime(time(NULL), st.st_mtime) < INDEX_FRESH && strncmp(r->url, "file:", 5) != 0;
    cJSON *index = fresh ? index_read(r, dir, "", &late) : NULL;
    bool fetched = true;
    if (!index)
        index = index_get(r, dir, &fetched, err);
    if (!index && kept && !fetched && (index = index_read(r, dir, "", &late))) {
        *note = alloc_printf("%s; going on with what %s had before", err->message, r->name);
        err_free(err);
    }
    err_free(&late);
    close(lock);
    free(dir);
    return index;
}

const cJSON *repo_find(const cJSON *index, const char *name, const char *version)
{
    const cJSON *e, *best = NULL;
    const char *newest = NULL;
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(index, "Packages"))
    {
        const char *is = cJSON_GetStringValue(cJSON_GetObjectItem(e, "version"));
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(e, "name")), name) != 0)
            continue;
        if (version ? strcmp(is, version) == 0 : !newest || strverscmp(is, newest) > 0) {
            newest = is;
            best = e;
        }
    }
    return best;
}

char *repo_fetch(const struct repo *r, const cJSON *entry, struct err *err)
{
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "file"));
    const char *sha256 = cJSON_GetStringValue(cJSON_GetObjectItem(entry, "sha256"));
    double size = cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "size"));
    unsigned char digest[DIGEST_SIZE];
    char text[DIGEST_TEXT], *dir = cache_dir(r, err);
    if (!dir)
        return NULL;
    char *path = path_join(dir, file), *url = alloc_printf("%s/%s", r->url, file);
    bool there = digest_of_file(path, digest);
    if (there)
        digest_text(digest, text);
    if (!there || strcmp(text, sha256) != 0) {
        unlink(path);
        if (!fetch(url, path, sha256, (uint64_t)size, err)) {
            free(path);
            path = NULL;
        }
    }
    free(url);
    free(dir);
    return path;
}
