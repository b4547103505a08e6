/* SPDX-License-Identifier: Apache-2.0 */
/* Packages by name: see package_store.h. */
#include "package_store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "nearest.h"
#include "ops/exit.h"

#define NAME_MOST 64
#define DRAFT     ".new-" /* begins the name of a draft */
#define GONE      ".old-" /* and of what is being deleted */

char *package_store_dir(struct err *err)
{
    return path_user("XDG_DATA_HOME", ".local/share", "ops/packages", err);
}

/* Versions may have what no name has. */
static bool version_ok(const char *version)
{
    size_t n = strlen(version);
    bool ok = n >= 1 && n <= NAME_MOST && isalnum((unsigned char)version[0]);
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)version[i]) || strchr(".+~-", version[i]);
    return ok;
}

bool package_word(const char *word, char **name, char **version, struct err *err)
{
    const char *colon = strchr(word, ':');
    *name = colon ? alloc_bytes(word, (size_t)(colon - word)) : alloc_string(word);
    *version = colon && strcmp(colon + 1, "latest") != 0 ? alloc_string(colon + 1) : NULL;
    if (path_name_ok(*name, NAME_MOST) && !strchr(*name, '_') &&
        (!*version || version_ok(*version)))
        return true;
    free(*name);
    free(*version);
    *name = *version = NULL;
    return err_set(err, OPS_EXIT_USAGE, "write NAME or NAME:VERSION", "'%s' cannot be a package",
                   word);
}

void package_split(const char *dir, char **name, char **version)
{
    const char *base = path_basename(dir), *line = strchr(base, '_');
    *name = line ? alloc_bytes(base, (size_t)(line - base)) : alloc_string(base);
    *version = alloc_string(line ? line + 1 : "");
}

bool package_store_names(struct strlist *names, struct err *err)
{
    char *dir = package_store_dir(err);
    bool ok = dir && path_names(dir, "", names, err);
    free(dir);
    return ok;
}

/* The entry of the store that is meant, NULL: none. */
static const char *newest(const struct strlist *names, const char *name, const char *version)
{
    const char *best = NULL;
    size_t n = strlen(name);
    for (size_t i = 0; i < names->count; i++) {
        const char *at = names->items[i];
        if (strncmp(at, name, n) != 0 || at[n] != '_')
            continue;
        if (version ? strcmp(at + n + 1, version) == 0 : !best || strverscmp(at, best) > 0)
            best = at;
    }
    return best;
}

bool package_store_find(const char *name, const char *version, char **dir, struct err *err)
{
    struct strlist names = {0};
    *dir = NULL;
    char *store = package_store_dir(err);
    bool ok = store && path_names(store, "", &names, err);
    const char *found = ok ? newest(&names, name, version) : NULL;
    if (found)
        *dir = path_join(store, found);
    strlist_free(&names);
    free(store);
    return ok;
}

static bool unknown(const char *word, const char *name, struct err *err)
{
    struct strlist names = {0};
    struct err ignored = {0};
    const char *near = NULL;
    if (package_store_names(&names, &ignored)) {
        for (size_t i = 0; i < names.count; i++)
            names.items[i][strcspn(names.items[i], "_")] = 0;
        near = nearest_word(name, (const char *const *)names.items, names.count);
    }
    err_set(err, OPS_EXIT_FAILED, "`ops pkg list` lists them, `ops pkg get` makes one",
            "there is no package %s here", word);
    if (near && strcmp(near, name) != 0)
        err_hint(err, "did you mean %s?", near);
    err_free(&ignored);
    strlist_free(&names);
    return false;
}

char *package_store_need(const char *word, struct err *err)
{
    char *name, *version, *dir = NULL;
    if (!package_word(word, &name, &version, err))
        return NULL;
    if (package_store_find(name, version, &dir, err) && !dir)
        unknown(word, name, err);
    free(version);
    free(name);
    return dir;
}

