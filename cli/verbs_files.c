/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that `ops volume` and `ops image` share: see verbs.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4copy.h"
#include "ext4tools.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "verbs.h"

#define TREE_DEPTH 256 /* a damaged filesystem can hold a circle */

const struct option verb_ls_row = {.name = "long",
                                   .letter = 'l',
                                   .type = OPTION_FLAG,
                                   .offset = offsetof(struct verb_request, details),
                                   .help = "mode, links, owner, size and time too"};
const struct option verb_cp_row = {.name = "recursive",
                                   .letter = 'r',
                                   .type = OPTION_FLAG,
                                   .offset = offsetof(struct verb_request, recursive),
                                   .help = "copy directories with all below"};
const struct option verb_check_row = {.name = "repair",
                                      .type = OPTION_FLAG,
                                      .offset = offsetof(struct verb_request, repair),
                                      .help = "repair what is found (e2fsck -fy)"};

/* A name from an image must not steer the terminal. */
static void name_print(const char *name)
{
    bool terminal = isatty(STDOUT_FILENO);
    for (; *name; name++)
        putchar(terminal && iscntrl((unsigned char)*name) ? '?' : *name);
}

static void mode_text(unsigned mode, char text[11])
{
    static const char kinds[] = {
        [S_IFDIR >> 12] = 'd', [S_IFREG >> 12] = '-', [S_IFLNK >> 12] = 'l', [S_IFIFO >> 12] = 'p',
        [S_IFCHR >> 12] = 'c', [S_IFBLK >> 12] = 'b', [S_IFSOCK >> 12] = 's'};
    unsigned kind = mode >> 12 & 15;
    text[0] = kind < sizeof kinds && kinds[kind] ? kinds[kind] : '?';
    for (int i = 0; i < 9; i++)
        text[1 + i] = (char)(mode & (0400u >> i) ? "rwxrwxrwx"[i] : '-');
    if (mode & S_ISUID)
        text[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        text[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        text[9] = mode & S_IXOTH ? 't' : 'T';
    text[10] = 0;
}

static bool target_print(struct ext4file *f, ext2_ino_t ino, struct err *err)
{
    char *target = ext4file_link(f, ino, err);
    if (!target)
        return false;
    fputs(" -> ", stdout);
    name_print(target);
    free(target);
    return true;
}

static bool line_print(const struct verb_request *r, struct ext4file *f, const char *name,
                       ext2_ino_t ino, struct err *err)
{
    struct stat st;
    char mode[11], when[32];
    struct tm tm;
    bool ok = true;
    if (r->details) {
        if (!ext4file_stat(f, ino, &st, err))
            return false;
        mode_text(st.st_mode, mode);
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&st.st_mtim.tv_sec, &tm));
        printf("%s %3u %5u %5u %10lld %s ", mode, (unsigned)st.st_nlink, st.st_uid, st.st_gid,
               (long long)st.st_size, when);
    }
    name_print(name);
    if (r->details && S_ISLNK(st.st_mode))
        ok = target_print(f, ino, err);
    putchar('\n');
    return ok;
}

static bool ls_path(const struct verb_request *r, struct ext4file *f, const char *path,
                    struct err *err)
{
    struct stat st;
    struct ext4name *names;
    ext2_ino_t ino;
    if (!ext4file_lookup(f, path, true, &ino, err) || !ext4file_stat(f, ino, &st, err))
        return false;
    if (!S_ISDIR(st.st_mode))
        return line_print(r, f, path, ino, err);
    if (!ext4file_names(f, ino, &names, err))
        return false;
    bool ok = true;
    for (struct ext4name *n = names; ok && n->name; n++)
        ok = line_print(r, f, n->name, n->ino, err);
    ext4file_names_free(names);
    return ok;
}

/* Opens NAME:/path for a verb that reads, and closes it behind. */
static bool path_read_by(const struct verb_request *r, const char *word,
                         bool (*read)(const struct verb_request *r, struct ext4file *f,
                                      const char *path, struct err *err),
                         struct err *err)
{
    struct ext4file f;
    char *name, *path;
    verb_spec(word, &name, &path);
    bool ok = verb_open(r, name, EXT4FILE_READ, &f, err);
    if (ok) {
        ok = read(r, &f, path, err);
        ext4file_abandon(&f);
    }
    free(name);
    free(path);
    return ok;
}

