/* SPDX-License-Identifier: Apache-2.0 */
/* ops-import tar and ops-import archive, and what all that unpack share: see import.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "import/import.h"
#include "import/jail.h"
#include "ops/exit.h"

bool import_begin(struct import *i, const struct strlist *writable, const struct strlist *readable,
                  struct err *err)
{
    struct strlist write = {0};
    const char *dir = i->words[0];
    i->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (i->dir_fd < 0)
        return err_errno(err, "open", dir);
    strlist_add(&write, dir);
    if (writable)
        strlist_add_all(&write, writable);
    bool ok = jail_enter(&write, readable, i->budget.bytes, err);
    strlist_free(&write);
    return ok;
}

int import_sysroot(struct import *i, struct err *err)
{
    int fd = -1;
    if (mkdirat(i->dir_fd, "sysroot", 0755) == 0)
        fd = openat(i->dir_fd, "sysroot", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        err_errno(err, "make", "sysroot");
    return fd;
}

int import_open(const char *path, struct err *err)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err_errno(err, "open", path);
    return fd;
}

bool import_list(struct import *i, struct unpack *u, const char *inner, struct err *err)
{
    struct mtree m;
    bool ok = unpack_finish(u, inner, &m, err) && mtree_write(&m, i->dir_fd, "sysroot.mtree", err);
    size_t skipped = unpack_skipped(u);
    if (ok && skipped)
        fprintf(stderr, "note: left out (devices, FIFOs and the like): %zu\n", skipped);
    mtree_free(&m);
    return ok;
}

static bool one_add(struct import *i, struct unpack *u, const char *path, struct err *err)
{
    int fd = import_open(path, err);
    if (fd < 0)
        return false;
    struct stream *s = stream_open(path, fd, UINT64_MAX, &i->budget);
    bool ok = unpack_archive(u, s, UNPACK_PLAIN, err);
    stream_close(s);
    close(fd);
    return ok;
}

bool import_inputs(struct import *i, struct err *err)
{
    struct strlist inputs = {0};
    for (char **w = i->words + 1; *w; w++)
        strlist_add(&inputs, *w);
    bool ok = import_begin(i, NULL, &inputs, err);
    strlist_free(&inputs);
    return ok;
}

bool import_tar(struct import *i, struct err *err)
{
    int root = import_inputs(i, err) ? import_sysroot(i, err) : -1;
    if (root < 0)
        return false;
    struct unpack *u = unpack_create(root, &i->budget);
    bool ok = true;
    for (char **w = i->words + 1; ok && *w; w++)
        ok = one_add(i, u, *w, err);
    ok = ok && import_list(i, u, "/", err);
    unpack_free(u);
    close(root);
    return ok;
}

/* The list of the archive itself says more than a tar made by anybody can: it stays if it is true
 * of what was unpacked. */
static bool list_keep(struct import *i, struct unpack *u, const char *path, struct err *err)
{
    struct mtree m, made;
    struct strlist faults = {0};
    char *list = path_join(i->words[0], "sysroot.mtree"), *root = path_join(i->words[0], "sysroot");
    bool ok = unpack_finish(u, "/sysroot", &made, err);
    mtree_free(&made);
    ok = mtree_read(&m, list, err) && ok && mtree_verify(&m, root, &faults, err);
    if (ok && faults.count)
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s is damaged: its list says otherwise (%s)",
                     path, faults.items[0]);
    mtree_free(&m);
    strlist_free(&faults);
    free(root);
    free(list);
    return ok;
}

bool import_archive(struct import *i, struct err *err)
{
    const char *path = i->words[1];
    struct stat st;
    if (i->words[2])
        return err_set(err, OPS_EXIT_USAGE, NULL, "one archive is one package");
    if (!import_inputs(i, err))
        return false;
    struct unpack *u = unpack_create(i->dir_fd, &i->budget);
    unpack_strip_top(u, "sysroot");
    bool ok = one_add(i, u, path, err);
    if (ok)
        ok = fstatat(i->dir_fd, "sysroot.mtree", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                     S_ISREG(st.st_mode)
                 ? list_keep(i, u, path, err)
                 : import_list(i, u, "/sysroot", err);
    if (ok && (!unpack_top(u) || fstatat(i->dir_fd, "package.manifest", &st, AT_SYMLINK_NOFOLLOW) ||
               !S_ISREG(st.st_mode)))
        ok = err_set(err, OPS_EXIT_FAILED, "`ops pkg from-oci` and `ops run` take other archives",
                     "%s is no package: it has no NAME/package.manifest", path);
    if (ok)
        printf("%s\n", unpack_top(u));
    unpack_free(u);
    return ok;
}
