/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a package keeps: see package_select.h. The list is changed first (overlay, links),
 * then taken from, then the files that nobody took are removed.
 */
#include "package_select.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "deps.h"
#include "digest.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "package.h"
#include "rootdir.h"

struct selection {
    struct recipe *recipe;
    struct rootdir root;
    struct timespec newest; /* of the distribution's files: the time of ours */
    struct strlist own;     /* paths of the overlay and of links: all stay */
    struct err *err;
};

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct mtree_entry *)a)->path, ((const struct mtree_entry *)b)->path);
}

/* A new entry, or the old one of that path emptied. The list is not sorted any more. */
static struct mtree_entry *entry_put(struct selection *s, const char *path, enum tree_kind kind,
                                     unsigned mode)
{
    struct mtree *m = &s->root.files;
    struct mtree_entry *e = NULL;
    for (size_t i = 0; !e && i < m->count; i++)
        if (strcmp(m->entries[i].path, path) == 0)
            e = &m->entries[i];
    if (!e) {
        m->entries = alloc_array(m->entries, m->count + 1, sizeof *m->entries);
        e = &m->entries[m->count++];
        *e = (struct mtree_entry){.path = alloc_string(path)};
    }
    free(e->link);
    e->link = NULL;
    e->kind = kind;
    e->mode = mode;
    e->nlink = 1;
    e->uid = e->gid = 0;
    e->size = 0;
    e->mtime = s->newest;
    return e;
}

static void list_sort(struct selection *s)
{
    struct rootdir *r = &s->root;
    qsort(r->files.entries, r->files.count, sizeof *r->files.entries, entry_compare);
    free(r->taken);
    r->taken = alloc_zero(r->files.count + 1);
}

/* The directories above `path`, on disk and in the list. */
static bool parents_make(struct selection *s, const char *path)
{
    char *dir = path_dirname(path), *host = alloc_printf("%s%s", s->root.dir, dir);
    struct stat st;
    bool ok = strcmp(dir, "/") == 0 || lstat(host, &st) == 0;
    if (!ok) {
        ok = parents_make(s, dir) && mkdir(host, 0755) == 0;
        if (ok)
            entry_put(s, dir, TREE_DIR, 0755);
    }
    free(host);
    free(dir);
    return ok || err_errno(s->err, "write", path);
}

static bool file_lay(struct selection *s, const char *path, const char *source)
{
    struct stat st;
    size_t size;
    char *text = stat(source, &st) == 0 ? path_read(source, 16 << 20, &size, s->err) : NULL;
    if (!text || !parents_make(s, path)) {
        free(text);
        return false;
    }
    char *host = alloc_printf("%s%s", s->root.dir, path);
    unlink(host);
    bool ok = path_write(AT_FDCWD, host, text, size) || err_errno(s->err, "write", host);
    if (ok) {
        struct mtree_entry *e = entry_put(s, path, TREE_FILE, st.st_mode & 0111 ? 0755 : 0644);
        e->size = size;
        e->nlink = 1;
        ok = (digest_of_file(host, e->sha256) &&
              chmod(host, mtree_disk_mode(TREE_FILE, e->mode)) == 0) ||
             err_errno(s->err, "write", host);
        strlist_add(&s->own, path);
    }
    free(host);
    free(text);
    return ok;
}

/* All of the recipe's directory `source` goes to `path`. */
static bool overlay_lay(struct selection *s, const char *path, const char *source)
{
    struct strlist names = {0};
    struct stat st;
    bool ok = path_names(source, "", &names, s->err);
    for (size_t i = 0; ok && i < names.count; i++) {
        char *from = path_join(source, names.items[i]), *to = path_join(path, names.items[i]);
        ok = stat(from, &st) == 0 || err_errno(s->err, "open", from);
        if (ok)
            ok = S_ISDIR(st.st_mode) ? overlay_lay(s, to, from) : file_lay(s, to, from);
        free(to);
        free(from);
    }
    strlist_free(&names);
    return ok;
}

static bool link_make(struct selection *s, const char *path, const char *target)
{
    char *host = alloc_printf("%s%s", s->root.dir, path);
    bool ok = parents_make(s, path);
    if (ok) {
        unlink(host);
        ok = symlink(target, host) == 0 || err_errno(s->err, "write", host);
    }
    if (ok) {
        entry_put(s, path, TREE_LINK, 0777)->link = alloc_string(target);
        strlist_add(&s->own, path);
    }
    free(host);
    return ok;
}

/* Links of a merged /usr, which belong to no package that is fetched. */
static bool merged_make(struct selection *s)
{
    static const char *const names[] = {"bin", "lib", "lib64", "sbin"};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof names / sizeof names[0]; i++) {
        char *path = alloc_printf("/%s", names[i]), *target = alloc_printf("usr/%s", names[i]);
        char *usr = alloc_printf("/%s", target);
        if (!mtree_find(&s->root.files, path) && mtree_find(&s->root.files, usr)) {
            ok = link_make(s, path, target);
            list_sort(s);
        }
        free(usr);
        free(target);
        free(path);
    }
    return ok;
}

static bool list_extend(struct selection *s)
{
    const struct recipe *r = s->recipe;
    for (size_t i = 0; i < s->root.files.count; i++) {
        const struct timespec *t = &s->root.files.entries[i].mtime;
        if (s->root.files.entries[i].kind == TREE_FILE && t->tv_sec > s->newest.tv_sec)
            s->newest = *t;
    }
    char *overlay = path_join(r->dir, "files");
    bool ok = merged_make(s) && overlay_lay(s, "/", overlay);
    for (size_t i = 0; ok && i + 1 < r->links.count; i += 2)
        ok = link_make(s, r->links.items[i], r->links.items[i + 1]);
    free(overlay);
    list_sort(s);
    return ok;
}

