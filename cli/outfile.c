/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear whole: see outfile.h. */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "tempfile.h"

static bool output_check(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
        return true;
    return err_set(err, OPS_EXIT_FAILED, "choose the name of a new file",
                   "cannot write %s: it exists and is not a regular file", path);
}

bool outfile_begin(struct outfile *o, const char *path, struct err *err)
{
    *o = (struct outfile){.path = path, .fd = -1};
    if (!output_check(path, err))
        return false;
    o->dir = path_dirname(path);
    char *name = alloc_printf(".%s.ops-unfinished", path_basename(path));
    char *joined = path_join(o->dir, name);
    o->temp = path_absolute(joined);
    o->fd = tempfile_open(o->temp, path, err);
    if (o->fd >= 0)
        tempfile_guard(o->temp);
    free(joined);
    free(name);
    return o->fd >= 0;
}

/* So that the new name survives a power cut. */
static void dir_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool outfile_end(struct outfile *o, bool ok, struct err *err)
{
    if (o->fd >= 0) {
        if (ok && (fsync(o->fd) < 0 || rename(o->temp, o->path) < 0))
            ok = err_errno(err, "write", o->path);
        if (ok)
            tempfile_release();
        else
            tempfile_remove();
        close(o->fd);
        if (ok)
            dir_sync(o->dir);
    }
    free(o->temp);
    free(o->dir);
    return ok;
}

int outfile_scratch(const struct outfile *o, struct err *err)
{
    int fd = open(o->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        /* a filesystem without them: nameless a moment later */
        char *name = path_join(o->dir, ".ops-XXXXXX");
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
        free(name);
    }
    if (fd < 0)
        err_errno(err, "make a temporary file in", o->dir);
    return fd;
}

bool outfile_text(const char *path, const char *text, struct err *err)
{
    struct outfile o;
    bool ok = outfile_begin(&o, path, err) && outfile_put(o.fd, path, text, strlen(text), 0, err);
    return outfile_end(&o, ok, err);
}

bool outfile_put(int fd, const char *shown, const void *bytes, size_t n, off_t offset,
                 struct err *err)
{
    const char *at = bytes;
    while (n) {
        ssize_t done = pwrite(fd, at, n, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = ENOSPC;
        if (done <= 0)
            return err_errno(err, "write", shown);
        at += done;
        offset += done;
        n -= (size_t)done;
    }
    return true;
}
