/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Library lookup as ld.so(8) does it: DT_RPATH of the object and of those that
 * loaded it (unless it has a DT_RUNPATH), LD_LIBRARY_PATH, DT_RUNPATH, then the
 * loader's directories. Candidates for another machine are passed over.
 */
#include "deps.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "ldpath.h"
#include "ops/exit.h"

#define DEPS_OBJECTS 4096

struct deps_object {
    char *path;
    char *origin; /* what $ORIGIN stands for */
    struct elfinfo info;
    size_t loader; /* index of the object that needed it; 0 for the program itself */
};

static struct deps_object *object_add(struct deps *d, const char *path, size_t loader)
{
    d->objects = alloc_array(d->objects, d->count + 1, sizeof *d->objects);
    struct deps_object *o = &d->objects[d->count++];
    *o = (struct deps_object){.path = alloc_string(path), .loader = loader};
    o->origin = path_dirname(path);
    return o;
}

/* Where `path` is on this host, freed with free(); NULL: not there. */
static char *host_path(const struct deps *d, const char *path)
{
    const struct mtree_entry *e = d->root ? rootdir_find(d->root, path) : NULL;
    char *host = d->root ? e ? rootdir_host(d->root, e) : NULL : alloc_string(path);
    if (host && access(host, R_OK) == 0)
        return host;
    free(host);
    return NULL;
}

/* `path` with every symlink on the way goes into the image. */
static bool path_add(struct deps *d, const char *path, const char *why, struct err *err)
{
    if (!d->root)
        return tree_mirror(d->tree, path, why, err);
    rootdir_take(d->root, path);
    return true;
}

/* The library at DIR/NAME as a new object; false: not there or not for this machine. */
static bool candidate_take(struct deps *d, const char *dir, const char *name, size_t loader)
{
    char *path = path_join(dir, name), *host = host_path(d, path);
    struct elfinfo info = {0};
    struct err ignored = {0};
    bool ok = host && elfinfo_load(&info, host, &ignored) && elfinfo_is_library(&info);
    if (ok)
        object_add(d, path, loader)->info = info;
    else
        elfinfo_free(&info);
    err_free(&ignored);
    free(host);
    free(path);
    return ok;
}

/* The directories in which `name` is looked for on behalf of object `by`. */
static void search_dirs(const struct deps *d, size_t by, struct strlist *dirs)
{
    const struct deps_object *o = &d->objects[by];
    for (size_t i = by; !o->info.runpath;) {
        const struct deps_object *l = &d->objects[i];
        if (l->info.rpath && !l->info.runpath)
            ldpath_expand(dirs, l->info.rpath, l->origin);
        if (i == 0)
            break;
        i = l->loader;
    }
    strlist_add_all(dirs, &d->first);
    if (o->info.runpath)
        ldpath_expand(dirs, o->info.runpath, o->origin);
}

/* musl's loader is its libc; these names mean itself. */
static bool loader_is(const struct deps *d, const char *name)
{
    static const char *const own[] = {"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."};
    if (strcmp(name, path_basename(d->loader)) == 0)
        return true;
    for (size_t i = 0; ldpath_is_musl(d->loader) && i < sizeof own / sizeof own[0]; i++)
        if (strncmp(name, "lib", 3) == 0 && strncmp(name + 3, own[i], strlen(own[i])) == 0)
            return true;
    return false;
}

/* Would the guest's loader look in `dir` without being told? It has no ld.so.cache. */
static bool dir_is_builtin(const struct deps *d, const char *dir)
{
    if (tree_hidden(dir))
        return false;
    return ldpath_is_musl(d->loader) || strcmp(dir, "/lib") == 0 || strcmp(dir, "/usr/lib") == 0 ||
           strcmp(dir, "/lib64") == 0 || strcmp(dir, "/usr/lib64") == 0 ||
           strcmp(dir, "/lib/x86_64-linux-gnu") == 0 ||
           strcmp(dir, "/usr/lib/x86_64-linux-gnu") == 0;
}

