/* SPDX-License-Identifier: Apache-2.0 */
/* Images for machines that load a kernel themselves: see direct.h. */
#include "direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "outfile.h"
#include "rootfs.h"
#include "tarball.h"

#define KERNEL_MAX ((size_t)64 << 20)

bool direct_is_tar(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".tar") == 0;
}

static bool root_write(int fd, const char *shown, const struct disk_content *c, struct err *err)
{
    struct rootfs_options o = {.label = OPS_ROOT_LABEL, .journal = true, .shown = shown};
    char *path = alloc_printf("/proc/self/fd/%d", fd);
    o.size = c->root_size ? c->root_size : rootfs_size(c->root, true);
    rootfs_digest(c->root, o.id);
    bool ok = rootfs_write(path, c->root, &o, err);
    free(path);
    return ok;
}

/* One of the files; the root where there are no bytes. */
static bool file_write(const char *dir, const char *name, const void *bytes, size_t n,
                       const struct disk_content *c, struct err *err)
{
    struct outfile o;
    char *path = path_join(dir, name);
    bool ok = outfile_begin(&o, path, err);
    if (ok)
        ok = bytes ? outfile_put(o.fd, path, bytes, n, 0, err) : root_write(o.fd, path, c, err);
    ok = outfile_end(&o, ok, err);
    free(path);
    return ok;
}

static bool directory_write(const char *path, const char *kernel, size_t size,
                            const struct disk_content *c, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_errno(err, "make", path);
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, OPS_EXIT_FAILED, "choose another name, or one that ends in .tar",
                       "cannot write %s: it exists and is not a directory", path);
    return file_write(path, DIRECT_KERNEL, kernel, size, c, err) &&
           file_write(path, DIRECT_MANIFEST, c->manifest->data, c->manifest->size, c, err) &&
           file_write(path, DIRECT_ROOT, NULL, 0, c, err);
}

static bool members_write(const struct outfile *out, const char *kernel, size_t size,
                          const struct disk_content *c, struct err *err)
{
    struct tarball tar;
    int root = outfile_scratch(out, err);
    bool ok = root >= 0 && root_write(root, out->path, c, err);
    if (ok && (ok = tarball_begin(&tar, out->fd, out->path, false, err))) {
        ok = tarball_add(&tar, DIRECT_KERNEL, size, kernel, -1, err) &&
             tarball_add(&tar, DIRECT_MANIFEST, c->manifest->size, c->manifest->data, -1, err) &&
             tarball_add(&tar, DIRECT_ROOT, (uint64_t)lseek(root, 0, SEEK_END), NULL, root, err);
        ok = tarball_end(&tar, ok, err);
    }
    if (root >= 0)
        close(root);
    return ok;
}

bool direct_write(const char *path, const struct disk_content *c, struct err *err)
{
    struct outfile out;
    size_t size;
    char *kernel = path_read(c->kernel, KERNEL_MAX, &size, err);
    bool ok = kernel != NULL;
    if (ok && direct_is_tar(path)) {
        ok = outfile_begin(&out, path, err);
        ok = outfile_end(&out, ok && members_write(&out, kernel, size, c, err), err);
    } else if (ok) {
        ok = directory_write(path, kernel, size, c, err);
    }
    free(kernel);
    return ok;
}