bool verb_ls(const struct verb_request *r, char **operands, size_t count, int *status,
             struct err *err)
{
    (void)count, (void)status;
    return path_read_by(r, operands[0], ls_path, err);
}

static bool tree_below(struct ext4file *f, ext2_ino_t dir, char *indent, unsigned depth,
                       struct err *err)
{
    struct ext4name *names;
    if (depth == TREE_DEPTH)
        return err_set(err, OPS_EXIT_FAILED, "`check` says whether it is damaged",
                       "the directories in %s are too deep", f->path);
    if (!ext4file_names(f, dir, &names, err))
        return false;
    size_t count = 0, end = strlen(indent);
    while (names[count].name)
        count++;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct stat st;
        bool last = i + 1 == count;
        if (!(ok = ext4file_stat(f, names[i].ino, &st, err)))
            break;
        printf("%s%s", indent, last ? "`-- " : "|-- ");
        name_print(names[i].name);
        if (S_ISLNK(st.st_mode))
            ok = target_print(f, names[i].ino, err);
        putchar('\n');
        if (ok && S_ISDIR(st.st_mode)) {
            strcpy(indent + end, last ? "    " : "|   ");
            ok = tree_below(f, names[i].ino, indent, depth + 1, err);
            indent[end] = 0;
        }
    }
    ext4file_names_free(names);
    return ok;
}

static bool tree_path(const struct verb_request *r, struct ext4file *f, const char *path,
                      struct err *err)
{
    char indent[4 * TREE_DEPTH + 8] = "";
    struct stat st;
    ext2_ino_t ino;
    (void)r;
    if (!ext4file_lookup(f, path, true, &ino, err) || !ext4file_stat(f, ino, &st, err))
        return false;
    if (!S_ISDIR(st.st_mode))
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s in %s is no directory", path, f->path);
    name_print(path);
    putchar('\n');
    return tree_below(f, ino, indent, 0, err);
}

bool verb_tree(const struct verb_request *r, char **operands, size_t count, int *status,
               struct err *err)
{
    (void)count, (void)status;
    return path_read_by(r, operands[0], tree_path, err);
}

static bool stdout_take(void *context, const char *bytes, size_t n, struct err *err)
{
    static const char zeros[65536];
    (void)context;
    while (n) {
        size_t piece = bytes || n < sizeof zeros ? n : sizeof zeros;
        if (fwrite(bytes ? bytes : zeros, 1, piece, stdout) != piece)
            return err_errno(err, "write", "standard output");
        n -= piece;
    }
    return true;
}

static bool cat_path(const struct verb_request *r, struct ext4file *f, const char *path,
                     struct err *err)
{
    struct stat st;
    ext2_ino_t ino;
    (void)r;
    if (!ext4file_lookup(f, path, true, &ino, err) || !ext4file_stat(f, ino, &st, err))
        return false;
    if (!S_ISREG(st.st_mode))
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s in %s is not a file", path, f->path);
    return ext4file_read(f, ino, stdout_take, NULL, err);
}

bool verb_cat(const struct verb_request *r, char **operands, size_t count, int *status,
              struct err *err)
{
    bool ok = true;
    (void)status;
    for (size_t i = 0; ok && i < count; i++)
        ok = path_read_by(r, operands[i], cat_path, err);
    return ok;
}

static bool copy_in(const struct verb_request *r, char **sources, size_t count, const char *name,
                    const char *path, struct err *err)
{
    struct ext4file f;
    if (!verb_open(r, name, EXT4FILE_WRITE, &f, err))
        return false;
    bool ok = ext4copy_in(&f, sources, count, path, r->recursive, err);
    ext4file_abandon(&f);
    return ok;
}