/* Notes a library that the guest's loader would not find where it was found. */
static void away_add(struct deps *d, const char *name)
{
    char *guest = tree_guest_path(d->objects[d->count - 1].path);
    strlist_add(&d->away, name);
    strlist_add(&d->away, guest);
    free(guest);
}

/* Finds one needed library and puts it into the tree; *found false: nowhere. */
static bool library_find(struct deps *d, const char *name, size_t by, const char *why, bool *found,
                         struct err *err)
{
    struct strlist own = {0};
    bool slash = strchr(name, '/') != NULL;
    *found = slash && candidate_take(d, "/", name, by);
    if (!slash) {
        search_dirs(d, by, &own);
        for (size_t i = 0; !*found && i < own.count; i++) {
            *found = candidate_take(d, own.items[i], name, by);
            if (*found && tree_hidden(own.items[i]))
                away_add(d, name);
        }
        for (size_t i = 0; !*found && i < d->dirs.count; i++) {
            *found = candidate_take(d, d->dirs.items[i], name, by);
            if (*found && !dir_is_builtin(d, d->dirs.items[i]))
                away_add(d, name);
        }
    }
    strlist_free(&own);
    if (!*found)
        return true;
    const struct deps_object *o = &d->objects[d->count - 1];
    if (strcmp(name, "libc.so.6") == 0 && !d->libc_dir)
        d->libc_dir = alloc_string(o->origin);
    return path_add(d, o->path, why, err);
}

/* Debian names the package of libNAME.so.N after both: libssl.so.3 -> libssl3. */
static char *package_guess(const char *name)
{
    const char *so = strstr(name, ".so.");
    if (!so || so == name)
        return alloc_string(name);
    int stem = (int)(so - name);
    bool dash = isdigit((unsigned char)so[-1]);
    char *guess = alloc_printf("%.*s%s%s", stem, name, dash ? "-" : "", so + 4);
    for (char *p = guess; *p; p++)
        *p = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
    return guess;
}

static bool library_missing(const struct deps *d, const char *name, size_t by, struct err *err)
{
    char *package = package_guess(name);
    struct strlist dirs = {0};
    struct buf looked = {0};
    search_dirs(d, by, &dirs);
    strlist_add_all(&dirs, &d->dirs);
    for (size_t i = 0; i < dirs.count; i++)
        buf_addf(&looked, "%s%s", i ? ", " : "", dirs.items[i]);
    err_set(err, OPS_EXIT_FAILED, NULL, "cannot find the library %s, needed by %s", name,
            d->objects[by].path);
    err_hint(err,
             "install its package (perhaps `apt install %s`; `apt-file search %s` knows), or name "
             "its directory with -e LD_LIBRARY_PATH=DIR; looked in %s",
             package, name, looked.data ? looked.data : "no directory");
    buf_free(&looked);
    strlist_free(&dirs);
    free(package);
    return false;
}

/* Settles everything that the objects from `first` on need, which adds further objects. */
static bool closure(struct deps *d, size_t first, bool optional, struct err *err)
{
    for (size_t i = first; i < d->count; i++) {
        for (size_t n = 0; n < d->objects[i].info.needed.count; n++) {
            const char *name = d->objects[i].info.needed.items[n];
            bool found;
            if (strlist_has(&d->names, name) || loader_is(d, name))
                continue;
            if (d->count >= DEPS_OBJECTS)
                return err_set(err, OPS_EXIT_FAILED, NULL, "more than %d libraries are needed",
                               DEPS_OBJECTS);
            char *why = alloc_printf("needed by %s", d->objects[i].path);
            bool ok = library_find(d, name, i, why, &found, err);
            free(why);
            if (!ok)
                return false;
            name = d->objects[i].info.needed.items[n];
            if (!found && !optional)
                return library_missing(d, name, i, err);
            if (!found)
                strlist_addf(&d->missing, "%s needs %s, which is not %s", d->objects[i].path, name,
                             d->root ? "in the package" : "on this host");
            strlist_add(&d->names, name);
        }
    }
    return true;
}

