/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices of the system itself and the tree on /dev. The table of
 * device numbers is filled at boot and then only read; no lock.
 */
#include "fs/devfs.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "core/random.h"
#include "file/tty.h"
#include "fs/fs.h"
#include "fs/tmpfs.h"
#include "lib/string.h"

#define DEVICES 32

static struct {
    uint64_t rdev;
    device_open_fn *open;
} device[DEVICES];
static unsigned device_count;

int device_register(uint64_t rdev, device_open_fn *open)
{
    if (device_count == DEVICES)
        return -ENOSPC;
    device[device_count].rdev = rdev;
    device[device_count++].open = open;
    return 0;
}

int device_open(struct vnode *v, uint32_t flags, struct file **out)
{
    for (unsigned i = 0; i < device_count; i++)
        if (device[i].rdev == v->rdev)
            return device[i].open(v, flags, out);
    return -ENXIO;
}

static ssize_t null_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)u, (void)pos;
    return 0;
}

static ssize_t null_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    size_t n = u->left;
    u->done += n;
    u->left = 0;
    return (ssize_t)n;
}

static int64_t null_seek(struct file *f, int64_t off, int whence)
{
    (void)off, (void)whence;
    f->pos = 0;
    return 0;
}

static ssize_t zero_read(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    size_t start = u->done;
    int err = uio_zero_out(u, u->left);
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

/* Mappings of /dev/zero are memory of their own: an endless file nobody else knows. */
static int zero_mmap(struct file *f, struct vm_object **out)
{
    struct vnode *v;
    (void)f;
    int err = tmpfs_anonymous("/dev/zero", 0600, INT64_MAX, &v);
    if (err)
        return err;
    *out = &v->cache.object;
    return 0;
}

static ssize_t full_write(struct file *f, struct uio *u, uint64_t *pos)
{
    (void)f, (void)pos;
    return u->left ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *f, struct uio *u, uint64_t *pos)
{
    char chunk[256];
    size_t start = u->done;
    int err = 0;
    (void)f, (void)pos;
    while (u->left && !err) {
        size_t n = MIN(u->left, sizeof chunk);
        random_bytes(chunk, n);
        err = uio_copy_out(u, chunk, n);
    }
    memset(chunk, 0, sizeof chunk);
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

/* Written bytes are stirred in and not counted as entropy. */
static ssize_t random_write(struct file *f, struct uio *u, uint64_t *pos)
{
    char chunk[256];
    size_t start = u->done;
    int err = 0;
    (void)f, (void)pos;
    while (u->left && !err) {
        size_t n = MIN(u->left, sizeof chunk);
        err = uio_copy_in(u, chunk, n);
        if (!err)
            random_seed(chunk, n, 0);
    }
    return u->done > start ? (ssize_t)(u->done - start) : err;
}

static const struct file_ops null_ops = {.read = null_read,
                                         .write = null_write,
                                         .seek = null_seek,
                                         .stat = vnode_file_stat,
                                         .no_position = true};
static const struct file_ops zero_ops = {.read = zero_read,
                                         .write = null_write,
                                         .seek = null_seek,
                                         .mmap = zero_mmap,
                                         .stat = vnode_file_stat,
                                         .no_position = true};
static const struct file_ops full_ops = {.read = zero_read,
                                         .write = full_write,
                                         .seek = null_seek,
                                         .stat = vnode_file_stat,
                                         .no_position = true};
static const struct file_ops random_ops = {.read = random_read,
                                           .write = random_write,
                                           .seek = null_seek,
                                           .stat = vnode_file_stat,
                                           .no_position = true};

static int memory_open(struct vnode *v, uint32_t flags, struct file **out)
{
    static const struct file_ops *const ops[] = {
        [3] = &null_ops, [5] = &zero_ops, [7] = &full_ops, [8] = &random_ops, [9] = &random_ops};
    *out = file_create(ops[v->rdev & 0xff], flags, NULL);
    return *out ? 0 : -ENOMEM;
}

static int terminal_open(struct vnode *v, uint32_t flags, struct file **out)
{
    (void)v;
    return tty_open(flags, out);
}

static int console_open(struct vnode *v, uint32_t flags, struct file **out)
{
    (void)v;
    int err = tty_open(flags, out);
    return err == -ENXIO ? tty_open_standard(1, out) : err;
}

static const struct {
    const char *name;
    uint32_t mode;
    uint64_t rdev;
    device_open_fn *open;
    const char *target;
} nodes[] = {
    {"null", S_IFCHR | 0666, DEV_MAKE(1, 3), memory_open, NULL},
    {"zero", S_IFCHR | 0666, DEV_MAKE(1, 5), memory_open, NULL},
    {"full", S_IFCHR | 0666, DEV_MAKE(1, 7), memory_open, NULL},
    {"random", S_IFCHR | 0666, DEV_MAKE(1, 8), memory_open, NULL},
    {"urandom", S_IFCHR | 0666, DEV_MAKE(1, 9), memory_open, NULL},
    {"tty", S_IFCHR | 0666, DEV_MAKE(5, 0), terminal_open, NULL},
    {"console", S_IFCHR | 0600, DEV_MAKE(5, 1), console_open, NULL},
    {"fd", S_IFLNK | 0777, 0, NULL, "/proc/self/fd"},
    {"stdin", S_IFLNK | 0777, 0, NULL, "/proc/self/fd/0"},
    {"stdout", S_IFLNK | 0777, 0, NULL, "/proc/self/fd/1"},
    {"stderr", S_IFLNK | 0777, 0, NULL, "/proc/self/fd/2"},
    {"shm", S_IFDIR | 01777, 0, NULL, NULL},
};

int devfs_create(struct fs **out)
{
    struct fs *fs;
    int err = tmpfs_create(&fs, "devtmpfs", 1 << 20, 0755);
    if (err)
        return err;
    for (unsigned i = 0; i < ARRAY_SIZE(nodes) && !err; i++) {
        struct vnode_name name = {nodes[i].name, strlen(nodes[i].name)};
        struct vnode_new what = {
            .mode = nodes[i].mode, .rdev = nodes[i].rdev, .target = nodes[i].target};
        struct vnode *v;
        mutex_lock(&fs->root->lock);
        err = fs->root->ops->make(fs->root, &name, &what, &v);
        mutex_unlock(&fs->root->lock);
        if (err)
            break;
        vnode_put(v);
        if (nodes[i].open)
            err = device_register(nodes[i].rdev, nodes[i].open);
    }
    *out = fs;
    return err;
}