static bool matches(const struct strlist *patterns, const char *path)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->items[i], path, 0) == 0)
            return true;
    return false;
}

/* What the recipe keeps by name. A pattern that means nothing is a recipe gone stale. */
static bool patterns_take(struct selection *s, struct deps *d)
{
    const struct strlist *keep = &s->recipe->keep;
    bool *used = alloc_zero(keep->count + 1), ok = true;
    for (size_t i = 0; ok && i < s->root.files.count; i++) {
        const struct mtree_entry *e = &s->root.files.entries[i];
        bool take = strlist_has(&s->own, e->path);
        for (size_t k = 0; k < keep->count; k++)
            if (fnmatch(keep->items[k], e->path, 0) == 0)
                used[k] = take = true;
        if (!take || (matches(&s->recipe->drop, e->path) && !strlist_has(&s->own, e->path)))
            continue;
        rootdir_take(&s->root, e->path); /* where a link leads, too */
        rootdir_take_entry(&s->root, e);
        if (e->kind == TREE_FILE)
            ok = deps_plugin(d, e->path, s->err);
    }
    for (size_t k = 0; ok && k < keep->count; k++)
        if (!used[k])
            ok = err_set(s->err, OPS_EXIT_FAILED, NULL,
                         "the recipe of %s keeps %s, and there is no such file", s->recipe->name,
                         keep->items[k]);
    free(used);
    return ok;
}

/* The file that a pattern means; NULL: none. */
static const char *pattern_find(const struct mtree *m, const char *pattern)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->entries[i].kind != TREE_DIR &&
            fnmatch(pattern, m->entries[i].path, FNM_PATHNAME) == 0)
            return m->entries[i].path;
    return NULL;
}

/* The program may be a pattern, since its path has a version in it: the manifest gets the path,
 * also as argv[0] where that is the same. */
static void program_settle(struct selection *s)
{
    cJSON *manifest = s->recipe->manifest;
    cJSON *args = cJSON_GetObjectItemCaseSensitive(manifest, "Args");
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(args, 0));
    const char *pattern = recipe_text(s->recipe, "Program");
    const char *path = pattern_find(&s->root.files, pattern);
    if (path && first && strcmp(first, pattern) == 0)
        cJSON_ReplaceItemInArray(args, 0, cJSON_CreateString(path));
    if (path)
        cJSON_ReplaceItemInObjectCaseSensitive(manifest, "Program", cJSON_CreateString(path));
}

static bool needed_take(struct selection *s)
{
    struct deps d = {.root = &s->root};
    program_settle(s);
    const char *program = recipe_text(s->recipe, "Program");
    bool ok = rootdir_take(&s->root, program) ||
              err_set(s->err, OPS_EXIT_FAILED, NULL, "the packages of %s have no file %s",
                      s->recipe->name, program);
    ok = ok && deps_program(&d, program, NULL, s->err) && patterns_take(s, &d);
    for (size_t i = 0; ok && d.libc_dir && i < 2; i++) /* glibc opens these when it needs them */
        ok = deps_optional(&d, i ? "libgcc_s.so.1" : "libnss_dns.so.2", "", s->err);
    deps_free(&d);
    return ok;
}

/* Some names of a file may be gone. */
static void names_count(struct selection *s, struct mtree_entry *e)
{
    struct stat st;
    char *host = rootdir_host(&s->root, e);
    if (e->kind == TREE_FILE && e->nlink > 1 && lstat(host, &st) == 0)
        e->nlink = (unsigned)st.st_nlink;
    free(host);
}

/* Backwards: what a directory holds comes behind it. */
static bool rest_remove(struct selection *s)
{
    bool ok = true;
    struct mtree *m = &s->root.files;
    struct mtree kept = {.entries = alloc_array(NULL, m->count + 1, sizeof *m->entries)};
    for (size_t i = m->count; ok && i-- > 0;) {
        struct mtree_entry *e = &m->entries[i];
        if (s->root.taken[i] || strcmp(e->path, "/") == 0)
            continue;
        char *host = rootdir_host(&s->root, e);
        ok = (e->kind == TREE_DIR ? rmdir(host) : unlink(host)) == 0 ||
             err_errno(s->err, "remove", host);
        free(host);
    }
    for (size_t i = 0; ok && i < m->count; i++) {
        if (!s->root.taken[i] && strcmp(m->entries[i].path, "/") != 0)
            continue;
        names_count(s, &m->entries[i]);
        kept.entries[kept.count++] = m->entries[i];
    }
    char *list = path_dirname(s->root.dir);
    int dir = ok ? open(list, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    ok = dir >= 0 && mtree_write(&kept, dir, PACKAGE_LIST, s->err);
    if (dir >= 0)
        close(dir);
    free(list);
    free(kept.entries); /* what is in them belongs to the whole list */
    return ok;
}

bool package_select(struct recipe *r, const char *dir, struct err *err)
{
    struct selection s = {.recipe = r, .err = err};
    char *root = path_join(dir, PACKAGE_ROOT), *list = path_join(dir, PACKAGE_LIST);
    bool ok = rootdir_open(&s.root, root, list, err) && list_extend(&s) && needed_take(&s) &&
              rest_remove(&s);
    rootdir_free(&s.root);
    strlist_free(&s.own);
    free(list);
    free(root);
    return ok;
}