static bool loader_add(struct deps *d, const char *program, struct err *err)
{
    char *why = alloc_printf("the loader of %s", program);
    char *host = host_path(d, d->loader);
    bool ok = host != NULL;
    free(host);
    if (!ok && d->partial)
        strlist_addf(&d->missing, "%s needs %s, which is not there", program, d->loader), ok = true;
    else if (!ok)
        err_set(err, OPS_EXIT_FAILED,
                ldpath_is_musl(d->loader) ? "install musl (`apt install musl`), or link statically"
                                          : "install the C library it was built with",
                "cannot find the loader %s, needed by %s", d->loader, program);
    else
        ok = path_add(d, d->loader, why, err);
    free(why);
    return ok;
}

bool deps_program(struct deps *d, const char *path, const char *library_path, struct err *err)
{
    const struct mtree_entry *e = d->root ? rootdir_find(d->root, path) : NULL;
    char *real = d->root ? alloc_string(e ? e->path : path) : realpath(path, NULL);
    char *host = host_path(d, path);
    struct deps_object *o = object_add(d, real ? real : path, 0);
    bool ok = elfinfo_load(&o->info, host ? host : path, err) &&
              elfinfo_check_program(&o->info, path, err);
    free(host);
    free(real);
    if (!ok)
        return false;
    d->loader = o->info.interp;
    if (!d->loader)
        return true;
    ldpath_add(&d->dirs, d->loader, d->root ? d->root->dir : NULL);
    if (library_path)
        ldpath_expand(&d->first, library_path, o->origin);
    return loader_add(d, path, err) && closure(d, 0, d->partial, err);
}

bool deps_plugin(struct deps *d, const char *path, struct err *err)
{
    struct elfinfo info = {0};
    struct err ignored = {0};
    char *host = d->loader && d->count < DEPS_OBJECTS ? host_path(d, path) : NULL;
    bool usable = host && elfinfo_load(&info, host, &ignored) && elfinfo_is_library(&info);
    free(host);
    err_free(&ignored);
    if (!usable) {
        elfinfo_free(&info);
        return true;
    }
    object_add(d, path, 0)->info = info;
    return closure(d, d->count - 1, true, err);
}

bool deps_optional(struct deps *d, const char *name, const char *why, struct err *err)
{
    bool found;
    size_t first = d->count;
    if (!d->loader || strlist_has(&d->names, name))
        return true;
    strlist_add(&d->names, name);
    return library_find(d, name, 0, why, &found, err) && closure(d, first, true, err);
}

bool deps_has(const struct deps *d, const char *prefix)
{
    for (size_t i = 0; i < d->count; i++)
        if (strncmp(path_basename(d->objects[i].path), prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

uint64_t deps_memory(const struct deps *d)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < d->count; i++)
        bytes += d->objects[i].info.memory;
    return bytes;
}

bool deps_finish(struct deps *d, struct err *err)
{
    bool ok = true;
    const char *dir = d->libc_dir ? d->libc_dir : "/usr/lib";
    for (size_t i = 0; ok && i + 1 < d->away.count; i += 2) {
        char *path = path_join(dir, d->away.items[i]);
        ok = tree_find(d->tree, path) || tree_add_link(d->tree, path, d->away.items[i + 1],
                                                       "the loader of the guest looks here", err);
        free(path);
    }
    return ok;
}

void deps_free(struct deps *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->objects[i].path);
        free(d->objects[i].origin);
        elfinfo_free(&d->objects[i].info);
    }
    free(d->objects);
    free(d->libc_dir);
    strlist_free(&d->first);
    strlist_free(&d->dirs);
    strlist_free(&d->names);
    strlist_free(&d->away);
    strlist_free(&d->missing);
    *d = (struct deps){0};
}
