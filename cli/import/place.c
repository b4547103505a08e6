/* SPDX-License-Identifier: Apache-2.0 */
/* The tree on disk: see place.h. */
#include "import/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"

static bool failed(const struct place *p, const char *verb, const struct node *n, struct err *err)
{
    int number = errno;
    char *path = node_path(n, p->tree), *shown = mtree_escape(path);
    errno = number;
    err_errno(err, verb, shown);
    free(shown);
    free(path);
    return false;
}

static int open_dir(const struct place *p, const struct node *n)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    char *path = node_path(n, p->tree);
    int fd = (int)syscall(SYS_openat2, p->root, path[1] ? path + 1 : ".", &how, sizeof how);
    int number = errno;
    free(path);
    errno = number;
    return fd;
}

/* The directory of a node; -1: errno says why. The last one stays open. */
static int parent_of(struct place *p, const struct node *n)
{
    if (p->open == n->parent)
        return p->dir;
    place_free(p);
    p->dir = open_dir(p, n->parent);
    if (p->dir >= 0)
        p->open = n->parent;
    return p->dir;
}

void place_free(struct place *p)
{
    if (p->open)
        close(p->dir);
    p->open = NULL;
}

bool place_dir(struct place *p, const struct node *n, struct err *err)
{
    int dir = parent_of(p, n);
    return (dir >= 0 && mkdirat(dir, n->name, 0700) == 0) ||
           failed(p, "make the directory", n, err);
}

bool place_symlink(struct place *p, const struct node *n, struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, n->inode->meta.mtime};
    int dir = parent_of(p, n);
    if (dir < 0 || symlinkat(n->inode->meta.link, dir, n->name) < 0)
        return failed(p, "make the symlink", n, err);
    utimensat(dir, n->name, times, AT_SYMLINK_NOFOLLOW); /* a time that the disk cannot hold */
    return true;
}

bool place_link(struct place *p, const struct node *to, const struct node *n, struct err *err)
{
    int from = open_dir(p, to->parent), dir = from < 0 ? -1 : parent_of(p, n);
    bool ok = (dir >= 0 && linkat(from, to->name, dir, n->name, 0) == 0) ||
              failed(p, "make the hard link", n, err);
    if (from >= 0)
        close(from);
    return ok;
}

bool place_file_begin(struct place_file *f, struct place *p, const struct node *n, struct err *err)
{
    int dir = parent_of(p, n);
    *f = (struct place_file){.fd = -1};
    if (dir >= 0)
        f->fd = openat(dir, n->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return failed(p, "write", n, err);
    crypto_hash_sha256_init(&f->digest);
    f->path = node_path(n, p->tree);
    return true;
}

/* A hole reads as zeros. */
static void digest_zeros(struct place_file *f, uint64_t to)
{
    static const unsigned char zeros[65536];
    for (; f->at < to;) {
        uint64_t n = to - f->at < sizeof zeros ? to - f->at : sizeof zeros;
        crypto_hash_sha256_update(&f->digest, zeros, n);
        f->at += n;
    }
}

bool place_file_add(struct place_file *f, uint64_t at, const void *bytes, size_t n, struct err *err)
{
    const char *from = bytes;
    digest_zeros(f, at);
    crypto_hash_sha256_update(&f->digest, bytes, n);
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(f->fd, from + done, n - done, (off_t)(at + done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_errno(err, "write", f->path);
        done += (size_t)w;
    }
    f->at += n;
    return true;
}

bool place_file_end(struct place_file *f, struct mtree_entry *meta, bool ok, struct err *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, meta->mtime};
    if (ok) {
        digest_zeros(f, meta->size);
        crypto_hash_sha256_final(&f->digest, meta->sha256);
        ok = (ftruncate(f->fd, (off_t)meta->size) == 0 &&
              fchmod(f->fd, mtree_disk_mode(TREE_FILE, meta->mode)) == 0) ||
             err_errno(err, "write", f->path);
        futimens(f->fd, times); /* a time that the disk cannot hold: it stands in the list */
    }
    close(f->fd);
    free(f->path);
    return ok;
}

bool place_dir_end(struct place *p, const struct node *n, struct err *err)
{
    const struct mtree_entry *meta = &n->inode->meta;
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, meta->mtime};
    int fd = open_dir(p, n);
    bool ok = (fd >= 0 && fchmod(fd, mtree_disk_mode(TREE_DIR, meta->mode)) == 0) ||
              failed(p, "set the mode of", n, err);
    if (fd >= 0) {
        futimens(fd, times);
        close(fd);
    }
    return ok;
}

bool place_remove(struct place *p, struct node *n, struct err *err)
{
    int dir = parent_of(p, n);
    if (dir < 0 || unlinkat(dir, n->name, n->inode->meta.kind == TREE_DIR ? AT_REMOVEDIR : 0) < 0)
        return failed(p, "remove", n, err);
    if (p->open == n)
        place_free(p);
    node_remove(n);
    return true;
}
