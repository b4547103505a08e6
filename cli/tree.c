/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an image before it is written: see tree.h. Entries hang in a
 * search tree by guest path; strcmp order puts parents before what they hold.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"
#include "ops/exit.h"

#define TREE_LINKS 40      /* symlinks followed before a path counts as a loop */
#define TREE_MOVED "/host" /* what would be hidden in the guest is put below this */

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct tree_entry *)a)->path, ((const struct tree_entry *)b)->path);
}

struct tree_entry *tree_find(const struct tree *t, const char *path)
{
    struct tree_entry key = {.path = (char *)path};
    struct tree_entry **found = tfind(&key, &t->root, entry_compare);
    return found ? *found : NULL;
}

bool tree_hidden(const char *path)
{
    static const char *const mounts[] = {"/dev/", "/proc/", "/tmp/"};
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++)
        if (strncmp(path, mounts[i], strlen(mounts[i])) == 0)
            return true;
    return false;
}

char *tree_guest_path(const char *path)
{
    return alloc_printf("%s%s", tree_hidden(path) ? TREE_MOVED : "", path);
}

static void entry_clear(struct tree_entry *e)
{
    free(e->source);
    free(e->text);
    free(e->why);
    e->source = e->text = e->why = NULL;
}

/* Puts an entry at exactly `path`; its parent is there already. NULL: kinds collide. */
static struct tree_entry *entry_put(struct tree *t, const char *path, enum tree_kind kind,
                                    const char *why, struct err *err)
{
    struct tree_entry *e = tree_find(t, path);
    if (e && (e->kind == TREE_DIR) != (kind == TREE_DIR)) {
        err_set(err, OPS_EXIT_FAILED, "--list-files shows what is put where",
                "%s would be both a directory and a file in the image (%s; %s)", path, e->why, why);
        return NULL;
    }
    if (!e) {
        e = alloc_zero(sizeof *e);
        e->path = alloc_string(path);
        tsearch(e, &t->root, entry_compare);
        t->count++;
    }
    entry_clear(e);
    memset(&e->st, 0, sizeof e->st);
    e->listed = NULL;
    e->uid = t->uid;
    e->gid = t->gid;
    e->kind = kind;
    e->why = alloc_string(why);
    e->implied = false;
    return e;
}

/* Where a merged distribution has /lib -> usr/lib, an implied /lib is that link too. */
static char *merged_link(const char *path)
{
    static const char *const names[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    char target[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(path, names[i]) != 0)
            continue;
        ssize_t n = readlink(path, target, sizeof target);
        return n > 0 && n < (ssize_t)sizeof target ? alloc_bytes(target, (size_t)n) : NULL;
    }
    return NULL;
}

/* Makes the missing directory `path` (its parent exists), or the link the host has there. */
static struct tree_entry *parent_make(struct tree *t, const char *path, const char *why,
                                      struct err *err)
{
    char *target = t->data ? NULL : merged_link(path);
    struct tree_entry *e = entry_put(t, path, target ? TREE_LINK : TREE_DIR, why, err);
    if (e) {
        e->st.st_mode = target ? S_IFLNK | 0777 : S_IFDIR | 0755;
        e->st.st_size = target ? (off_t)strlen(target) : 0;
        e->text = target;
        e->implied = !target;
    }
    return e;
}

/*
 * `path` with the symlinks of the tree above its last component followed and its
 * missing parents made. Freed with free(); NULL: see err.
 */
static char *tree_place(struct tree *t, const char *path, const char *why, struct err *err)
{
    char *at = path_normal(path);
    unsigned links = 0;
    for (char *slash = strchr(at + 1, '/'); slash;) {
        *slash = 0;
        struct tree_entry *e = tree_find(t, at);
        if (!e && !(e = parent_make(t, at, why, err)))
            goto fail;
        if (e->kind == TREE_FILE || (e->kind == TREE_LINK && ++links > TREE_LINKS)) {
            err_set(err, OPS_EXIT_FAILED, "--list-files shows what is put where",
                    "%s cannot be put below %s, which is a %s in the image", path, at,
                    e->kind == TREE_FILE ? "file" : "loop of symlinks");
            goto fail;
        }
        if (e->kind == TREE_LINK) { /* start again at the target */
            char *next = path_through(at, e->text, slash + 1);
            free(at);
            at = next;
            slash = at;
        } else {
            *slash = '/';
        }
        slash = strchr(slash + 1, '/');
    }
    return at;
fail:
    free(at);
    return NULL;
}

