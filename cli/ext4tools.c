/* SPDX-License-Identifier: Apache-2.0 */
/* Running e2fsck and resize2fs: see ext4tools.h. */
#include "ext4tools.h"

#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "child.h"
#include "ops/exit.h"
#include "script.h"

/* Statuses of e2fsck(8) */
enum { FSCK_CLEAN = 0, FSCK_CORRECTED = 1, FSCK_REBOOT = 2, FSCK_ERRORS = 4 };

/* They live in /sbin, which the PATH of an ordinary user lacks. Freed with free(). */
static char *tool_find(const char *name, struct err *err)
{
    static const char *const places[] = {"/usr/sbin", "/sbin"};
    char *found = script_find(NULL, name);
    for (size_t i = 0; !found && i < sizeof places / sizeof places[0]; i++) {
        found = alloc_printf("%s/%s", places[i], name);
        if (access(found, X_OK) < 0) {
            free(found);
            found = NULL;
        }
    }
    if (!found)
        err_set(err, OPS_EXIT_FAILED, "install it: `apt install e2fsprogs`", "cannot find %s",
                name);
    return found;
}

/* The tool inherits the file itself, whose path may be /proc/self/fd/N. Runs `name` with
 * blank-separated `options` on the filesystem; `last` may be NULL. */
static bool tool_run(const struct ext4file *f, const char *name, const char *options,
                     const char *last, int *status, struct buf *said, struct err *err)
{
    struct strlist argv = {0};
    char *tool = tool_find(name, err);
    if (!tool)
        return false;
    strlist_add(&argv, tool);
    strlist_split(&argv, options, " ");
    if (f->offset)
        strlist_addf(&argv, "%s?offset=%llu", f->path, (unsigned long long)f->offset);
    else
        strlist_add(&argv, f->path);
    if (last)
        strlist_add(&argv, last);
    bool ok = child_status(&argv, &f->fd, 1, said, status, err);
    strlist_free(&argv);
    free(tool);
    return ok;
}

static bool tool_failed(const struct ext4file *f, const char *what, const struct buf *said,
                        struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "`check --repair` repairs it", "cannot %s %s: %s", what,
                   f->path, said->data);
}

bool ext4tools_replay(const struct ext4file *f, struct err *err)
{
    struct buf said = {0};
    int status = 0;
    bool ok = tool_run(f, "e2fsck", "-E journal_only -p", NULL, &status, &said, err);
    if (ok && status & ~(FSCK_CORRECTED | FSCK_REBOOT))
        ok = tool_failed(f, "replay the journal of", &said, err);
    buf_free(&said);
    return ok;
}

bool ext4tools_check(const struct ext4file *f, bool repair, bool *found, struct buf *said,
                     struct err *err)
{
    int status = 0;
    if (!tool_run(f, "e2fsck", repair ? "-fy" : "-fn", NULL, &status, said, err))
        return false;
    *found = status & (FSCK_CORRECTED | FSCK_ERRORS);
    if (status & ~(FSCK_CORRECTED | FSCK_REBOOT | FSCK_ERRORS))
        return err_set(err, OPS_EXIT_FAILED, NULL, "e2fsck cannot check %s: %s", f->path,
                       said->data);
    if (repair && status & FSCK_ERRORS)
        return err_set(err, OPS_EXIT_FAILED, NULL, "e2fsck cannot repair all of %s: %s", f->path,
                       said->data);
    return true;
}

bool ext4tools_grow(const struct ext4file *f, uint64_t bytes, struct err *err)
{
    struct buf said = {0};
    int status = 0;
    bool found = false;
    char *size = alloc_printf("%lluK", (unsigned long long)(bytes >> 10));
    bool ok = ext4tools_check(f, false, &found, &said, err);
    if (ok && found)
        ok = err_set(err, OPS_EXIT_FAILED, "`check --repair` repairs it",
                     "the filesystem in %s is damaged", f->path);
    ok = ok && tool_run(f, "resize2fs", "-f", size, &status, &said, err);
    if (ok && status)
        ok = tool_failed(f, "resize", &said, err);
    buf_free(&said);
    free(size);
    return ok;
}
