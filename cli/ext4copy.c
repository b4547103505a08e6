/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between the host and a filesystem in a file: see ext4copy.h. */
#include "ext4copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "ext4tree.h"
#include "hold.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "tree.h"

#define COPY_DEPTH 256 /* directories; a damaged filesystem can hold a circle */
#define HOLE_BLOCK 4096u

/* Without the slashes at its end. */
static char *slashes_trim(const char *path)
{
    char *trimmed = alloc_string(path);
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--)
        trimmed[n - 1] = 0;
    return trimmed;
}

/* --- into the filesystem --- */

static bool step(void *context, const struct tree_entry *e, uint64_t bytes, struct err *err)
{
    (void)e;
    return hold_step(context, bytes == 0, bytes, err);
}

static bool tree_put_in(struct ext4file *f, const struct tree *t, ext2_ino_t base, struct err *err)
{
    struct hold hold;
    const struct ext4tree_options o = {.base = base,
                                       .keep_base = true,
                                       .large_hint = "`resize` makes it larger",
                                       .step = step,
                                       .context = &hold};
    hold_begin(&hold);
    bool ok = ext4tree_write(f->fs, t, &o, err);
    /* What is there by now stays, also after an error: the bookkeeping must be written. */
    struct err second = {0};
    if (!ext4file_close(f, ok ? err : &second))
        ok = false;
    err_free(&second);
    hold_end(&hold);
    return ok;
}

/* The directory that `to` means, and the name in it: "" when `to` is that directory. */
static bool target_find(struct ext4file *f, const char *to, ext2_ino_t *base, char **name,
                        struct err *err)
{
    struct stat st;
    struct err none = {0};
    size_t n = strlen(to);
    *name = NULL;
    if (ext4file_lookup(f, to, true, base, &none)) {
        if (!ext4file_stat(f, *base, &st, err))
            return false;
        if (S_ISDIR(st.st_mode)) {
            *name = alloc_string("");
            return true;
        }
    }
    err_free(&none);
    if (n > 1 && to[n - 1] == '/')
        return err_set(err, OPS_EXIT_FAILED, NULL, "there is no directory %s in %s", to, f->path);
    char *dir = path_dirname(to);
    bool ok = ext4file_lookup(f, dir, true, base, err) && ext4file_stat(f, *base, &st, err);
    if (ok && !S_ISDIR(st.st_mode))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s in %s is no directory", dir, f->path);
    if (ok)
        *name = alloc_string(path_basename(to));
    free(dir);
    return ok;
}

/* One operand: `name` is what it is called inside, "": its own name. */
static bool source_add(struct tree *t, const char *source, const char *name, bool recursive,
                       struct err *err)
{
    struct stat st;
    char *trimmed = slashes_trim(source);
    const char *own = path_basename(trimmed);
    bool contents = strcmp(own, ".") == 0 || strcmp(own, "..") == 0 || strcmp(own, "/") == 0;
    char *as = contents && !*name ? alloc_string("/") : path_join("/", *name ? name : own);
    bool ok = (recursive ? lstat(source, &st) : stat(source, &st)) == 0;
    char *real = ok && !recursive ? realpath(source, NULL) : alloc_string(trimmed);
    if (!ok || !real)
        ok = err_errno(err, "open", source);
    else if (S_ISDIR(st.st_mode) && !recursive)
        ok = err_set(err, OPS_EXIT_USAGE, "-r copies directories", "%s is a directory", source);
    else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s is neither file nor directory", source);
    ok = ok && tree_add_all(t, as, real, source, NULL, NULL, err);
    free(real);
    free(as);
    free(trimmed);
    return ok;
}

bool ext4copy_in(struct ext4file *f, char **sources, size_t count, const char *to, bool recursive,
                 struct err *err)
{
    struct tree t = {.data = true};
    ext2_ino_t base;
    char *name;
    bool ok = target_find(f, to, &base, &name, err);
    if (ok && count > 1 && *name)
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "there is no directory %s in %s", to, f->path);
    for (size_t i = 0; ok && i < count; i++)
        ok = source_add(&t, sources[i], name, recursive, err);
    ok = ok && tree_put_in(f, &t, base, err);
    tree_free(&t);
    free(name);
    return ok;
}

bool ext4copy_bytes(struct ext4file *f, const char *to, const void *bytes, size_t n,
                    struct err *err)
{
    struct tree t = {.data = true};
    ext2_ino_t base;
    char *dir = path_dirname(to), *name = path_join("/", path_basename(to));
    bool ok = ext4file_lookup(f, dir, true, &base, err) &&
              tree_add_bytes(&t, name, 0644, bytes, n, "ops", err) && tree_put_in(f, &t, base, err);
    tree_free(&t);
    free(name);
    free(dir);
    return ok;
}

/* --- out of it --- */

struct out {
    struct ext4file *f;
    struct hold hold;
    unsigned depth;
    int file; /* being written */
    off_t at;
    const char *name; /* of it, for messages */
};

/* Whole blocks of zeros become holes. */
static bool piece_write(void *context, const char *bytes, size_t n, struct err *err)
{
    static const char zeros[HOLE_BLOCK];
    struct out *o = context;
    size_t done = bytes ? 0 : n;
    o->at += bytes ? 0 : (off_t)n;
    while (done < n) {
        size_t piece = n - done < HOLE_BLOCK ? n - done : HOLE_BLOCK;
        ssize_t put = (ssize_t)piece;
        if (memcmp(bytes + done, zeros, piece) != 0)
            put = pwrite(o->file, bytes + done, piece, o->at);
        if (put <= 0 && errno != EINTR)
            return err_errno(err, "write", o->name);
        if (put > 0) {
            done += (size_t)put;
            o->at += put;
        }
    }
    return hold_step(&o->hold, 0, bytes ? n : 0, err);
}

