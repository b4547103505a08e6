/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text, and small files read whole: see hostpath.h. */
#include "hostpath.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "ops/exit.h"

char *path_join(const char *dir, const char *name)
{
    if (name[0] == '/')
        return alloc_string(name);
    size_t n = strlen(dir);
    return alloc_printf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

char *path_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return alloc_string(".");
    return slash == path ? alloc_string("/") : alloc_bytes(path, (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_normal(const char *path)
{
    char *out = alloc_zero(strlen(path) + 2);
    size_t used = 0;
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (used && out[--used] != '/')
                ;
        } else if (n && !(n == 1 && path[0] == '.')) {
            out[used++] = '/';
            memcpy(out + used, path, n);
            used += n;
        }
        path += n + (path[n] == '/');
    }
    if (used == 0)
        out[used++] = '/';
    out[used] = 0;
    return out;
}

char *path_absolute(const char *path)
{
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *joined = path_join(cwd ? cwd : "/", path);
    char *normal = path_normal(joined);
    free(joined);
    free(cwd);
    return normal;
}

char *path_through(const char *link, const char *target, const char *rest)
{
    char *dir = path_dirname(link), *led = path_join(dir, target);
    char *whole = alloc_printf("%s/%s", led, rest ? rest : "");
    char *normal = path_normal(whole);
    free(whole);
    free(led);
    free(dir);
    return normal;
}

char *path_read(const char *path, size_t limit, size_t *size, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_errno(err, "open", path);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct buf b = {0};
    char chunk[16384];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 && b.size <= limit)
        buf_add(&b, chunk, (size_t)n);
    if (n < 0)
        err_errno(err, "read", path);
    else if (b.size > limit)
        err_set(err, OPS_EXIT_FAILED, NULL, "%s is larger than %zu bytes", path, limit);
    close(fd);
    if (n < 0 || b.size > limit) {
        buf_free(&b);
        return NULL;
    }
    buf_add(&b, "", 0);
    if (size)
        *size = b.size;
    return b.data;
}

bool path_make_dirs(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    if (errno != ENOENT)
        return false;
    char *dir = path_dirname(path);
    bool ok = strcmp(dir, path) != 0 && path_make_dirs(dir) &&
              (mkdir(path, 0700) == 0 || errno == EEXIST);
    free(dir);
    return ok;
}

bool path_private_dir(const char *path, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_errno(err, "make", path);
    if (lstat(path, &st) < 0)
        return err_errno(err, "open", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || st.st_mode & 077)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s is not a directory that only you may enter",
                       path);
    return true;
}

char *path_user(const char *variable, const char *in_home, const char *rest, struct err *err)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    if (base && base[0] == '/')
        return path_join(base, rest);
    if (home && home[0] == '/')
        return alloc_printf("%s/%s/%s", home, in_home, rest);
    err_set(err, OPS_EXIT_FAILED, NULL, "there is no home directory");
    err_hint(err, "set HOME or %s", variable);
    return NULL;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool path_names(const char *dir, const char *suffix, struct strlist *names, struct err *err)
{
    DIR *d = opendir(dir);
    bool ok = d || errno == ENOENT || err_errno(err, "read", dir);
    size_t tail = strlen(suffix);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (e->d_name[0] != '.' && n > tail && strcmp(e->d_name + n - tail, suffix) == 0)
            strlist_addf(names, "%.*s", (int)(n - tail), e->d_name);
    }
    if (d)
        closedir(d);
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, name_compare);
    return ok;
}

bool path_name_ok(const char *name, size_t most)
{
    size_t n = strlen(name);
    bool ok = n >= 1 && n <= most && isalnum((unsigned char)name[0]);
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)name[i]) || strchr("._-", name[i]);
    return ok;
}

bool path_put(int fd, const char *bytes, size_t n)
{
    ssize_t done = 0;
    for (size_t at = 0; at < n; at += (size_t)done) {
        done = pwrite(fd, bytes + at, n - at, (off_t)at);
        if (done < 0 && errno == EINTR)
            done = 0;
        else if (done <= 0)
            return false;
    }
    return true;
}

bool path_write(int dir, const char *name, const char *bytes, size_t n)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && path_put(fd, bytes, n) && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !ok)
        unlinkat(dir, name, 0);
    errno = number;
    return ok;
}

int path_lock(const char *path, struct err *err)
{
    int fd = path_make_dirs(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    err_errno(err, "lock", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool path_remove_all(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return true;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = d != NULL;
    if (fd >= 0 && !d)
        close(fd);
    for (struct dirent *e; ok && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ok = path_remove_all(dirfd(d), e->d_name);
    int number = errno;
    if (d)
        closedir(d);
    errno = number;
    return ok && unlinkat(dir, name, AT_REMOVEDIR) == 0;
}