static bool tree_excluded(const struct tree *t, const char *path)
{
    for (size_t i = 0; t->exclude && i < t->exclude->count; i++)
        if (fnmatch(t->exclude->items[i], path, 0) == 0)
            return true;
    return false;
}

static struct tree_entry *tree_put(struct tree *t, const char *path, enum tree_kind kind,
                                   const char *why, struct err *err)
{
    char *place = tree_place(t, path, why, err);
    struct tree_entry *e = NULL;
    if (place && !t->data && kind != TREE_DIR && tree_hidden(place))
        err_set(err, OPS_EXIT_FAILED, "MapDirs can put it elsewhere",
                "%s would be hidden: the kernel mounts something over that directory", path);
    else if (place)
        e = entry_put(t, place, kind, why, err);
    free(place);
    return e;
}

bool tree_add_dir(struct tree *t, const char *path, unsigned mode, const char *why, struct err *err)
{
    if (tree_excluded(t, path))
        return true;
    struct tree_entry *e = tree_put(t, path, TREE_DIR, why, err);
    if (e)
        e->st.st_mode = S_IFDIR | mode;
    return e;
}

bool tree_add_text(struct tree *t, const char *path, unsigned mode, const char *text,
                   const char *why, struct err *err)
{
    return tree_add_bytes(t, path, mode, text, strlen(text), why, err);
}

bool tree_add_bytes(struct tree *t, const char *path, unsigned mode, const void *bytes, size_t n,
                    const char *why, struct err *err)
{
    if (tree_excluded(t, path))
        return true;
    struct tree_entry *e = tree_put(t, path, TREE_FILE, why, err);
    if (!e)
        return false;
    e->text = alloc_bytes(bytes, n);
    e->st.st_mode = S_IFREG | mode;
    e->st.st_size = (off_t)n;
    return true;
}

bool tree_add_link(struct tree *t, const char *path, const char *target, const char *why,
                   struct err *err)
{
    if (tree_excluded(t, path))
        return true;
    struct tree_entry *e = tree_put(t, path, TREE_LINK, why, err);
    if (!e)
        return false;
    e->text = alloc_string(target);
    e->st.st_mode = S_IFLNK | 0777;
    e->st.st_size = (off_t)strlen(target);
    return true;
}

static char *link_target(const char *path, struct err *err)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target);
    if (n < 0 || n == (ssize_t)sizeof target) {
        err_errno(err, "read the link", path);
        return NULL;
    }
    return alloc_bytes(target, (size_t)n);
}

static bool add_with_stat(struct tree *t, const char *path, const char *source,
                          const struct stat *st, const char *why, struct err *err)
{
    char *target = NULL;
    enum tree_kind kind = TREE_FILE;
    if (S_ISDIR(st->st_mode))
        kind = TREE_DIR;
    else if (S_ISLNK(st->st_mode))
        kind = TREE_LINK;
    else if (!S_ISREG(st->st_mode))
        return true;
    if (kind == TREE_LINK && !(target = link_target(source, err)))
        return false;
    if (target && !t->data && tree_hidden(target)) { /* what it leads to was moved */
        char *moved = tree_guest_path(target);
        free(target);
        target = moved;
    }
    struct tree_entry *e = tree_put(t, path, kind, why, err);
    if (!e) {
        free(target);
        return false;
    }
    e->text = target;
    e->source = alloc_string(source);
    e->st = *st;
    return true;
}

bool tree_add_host(struct tree *t, const char *path, const char *source, const char *why,
                   struct err *err)
{
    struct stat st;
    if (tree_excluded(t, path))
        return true;
    if (lstat(source, &st) < 0)
        return err_errno(err, "open", source);
    return add_with_stat(t, path, source, &st, why, err);
}

