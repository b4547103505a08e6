/* SPDX-License-Identifier: Apache-2.0 */
/* The image cache: see cache.h. */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "rootfs.h"
#include "tempfile.h"

#define CACHE_IMAGES 24                  /* more than these, or */
#define CACHE_BYTES  (UINT64_C(4) << 30) /* more on disk: the longest unused go */
#define CACHE_SUFFIX ".ext4"
#define CACHE_TEMP   "tmp-"

static char *cache_dir(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return path_join(xdg, "ops");
    return home && home[0] == '/' ? path_join(home, ".cache/ops") : NULL;
}

/* Names the image after everything it is made from. */
static char *cache_name(const struct tree *t, uint64_t size)
{
    struct tree_entry **all = tree_entries(t);
    struct buf b = {0}, name = {0};
    unsigned char digest[EXT2FS_SHA512_LENGTH];
    buf_addf(&b, "ops " OPS_VERSION " size %llu\n", (unsigned long long)size);
    for (size_t i = 0; all[i]; i++) {
        const struct stat *s = &all[i]->st;
        buf_add(&b, all[i]->path, strlen(all[i]->path) + 1);
        buf_addf(&b, "%d %o %lld %llu %llu %lld.%ld %lld.%ld\n", all[i]->kind, s->st_mode,
                 (long long)s->st_size, (unsigned long long)s->st_dev,
                 (unsigned long long)s->st_ino, (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec,
                 (long long)s->st_ctim.tv_sec, s->st_ctim.tv_nsec);
        if (all[i]->text)
            buf_add(&b, all[i]->text, strlen(all[i]->text) + 1);
    }
    ext2fs_sha512((unsigned char *)b.data, b.size, digest);
    for (size_t i = 0; i < 20; i++)
        buf_addf(&name, "%02x", digest[i]);
    buf_addf(&name, CACHE_SUFFIX);
    buf_free(&b);
    free(all);
    return name.data;
}

static bool image_write(const char *path, const struct tree *t, uint64_t size, struct err *err)
{
    struct rootfs_options o = {.label = OPS_ROOT_LABEL, .size = size};
    if (!size)
        o.size = rootfs_size(t, false);
    rootfs_digest(t, o.id);
    return rootfs_write(path, t, &o, err);
}

/* An image without a name, for hosts whose cache cannot be written. */
static bool image_temporary(const struct tree *t, uint64_t size, struct cache_image *image,
                            struct err *err)
{
    const char *dir = getenv("TMPDIR");
    char *path = path_join(dir && dir[0] == '/' ? dir : "/tmp", "ops-XXXXXX");
    image->fd = mkstemp(path);
    bool ok = image->fd >= 0;
    if (ok) {
        tempfile_guard(path);
        ok = image_write(path, t, size, err);
        tempfile_remove();
        image->path = alloc_printf("/proc/self/fd/%d", image->fd);
    } else {
        err_errno(err, "make a temporary file", path);
    }
    free(path);
    return ok;
}

static bool image_sync(const char *temp, const char *path, const char *dir, struct err *err)
{
    int fd = open(temp, O_RDONLY | O_CLOEXEC), dir_fd = open(dir, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0 && rename(temp, path) == 0;
    if (!ok)
        err_errno(err, "write the image", path);
    if (dir_fd >= 0) {
        fsync(dir_fd);
        close(dir_fd);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

struct cached {
    char *path;
    time_t used;
    uint64_t bytes;
};

static int used_compare(const void *a, const void *b)
{
    time_t x = ((const struct cached *)a)->used, y = ((const struct cached *)b)->used;
    return x > y ? -1 : x < y;
}

/* With the lock held: removes what killed runs left, and the images unused for longest. */
static void cache_sweep(const char *dir)
{
    struct cached *all = NULL;
    size_t count = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        char *path = path_join(dir, e->d_name);
        const char *suffix = strstr(e->d_name, CACHE_SUFFIX);
        if (strncmp(e->d_name, CACHE_TEMP, strlen(CACHE_TEMP)) == 0)
            unlink(path);
        if (!suffix || suffix[strlen(CACHE_SUFFIX)] || stat(path, &st) < 0) {
            free(path);
            continue;
        }
        all = alloc_array(all, count + 1, sizeof *all);
        all[count++] = (struct cached){path, st.st_mtime, (uint64_t)st.st_blocks * 512};
    }
    if (d)
        closedir(d);
    if (count)
        qsort(all, count, sizeof *all, used_compare);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += all[i].bytes;
        if (i > 0 && (i >= CACHE_IMAGES || bytes > CACHE_BYTES))
            unlink(all[i].path);
        free(all[i].path);
    }
    free(all);
}

/* Is the image there? Marks it as used now. */
static bool image_take(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

/* Builds the image under the lock, unless another run did while this one waited. */
static bool image_build(const char *dir, const char *path, const struct tree *t, uint64_t size,
                        bool *built, struct err *err)
{
    if (image_take(path))
        return true;
    cache_sweep(dir);
    char *temp = path_join(dir, CACHE_TEMP "XXXXXX");
    int fd = mkstemp(temp);
    bool ok = fd >= 0;
    if (ok) {
        close(fd);
        tempfile_guard(temp);
        ok = image_write(temp, t, size, err) && image_sync(temp, path, dir, err);
        if (ok)
            tempfile_release();
        else
            tempfile_remove();
    } else {
        err_errno(err, "write the image cache", dir);
    }
    *built = true;
    free(temp);
    return ok;
}

bool cache_root_image(const struct tree *t, uint64_t size, struct cache_image *image,
                      struct err *err)
{
    *image = (struct cache_image){.fd = -1};
    char *dir = cache_dir();
    char *lock = dir && path_make_dirs(dir) ? path_join(dir, "lock") : NULL;
    int fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    bool ok;
    if (fd < 0) {
        image->note = alloc_printf("the image is not kept: %s: %s", dir ? dir : "no home directory",
                                   strerror(errno));
        ok = image_temporary(t, size, image, err);
        image->built = true;
    } else {
        char *name = cache_name(t, size);
        image->path = path_join(dir, name);
        free(name);
        ok = image_take(image->path);
        if (!ok && flock(fd, LOCK_EX) < 0)
            err_errno(err, "lock", lock);
        else if (!ok)
            ok = image_build(dir, image->path, t, size, &image->built, err);
        close(fd);
    }
    free(lock);
    free(dir);
    return ok;
}
