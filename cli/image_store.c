/* SPDX-License-Identifier: Apache-2.0 */
/* Disks by name: see image_store.h. */
#include "image_store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "hold.h"
#include "hostpath.h"
#include "nearest.h"
#include "ops/exit.h"
#include "tempfile.h"

#define IMAGE_SUFFIX ".img"
#define IMAGE_NAME   64
#define COPY_BLOCK   ((size_t)64 << 10) /* holes of this size stay holes */

bool image_name_check(const char *name, struct err *err)
{
    size_t n = strlen(name);
    bool ok = n >= 1 && n <= IMAGE_NAME && isalnum((unsigned char)name[0]);
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)name[i]) || strchr("._-", name[i]);
    return ok || err_set(err, OPS_EXIT_USAGE,
                         "1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
                         "'%s' cannot be the name of an image", name);
}

static char *images_dir(struct err *err)
{
    return path_user("XDG_DATA_HOME", ".local/share", "ops/images", err);
}

static char *file_of(const char *name, struct err *err)
{
    char *dir = images_dir(err);
    char *path = dir ? alloc_printf("%s/%s" IMAGE_SUFFIX, dir, name) : NULL;
    free(dir);
    return path;
}

char *image_store_place(const char *name, struct err *err)
{
    char *dir = image_name_check(name, err) ? images_dir(err) : NULL;
    char *path = NULL;
    if (dir && !path_make_dirs(dir))
        err_errno(err, "make", dir);
    else if (dir)
        path = alloc_printf("%s/%s" IMAGE_SUFFIX, dir, name);
    free(dir);
    return path;
}

char *image_store_find(const char *word, struct err *err)
{
    struct err none = {0};
    bool name = !strchr(word, '/') && access(word, F_OK) < 0 && image_name_check(word, &none);
    char *path = name ? file_of(word, &none) : NULL;
    (void)err;
    err_free(&none);
    const struct timespec now[] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    if (path && access(path, F_OK) == 0) {
        utimensat(AT_FDCWD, path, now, 0); /* it is used; a store that is only read may not know */
        return path;
    }
    free(path);
    return alloc_string(word);
}

bool image_store_has(const char *name)
{
    struct err none = {0};
    char *path = image_name_check(name, &none) ? file_of(name, &none) : NULL;
    bool has = path && access(path, F_OK) == 0;
    err_free(&none);
    free(path);
    return has;
}

bool image_store_names(struct strlist *names, struct err *err)
{
    char *dir = images_dir(err);
    bool ok = dir && path_names(dir, IMAGE_SUFFIX, names, err);
    free(dir);
    return ok;
}

static void time_add(cJSON *o, const char *name, time_t at)
{
    struct tm tm;
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
    cJSON_AddStringToObject(o, name, text);
}

/* Who reads it without ops, QEMU for one, leaves the time of access, if its filesystem keeps one.
 */
static time_t used(const struct stat *st)
{
    return st->st_atime > st->st_mtime ? st->st_atime : st->st_mtime;
}

bool image_store_unused(const char *name, time_t since)
{
    struct err none = {0};
    struct stat st;
    char *path = file_of(name, &none);
    bool unused = path && stat(path, &st) == 0 && used(&st) < since;
    err_free(&none);
    free(path);
    return unused;
}

cJSON *image_store_describe(const char *name)
{
    struct err none = {0};
    struct stat st;
    char *path = file_of(name, &none);
    bool there = path && stat(path, &st) == 0;
    cJSON *o = there ? cJSON_CreateObject() : NULL;
    if (there) {
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "file", path);
        cJSON_AddNumberToObject(o, "sizeBytes", (double)st.st_size);
        cJSON_AddNumberToObject(o, "diskBytes", (double)st.st_blocks * 512);
        time_add(o, "created", st.st_mtime);
        time_add(o, "used", used(&st));
    }
    err_free(&none);
    free(path);
    return o;
}

