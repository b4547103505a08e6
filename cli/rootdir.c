/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that is the root of a guest: see rootdir.h. */
#include "rootdir.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define ROOTDIR_LINKS 40 /* followed before a path counts as a loop, as Linux does */

bool rootdir_open(struct rootdir *r, const char *dir, const char *list, struct err *err)
{
    *r = (struct rootdir){.dir = alloc_string(dir)};
    if (!mtree_read(&r->files, list, err))
        return false;
    r->taken = alloc_zero(r->files.count + 1);
    return true;
}

static void entry_take(bool *taken, const struct rootdir *r, const struct mtree_entry *e)
{
    if (taken)
        taken[e - r->files.entries] = true;
}

/* Follows `path`, marking in `taken` (may be NULL) what is passed. */
static const struct mtree_entry *entry_walk(const struct rootdir *r, const char *path, bool *taken)
{
    char *at = path_normal(path), *slash = at;
    const struct mtree_entry *e = mtree_find(&r->files, "/");
    unsigned links = 0;
    while (e && slash) {
        slash = slash[1] ? strchr(slash + 1, '/') : NULL;
        if (slash)
            *slash = 0;
        e = mtree_find(&r->files, at);
        if (e)
            entry_take(taken, r, e);
        if (e && e->kind == TREE_LINK) {
            char *next = path_through(at, e->link, slash ? slash + 1 : NULL);
            free(at);
            slash = at = next;
            e = ++links > ROOTDIR_LINKS ? NULL : e;
        } else if (slash) {
            *slash = '/';
        }
    }
    free(at);
    return e;
}

const struct mtree_entry *rootdir_find(const struct rootdir *r, const char *path)
{
    return entry_walk(r, path, NULL);
}

const struct mtree_entry *rootdir_take(struct rootdir *r, const char *path)
{
    const struct mtree_entry *e = entry_walk(r, path, NULL);
    return e ? entry_walk(r, path, r->taken) : NULL;
}

void rootdir_take_entry(struct rootdir *r, const struct mtree_entry *e)
{
    entry_take(r->taken, r, e);
    for (char *path = path_dirname(e->path);;) {
        const struct mtree_entry *above = mtree_find(&r->files, path);
        if (above)
            entry_take(r->taken, r, above);
        if (strcmp(path, "/") == 0) {
            free(path);
            return;
        }
        char *next = path_dirname(path);
        free(path);
        path = next;
    }
}

char *rootdir_host(const struct rootdir *r, const struct mtree_entry *e)
{
    return alloc_printf("%s%s", r->dir, e->path);
}

bool rootdir_add(const struct rootdir *r, struct tree *t, const char *why, struct err *err)
{
    static const mode_t types[] = {
        [TREE_DIR] = S_IFDIR, [TREE_FILE] = S_IFREG, [TREE_LINK] = S_IFLNK};
    bool ok = true;
    for (size_t i = 0; ok && i < r->files.count; i++) {
        const struct mtree_entry *e = &r->files.entries[i];
        struct stat st = {0};
        if (tree_hidden(e->path))
            continue;
        char *host = rootdir_host(r, e);
        if (lstat(host, &st) < 0 || (st.st_mode & S_IFMT) != types[e->kind]) {
            ok = err_set(err, OPS_EXIT_FAILED, "`ops pkg verify` says what else is damaged",
                         "%s is damaged: %s is not there any more", why, e->path);
        } else {
            st.st_mode = types[e->kind] | e->mode;
            st.st_uid = e->uid;
            st.st_gid = e->gid;
            st.st_mtim = e->mtime;
            ok = tree_add_listed(t, e, host, &st, why, err);
        }
        free(host);
    }
    return ok;
}

void rootdir_free(struct rootdir *r)
{
    free(r->dir);
    free(r->taken);
    mtree_free(&r->files);
    *r = (struct rootdir){0};
}