static bool attributes_set(int fd, const struct stat *st, const char *name, struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
    if (fchmod(fd, st->st_mode & (S_ISDIR(st->st_mode) ? 01777 : 0777)) < 0 ||
        futimens(fd, times) < 0)
        return err_errno(err, "write", name);
    return true;
}

static bool file_out(struct out *o, ext2_ino_t ino, const struct stat *st, int dir,
                     const char *name, struct err *err)
{
    unlinkat(dir, name, 0);
    o->file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    o->at = 0;
    o->name = name;
    if (o->file < 0)
        return err_errno(err, "write", name);
    bool ok = ext4file_read(o->f, ino, piece_write, o, err);
    if (ok && ftruncate(o->file, st->st_size) < 0)
        ok = err_errno(err, "write", name);
    ok = ok && attributes_set(o->file, st, name, err);
    if (close(o->file) < 0 && ok)
        ok = err_errno(err, "write", name);
    if (!ok)
        unlinkat(dir, name, 0);
    return ok;
}

static bool link_out(struct out *o, ext2_ino_t ino, const struct stat *st, int dir,
                     const char *name, struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
    char *target = ext4file_link(o->f, ino, err);
    if (!target)
        return false;
    unlinkat(dir, name, 0);
    bool ok =
        symlinkat(target, dir, name) == 0 && utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) == 0;
    free(target);
    return ok || err_errno(err, "write", name);
}

static bool entry_out(struct out *o, ext2_ino_t ino, int dir, const char *name, struct err *err);

static bool names_out(struct out *o, ext2_ino_t ino, int dir, struct err *err)
{
    struct ext4name *names;
    if (o->depth == COPY_DEPTH)
        return err_set(err, OPS_EXIT_FAILED, "`check` says whether it is damaged",
                       "the directories in %s are too deep", o->f->path);
    if (!ext4file_names(o->f, ino, &names, err))
        return false;
    bool ok = true;
    o->depth++;
    for (struct ext4name *n = names; ok && n->name; n++)
        ok = entry_out(o, n->ino, dir, n->name, err);
    o->depth--;
    ext4file_names_free(names);
    return ok;
}

/* Never through a symlink that the filesystem itself has put there. */
static bool dir_out(struct out *o, ext2_ino_t ino, const struct stat *st, int dir, const char *name,
                    struct err *err)
{
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "make", name);
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "write", name);
    bool ok = names_out(o, ino, fd, err) && attributes_set(fd, st, name, err);
    close(fd);
    return ok;
}

static bool entry_out(struct out *o, ext2_ino_t ino, int dir, const char *name, struct err *err)
{
    struct stat st;
    if (!ext4file_stat(o->f, ino, &st, err) || !hold_step(&o->hold, 1, 0, err))
        return false;
    switch (st.st_mode & S_IFMT) {
    case S_IFDIR:
        return dir_out(o, ino, &st, dir, name, err);
    case S_IFREG:
        return file_out(o, ino, &st, dir, name, err);
    case S_IFLNK:
        return link_out(o, ino, &st, dir, name, err);
    default:
        fprintf(stderr, "ops: %s is left out: it is neither file, directory nor symlink\n", name);
        return true;
    }
}

/* Where on the host it goes: the open directory and the name in it ("": its content into it). */
static int host_target(const char *from, const char *to, bool is_dir, char **name, struct err *err)
{
    struct stat st;
    char *inside = path_normal(from), *trimmed = slashes_trim(to);
    const char *own = strcmp(inside, "/") == 0 ? "" : path_basename(inside);
    bool into = stat(to, &st) == 0 && S_ISDIR(st.st_mode);
    char *dir = into ? alloc_string(to) : path_dirname(trimmed);
    int fd = -1;
    if (!into && !is_dir && strcmp(to, trimmed) != 0)
        err_set(err, OPS_EXIT_FAILED, NULL, "there is no directory %s", to);
    else if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err_errno(err, "open", dir);
    *name = alloc_string(into ? own : path_basename(trimmed));
    free(trimmed);
    free(inside);
    free(dir);
    return fd;
}

bool ext4copy_out(struct ext4file *f, const char *from, const char *to, bool recursive,
                  struct err *err)
{
    struct out o = {.f = f};
    struct stat st;
    ext2_ino_t ino;
    char *name;
    if (!ext4file_lookup(f, from, !recursive, &ino, err) || !ext4file_stat(f, ino, &st, err))
        return false;
    if (S_ISDIR(st.st_mode) && !recursive)
        return err_set(err, OPS_EXIT_USAGE, "-r copies directories", "%s is a directory", from);
    int dir = host_target(from, to, S_ISDIR(st.st_mode), &name, err);
    bool ok = dir >= 0;
    if (ok) {
        hold_begin(&o.hold);
        ok = *name ? entry_out(&o, ino, dir, name, err) : names_out(&o, ino, dir, err);
        hold_end(&o.hold);
        close(dir);
    }
    free(name);
    return ok;
}