static bool copy_out(const struct verb_request *r, const char *word, const char *to,
                     struct err *err)
{
    struct ext4file f;
    char *name, *path;
    bool inside = verb_spec(word, &name, &path);
    bool ok = inside || err_set(err, OPS_EXIT_USAGE, "write NAME:/path for what is inside",
                                "neither side of the copy is inside");
    ok = ok && verb_open(r, name, EXT4FILE_READ, &f, err);
    if (ok) {
        ok = ext4copy_out(&f, path, to, r->recursive, err);
        ext4file_abandon(&f);
    }
    free(name);
    free(path);
    return ok;
}

bool verb_cp(const struct verb_request *r, char **operands, size_t count, int *status,
             struct err *err)
{
    char *name, *path, *other_name, *other_path;
    (void)status;
    bool into = verb_spec(operands[count - 1], &name, &path), ok = true;
    for (size_t i = 0; ok && into && i + 1 < count; i++) {
        if (verb_spec(operands[i], &other_name, &other_path))
            ok = err_set(err, OPS_EXIT_USAGE, "copy it to the host first",
                         "both sides of the copy are inside");
        free(other_name);
        free(other_path);
    }
    if (ok && into)
        ok = copy_in(r, operands, count - 1, name, path, err);
    for (size_t i = 0; ok && !into && i + 1 < count; i++)
        ok = copy_out(r, operands[i], operands[count - 1], err);
    free(name);
    free(path);
    return ok;
}

/* What e2fsck said goes to standard error. */
static void check_print(const char *name, const char *what, bool found, bool repaired,
                        const struct buf *said)
{
    if (!found) {
        printf("%s: the %s is sound\n", name, what);
        return;
    }
    printf("%s: the %s %s damaged\n", name, what, repaired ? "was repaired; it was" : "is");
    fwrite(said->data, 1, strlen(said->data), stderr);
}

/* Was somebody killed who changed it? Replays a journal first. */
static bool is_marked(struct ext4file *f)
{
    struct err unread = {0};
    bool marked = false;
    if (ext4file_attach(f, &unread)) {
        marked = !(f->fs->super->s_state & EXT2_VALID_FS) || f->fs->super->s_state & EXT2_ERROR_FS;
        ext2fs_free(f->fs);
        f->fs = NULL;
    }
    err_free(&unread);
    return marked;
}

/* *disk: the filesystem is a partition. */
static bool filesystem_check(const struct verb_request *r, const char *name, const char *file,
                             const char *partition, bool *disk, int *status, struct err *err)
{
    struct ext4file f;
    struct buf said = {0};
    bool found = false;
    bool ok = ext4file_locate(&f, file, partition, r->repair ? EXT4FILE_WRITE : EXT4FILE_READ, err);
    *disk = ok && f.disk;
    if (ok && f.busy)
        ok = err_set(err, OPS_EXIT_FAILED, "wait until that has ended",
                     "%s is in use by a running machine or another ops", file);
    bool marked = ok && !r->repair && is_marked(&f);
    ok = ok && ext4tools_check(&f, r->repair, &found, &said, err);
    if (ok && marked && !found) { /* e2fsck sees no damage, but nobody knows what was to be there */
        buf_addf(&said, "It was being changed when ops or a machine was killed.\n");
        found = true;
    }
    bool boot = strcmp(partition, OPS_BOOT_LABEL) == 0;
    if (ok && (!boot || found))
        check_print(name, boot ? "boot filesystem" : "filesystem", found, r->repair, &said);
    if (ok && found && !r->repair)
        *status = OPS_EXIT_FAILED;
    ext4file_abandon(&f);
    buf_free(&said);
    return ok;
}

bool verb_check(const struct verb_request *r, char **operands, size_t count, int *status,
                struct err *err)
{
    bool disk = false, partition;
    (void)count;
    char *file = r->family->place(operands[0], err);
    bool ok = file && filesystem_check(r, operands[0], file, OPS_ROOT_LABEL, &disk, status, err);
    if (ok && disk)
        ok = filesystem_check(r, operands[0], file, OPS_BOOT_LABEL, &partition, status, err);
    free(file);
    return ok;
}
