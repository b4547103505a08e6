/* SPDX-License-Identifier: Apache-2.0 */
/* Walks two filesystems side by side: see ext4diff.h. */
#include "ext4diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"

#define DIFF_DEPTH 256 /* a damaged filesystem can hold a circle */
#define DIFF_CHUNK (64u << 10)

struct diff {
    struct ext4file *a, *b;
    unsigned depth;
    bool differ;
    struct err *err;
};

static bool names_differ(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Prints `sign` and everything below. */
static bool only_in(struct diff *d, struct ext4file *f, char sign, const char *path, ext2_ino_t ino)
{
    struct ext4name *names;
    struct stat st;
    d->differ = true;
    printf("%c %s\n", sign, path);
    if (!ext4file_stat(f, ino, &st, d->err))
        return false;
    if (!S_ISDIR(st.st_mode))
        return true;
    if (++d->depth > DIFF_DEPTH)
        return err_set(d->err, OPS_EXIT_FAILED, "`check` says whether it is damaged",
                       "the directories in %s are too deep", f->path);
    if (!ext4file_names(f, ino, &names, d->err))
        return false;
    bool ok = true;
    for (struct ext4name *n = names; ok && n->name; n++) {
        char *below = path_join(path, n->name);
        ok = !names_differ(n->name) || only_in(d, f, sign, below, n->ino);
        free(below);
    }
    ext4file_names_free(names);
    d->depth--;
    return ok;
}

static bool content_compare(struct diff *d, ext2_ino_t a, ext2_ino_t b, bool *same)
{
    ext2_file_t files[2] = {NULL, NULL};
    unsigned n[2] = {1, 1};
    char *bytes = alloc_zero(2 * DIFF_CHUNK);
    errcode_t code = ext2fs_file_open(d->a->fs, a, 0, &files[0]);
    if (!code)
        code = ext2fs_file_open(d->b->fs, b, 0, &files[1]);
    *same = true;
    while (!code && *same && n[0]) {
        for (int i = 0; !code && i < 2; i++)
            code = ext2fs_file_read(files[i], bytes + i * DIFF_CHUNK, DIFF_CHUNK, &n[i]);
        *same = n[0] == n[1] && memcmp(bytes, bytes + DIFF_CHUNK, n[0]) == 0;
    }
    for (int i = 0; i < 2; i++)
        if (files[i])
            ext2fs_file_close(files[i]);
    free(bytes);
    return !code || err_set(d->err, OPS_EXIT_FAILED, NULL, "cannot compare files of %s and %s: %s",
                            d->a->path, d->b->path, error_message(code));
}

static bool target_compare(struct diff *d, ext2_ino_t a, ext2_ino_t b, bool *same)
{
    char *x = ext4file_link(d->a, a, d->err), *y = x ? ext4file_link(d->b, b, d->err) : NULL;
    bool ok = x && y;
    *same = ok && strcmp(x, y) == 0;
    free(x);
    free(y);
    return ok;
}

/* Two inodes of one path; their directories are not entered. */
static bool entry_compare(struct diff *d, const char *path, ext2_ino_t a, ext2_ino_t b, bool *dirs)
{
    struct stat x, y;
    if (!ext4file_stat(d->a, a, &x, d->err) || !ext4file_stat(d->b, b, &y, d->err))
        return false;
    bool kind = (x.st_mode & S_IFMT) == (y.st_mode & S_IFMT), same = true, ok = true;
    *dirs = kind && S_ISDIR(x.st_mode);
    if (kind && S_ISREG(x.st_mode))
        ok = (same = x.st_size == y.st_size) ? content_compare(d, a, b, &same) : true;
    else if (kind && S_ISLNK(x.st_mode))
        ok = target_compare(d, a, b, &same);
    bool mode = (x.st_mode & 07777) == (y.st_mode & 07777);
    bool owner = x.st_uid == y.st_uid && x.st_gid == y.st_gid;
    if (ok && !(kind && same && mode && owner)) {
        d->differ = true;
        printf("M %s (%s)\n", path,
               !kind   ? "type"
               : !same ? S_ISLNK(x.st_mode) ? "target"
                         : mode             ? "content"
                                            : "content, mode"
               : mode  ? "owner"
                       : "mode");
    }
    return ok;
}

static bool dirs_compare(struct diff *d, const char *path, ext2_ino_t a, ext2_ino_t b);

/* The smaller name of both, or one of each when they are equal. */
static bool step_compare(struct diff *d, const char *path, struct ext4name **x, struct ext4name **y)
{
    int order = !(*x)->name ? 1 : !(*y)->name ? -1 : strcmp((*x)->name, (*y)->name);
    const char *name = order <= 0 ? (*x)->name : (*y)->name;
    char *below = path_join(path, name);
    bool ok = true, dirs = false;
    if (!names_differ(name))
        ;
    else if (order < 0)
        ok = only_in(d, d->a, '-', below, (*x)->ino);
    else if (order > 0)
        ok = only_in(d, d->b, '+', below, (*y)->ino);
    else
        ok = entry_compare(d, below, (*x)->ino, (*y)->ino, &dirs) &&
             (!dirs || dirs_compare(d, below, (*x)->ino, (*y)->ino));
    *x += order <= 0;
    *y += order >= 0;
    free(below);
    return ok;
}

static bool dirs_compare(struct diff *d, const char *path, ext2_ino_t a, ext2_ino_t b)
{
    struct ext4name *left, *right;
    if (++d->depth > DIFF_DEPTH)
        return err_set(d->err, OPS_EXIT_FAILED, "`check` says whether it is damaged",
                       "the directories in %s are too deep", d->a->path);
    if (!ext4file_names(d->a, a, &left, d->err))
        return false;
    bool ok = ext4file_names(d->b, b, &right, d->err);
    struct ext4name *x = left, *y = ok ? right : NULL;
    while (ok && (x->name || y->name))
        ok = step_compare(d, path, &x, &y);
    ext4file_names_free(left);
    if (y)
        ext4file_names_free(right);
    d->depth--;
    return ok;
}

bool ext4diff_print(struct ext4file *a, struct ext4file *b, bool *differ, struct err *err)
{
    struct diff d = {.a = a, .b = b, .err = err};
    bool dirs, ok = entry_compare(&d, "/", EXT2_ROOT_INO, EXT2_ROOT_INO, &dirs) &&
                    dirs_compare(&d, "/", EXT2_ROOT_INO, EXT2_ROOT_INO);
    *differ = d.differ;
    return ok;
}