bool tree_add_listed(struct tree *t, const struct mtree_entry *listed, const char *source,
                     const struct stat *st, const char *why, struct err *err)
{
    struct tree_entry *e = tree_put(t, listed->path, listed->kind, why, err);
    if (!e)
        return false;
    e->text = listed->link ? alloc_string(listed->link) : NULL;
    e->source = alloc_string(source);
    e->st = *st;
    e->uid = listed->uid;
    e->gid = listed->gid;
    e->listed = listed;
    return true;
}

/*
 * One step of tree_mirror(): *at up to `slash` (NULL: all of it). A symlink is added and *at
 * becomes where it leads, with *followed set.
 */
static bool mirror_step(struct tree *t, char **at, char *slash, const char *why, bool *followed,
                        struct err *err)
{
    struct stat st;
    *followed = false;
    if (slash)
        *slash = 0;
    if (lstat(*at, &st) < 0)
        return err_errno(err, "open", *at);
    char *guest = tree_guest_path(*at);
    bool link = S_ISLNK(st.st_mode), passing = slash && !link;
    bool there = passing || ((link || S_ISDIR(st.st_mode)) && tree_find(t, guest));
    bool ok = there || add_with_stat(t, guest, *at, &st, why, err);
    free(guest);
    char *target = ok && link ? link_target(*at, err) : NULL;
    if (target) {
        char *next = path_through(*at, target, slash ? slash + 1 : NULL);
        free(*at);
        *at = next;
        *followed = true;
    } else if (slash) {
        *slash = '/';
    }
    free(target);
    return ok && (!link || *followed);
}

bool tree_mirror(struct tree *t, const char *path, const char *why, struct err *err)
{
    if (tree_excluded(t, path))
        return true;
    char *at = path_normal(path), *slash = strchr(at + 1, '/');
    bool ok, followed;
    unsigned links = 0;
    while ((ok = mirror_step(t, &at, slash, why, &followed, err)) && (slash || followed)) {
        if (followed && ++links > TREE_LINKS) {
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s is a loop of symlinks", path);
            break;
        }
        slash = strchr(followed ? at + 1 : slash + 1, '/');
    }
    free(at);
    return ok;
}

static int name_filter(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int name_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

bool tree_add_all(struct tree *t, const char *path, const char *source, const char *why,
                  tree_seen_fn *seen, void *context, struct err *err)
{
    struct stat st;
    if (tree_excluded(t, path))
        return true;
    if (lstat(source, &st) < 0)
        return err_errno(err, "open", source);
    if (!add_with_stat(t, path, source, &st, why, err))
        return false;
    if (!S_ISDIR(st.st_mode))
        return !seen || !S_ISREG(st.st_mode) || seen(context, path, source, err);
    struct dirent **names;
    int count = scandir(source, &names, name_filter, name_compare);
    if (count < 0)
        return err_errno(err, "read the directory", source);
    bool ok = true;
    for (int i = 0; i < count; i++) {
        char *below = path_join(path, names[i]->d_name);
        char *from = path_join(source, names[i]->d_name);
        ok = ok && tree_add_all(t, below, from, why, seen, context, err);
        free(below);
        free(from);
        free(names[i]);
    }
    free(names);
    return ok;
}

struct walk {
    struct tree_entry **next;
};

static void entry_collect(const void *node, VISIT visit, void *context)
{
    struct walk *w = context;
    if (visit == postorder || visit == leaf)
        *w->next++ = *(struct tree_entry *const *)node;
}

struct tree_entry **tree_entries(const struct tree *t)
{
    struct tree_entry **all = alloc_array(NULL, t->count + 1, sizeof *all);
    struct walk w = {.next = all};
    twalk_r(t->root, entry_collect, &w);
    *w.next = NULL;
    return all;
}

static void entry_destroy(void *entry)
{
    struct tree_entry *e = entry;
    entry_clear(e);
    free(e->path);
    free(e);
}

void tree_free(struct tree *t)
{
    tdestroy(t->root, entry_destroy);
    *t = (struct tree){0};
}