/* Removes what killed runs left: nobody has a lock on those. The store is locked. */
static void leftovers_sweep(int store)
{
    int copy = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        bool draft = strncmp(e->d_name, DRAFT, strlen(DRAFT)) == 0;
        if (!draft && strncmp(e->d_name, GONE, strlen(GONE)) != 0)
            continue;
        int fd = openat(store, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            path_remove_all(store, e->d_name);
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
}

bool package_draft_make(struct package_draft *d, const char *store, struct err *err)
{
    *d = (struct package_draft){.fd = -1, .store = alloc_string(store)};
    int lock = path_lock(store, err);
    if (lock < 0)
        return false;
    leftovers_sweep(lock);
    d->dir = alloc_printf("%s/%sXXXXXX", d->store, DRAFT);
    bool ok = mkdtemp(d->dir) && (d->fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 &&
              flock(d->fd, LOCK_EX | LOCK_NB) == 0;
    if (!ok) {
        err_errno(err, "write", d->store);
        free(d->dir);
        d->dir = NULL;
    }
    close(lock);
    return ok;
}

void package_draft_drop(struct package_draft *d)
{
    if (d->dir)
        path_remove_all(AT_FDCWD, d->dir);
    if (d->fd >= 0)
        close(d->fd);
    free(d->dir);
    free(d->store);
    *d = (struct package_draft){.fd = -1};
}

/* Moves an entry of the store away, whole, before it is removed piece by piece. */
static bool entry_remove(int store, const char *entry)
{
    char *gone = alloc_printf("%s%s-%d", GONE, entry, (int)getpid());
    bool ok = renameat(store, entry, store, gone) == 0 || errno == ENOENT;
    if (ok)
        path_remove_all(store, gone);
    free(gone);
    return ok;
}

/* Puts the draft where the entry is, or lets them change places, so that there is one at every
 * moment. The store is locked. */
static bool entry_put(int store, const char *draft, const char *entry)
{
    if (renameat2(store, draft, store, entry, RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EEXIST && renameat2(store, draft, store, entry, RENAME_EXCHANGE) == 0) {
        path_remove_all(store, draft); /* what was there */
        return true;
    }
    /* A file system without either. */
    return errno == EINVAL && entry_remove(store, entry) &&
           renameat(store, draft, store, entry) == 0;
}

bool package_draft_keep(struct package_draft *d, const char *name, const char *version, char **dir,
                        struct err *err)
{
    char *entry = alloc_printf("%s_%s", name, version), *path = path_join(d->store, entry);
    if (dir)
        *dir = NULL;
    bool ok = (path_name_ok(name, NAME_MOST) && !strchr(name, '_') && version_ok(version)) ||
              err_set(err, OPS_EXIT_USAGE, "letters, digits, '.' and '-'",
                      "'%s' cannot be a package of version '%s'", name, version);
    int lock = ok ? path_lock(d->store, err) : -1;
    ok = lock >= 0;
    if (ok && !(syncfs(d->fd) == 0 && entry_put(lock, path_basename(d->dir), entry)))
        ok = err_errno(err, "write", path);
    if (lock >= 0) {
        fsync(lock);
        close(lock);
    }
    if (ok) {
        free(d->dir);
        d->dir = NULL;
    }
    if (ok && dir)
        *dir = alloc_string(path);
    free(path);
    free(entry);
    return ok;
}

bool package_store_delete(const char *word, struct err *err)
{
    char *dir = package_store_need(word, err), *store = dir ? package_store_dir(err) : NULL;
    int lock = store ? path_lock(store, err) : -1;
    if (lock >= 0)
        leftovers_sweep(lock);
    bool ok =
        lock >= 0 && (entry_remove(lock, path_basename(dir)) || err_errno(err, "delete", dir));
    if (lock >= 0)
        close(lock);
    free(store);
    free(dir);
    return ok;
}
