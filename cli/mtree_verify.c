/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory against the list of what it should hold: see mtree.h. Every file is reached by its
 * whole path below the root, and no symlink on the way is followed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "mtree.h"

struct verifier {
    const struct mtree *m;
    const char *name; /* of the directory, for messages */
    int root;
    struct strlist *faults;
    struct err *err;
};

static int open_below(const struct verifier *v, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    const char *below = path[1] ? path + 1 : ".";
    return (int)syscall(SYS_openat2, v->root, below, &how, sizeof how);
}

static bool failed(const struct verifier *v, const char *path)
{
    char *whole = alloc_printf("%s%s", v->name, path);
    err_errno(v->err, "read", whole);
    free(whole);
    return false;
}

static void note(const struct verifier *v, const char *what, const char *path)
{
    char *escaped = mtree_escape(path);
    strlist_addf(v->faults, "%s %s", what, escaped);
    free(escaped);
}

static bool content_check(const struct verifier *v, const struct mtree_entry *e,
                          const struct stat *st)
{
    unsigned char digest[DIGEST_SIZE];
    bool same = (uint64_t)st->st_size == e->size;
    if (same) {
        int fd = open_below(v, e->path, O_RDONLY | O_NONBLOCK);
        bool ok = fd >= 0 && digest_of_fd(fd, digest);
        if (!ok)
            failed(v, e->path);
        if (fd >= 0)
            close(fd);
        if (!ok)
            return false;
        same = memcmp(digest, e->sha256, sizeof digest) == 0;
    }
    if (!same)
        note(v, "changed content", e->path);
    return true;
}

static bool link_check(const struct verifier *v, const struct mtree_entry *e, int fd)
{
    char target[MTREE_PATH + 1];
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    if (n < 0)
        return failed(v, e->path);
    if ((size_t)n != strlen(e->link) || memcmp(target, e->link, (size_t)n) != 0)
        note(v, "changed target", e->path);
    return true;
}

static bool same_kind(const struct mtree_entry *e, const struct stat *st)
{
    static const mode_t kinds[] = {
        [TREE_DIR] = S_IFDIR, [TREE_FILE] = S_IFREG, [TREE_LINK] = S_IFLNK};
    return (st->st_mode & S_IFMT) == kinds[e->kind];
}

static bool entry_check(const struct verifier *v, const struct mtree_entry *e)
{
    struct stat st;
    int fd = open_below(v, e->path, O_PATH);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return failed(v, e->path);
    if (fd < 0) {
        note(v, "missing", e->path);
        return true;
    }
    bool ok = fstat(fd, &st) == 0 || failed(v, e->path);
    if (ok && !same_kind(e, &st)) {
        note(v, "changed kind", e->path);
    } else if (ok) {
        if ((st.st_mode & 07777) != mtree_disk_mode(e->kind, e->mode))
            note(v, "changed mode", e->path);
        if (e->kind == TREE_FILE)
            ok = content_check(v, e, &st);
        else if (e->kind == TREE_LINK)
            ok = link_check(v, e, fd);
    }
    close(fd);
    return ok;
}

/* What the directory holds beyond the list. */
static bool added_find(const struct verifier *v, const char *path)
{
    int fd = open_below(v, path, O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) ? true
                                                                                 : failed(v, path);
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *below = path_join(path, e->d_name);
        if (!mtree_find(v->m, below))
            note(v, "added", below);
        free(below);
    }
    closedir(d);
    return true;
}

bool mtree_verify(const struct mtree *m, const char *root, struct strlist *faults, struct err *err)
{
    struct verifier v = {.m = m, .name = root, .faults = faults, .err = err};
    v.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (v.root < 0)
        return err_errno(err, "open", root);
    bool ok = true;
    for (size_t i = 0; ok && i < m->count; i++) {
        ok = entry_check(&v, &m->entries[i]);
        if (ok && m->entries[i].kind == TREE_DIR)
            ok = added_find(&v, m->entries[i].path);
    }
    close(v.root);
    return ok;
}