static bool unknown(const char *name, struct err *err)
{
    struct strlist names = {0};
    struct err none = {0};
    image_store_names(&names, &none);
    const char *near = nearest_word(name, (const char *const *)names.items, names.count);
    err_set(err, OPS_EXIT_FAILED, "`ops image list` lists them", "there is no image %s", name);
    if (near)
        err_hint(err, "did you mean %s?", near);
    strlist_free(&names);
    err_free(&none);
    return false;
}

/* Opens an image of the store with a lock; -1: see err. */
static int image_open(const char *name, int lock, char **path, struct err *err)
{
    *path = image_name_check(name, err) ? file_of(name, err) : NULL;
    int fd = *path ? open(*path, O_RDONLY | O_CLOEXEC) : -1;
    if (*path && fd < 0 && errno == ENOENT)
        unknown(name, err);
    else if (*path && fd < 0)
        err_errno(err, "open", *path);
    else if (fd >= 0 && flock(fd, lock | LOCK_NB) < 0) {
        err_set(err, OPS_EXIT_FAILED, NULL, "the image %s is in use", name);
        close(fd);
        fd = -1;
    }
    return fd;
}

bool image_store_delete(const char *name, struct err *err)
{
    char *path;
    int fd = image_open(name, LOCK_EX, &path, err);
    bool ok = fd >= 0 && (unlink(path) == 0 || err_errno(err, "delete", path));
    if (fd >= 0)
        close(fd);
    free(path);
    return ok;
}

/* The content, but for blocks of zeroes, which stay holes. */
static bool content_copy(int from, int to, off_t size, const char *path, struct err *err)
{
    char *block = alloc_zero(COPY_BLOCK), *zero = alloc_zero(COPY_BLOCK);
    struct hold h;
    bool ok = true;
    off_t at = 0;
    hold_begin(&h);
    while (ok && at < size) {
        ssize_t n = pread(from, block, COPY_BLOCK, at);
        if (n <= 0)
            break;
        bool hole = memcmp(block, zero, (size_t)n) == 0;
        ok = (hole || pwrite(to, block, (size_t)n, at) == n || err_errno(err, "write", path)) &&
             hold_step(&h, 0, (uint64_t)n, err);
        at += n;
    }
    if (ok && (at < size || ftruncate(to, size) < 0 || fsync(to) < 0))
        ok = err_errno(err, "write", path);
    hold_end(&h);
    free(block);
    free(zero);
    return ok;
}

static bool image_copy(int from, const struct stat *st, const char *dir, const char *path,
                       struct err *err)
{
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    char *name = alloc_printf(".%s.ops-unfinished", path_basename(path));
    char *temp = path_join(dir, name);
    int to = tempfile_open(temp, path, err);
    bool ok = to >= 0;
    if (to >= 0) {
        tempfile_guard(temp);
        ok = content_copy(from, to, st->st_size, path, err);
        futimens(to, times);
        if (ok && rename(temp, path) < 0)
            ok = err_errno(err, "write", path);
        if (ok)
            tempfile_release();
        else
            tempfile_remove();
        close(to);
    }
    int dir_fd = ok ? open(dir, O_RDONLY | O_CLOEXEC) : -1;
    if (dir_fd >= 0) {
        fsync(dir_fd);
        close(dir_fd);
    }
    free(temp);
    free(name);
    return ok;
}

bool image_store_sync(const char *name, const char *dir, bool *copied, struct err *err)
{
    char *path;
    struct stat st, there;
    int from = image_open(name, LOCK_SH, &path, err);
    char *to = path_join(dir, path ? path_basename(path) : "");
    bool ok = from >= 0 && (fstat(from, &st) == 0 || err_errno(err, "open", path));
    *copied = ok && (stat(to, &there) < 0 || there.st_size != st.st_size ||
                     there.st_mtim.tv_sec != st.st_mtim.tv_sec ||
                     there.st_mtim.tv_nsec != st.st_mtim.tv_nsec);
    if (*copied)
        ok = image_copy(from, &st, dir, to, err);
    if (from >= 0)
        close(from);
    free(to);
    free(path);
    return ok;
}
