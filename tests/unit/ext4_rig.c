/* SPDX-License-Identifier: Apache-2.0 */
/* See ext4_rig.h. */
#include "ext4_rig.h"

#include <unistd.h>

struct rig rig;
struct fs_context ctx; /* not used: these tests work on vnodes */

void rig_run(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    if (system(cmd)) {
        fprintf(stderr, "failed: %s\n", cmd);
        abort();
    }
}

void rig_mount(void)
{
    fake_blkdev_init(&rig.dev, rig.image, rig.bytes);
    assert_int_equal(ext4_mount(&rig.dev, false, &rig.fs), 0);
}

const char *rig_type(const char *options)
{
    return strstr(options, "-t ") ? "" : "-t ext4";
}

void rig_make(const char *options, const char *size)
{
    char path[128];
    snprintf(rig.dir, sizeof rig.dir, "/tmp/ext4-write-XXXXXX");
    if (!mkdtemp(rig.dir))
        abort();
    snprintf(path, sizeof path, "%s/image", rig.dir);
    rig_run("mke2fs -q -q -F %s %s %s %s > /dev/null 2>&1", rig_type(options), options, path, size);
    rig.image = fake_image_load(path, &rig.bytes);
    rig_mount();
}

void rig_unmount(void)
{
    ext4_unmount(rig.fs);
    rig.fs = NULL;
}

const char *rig_save(void)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/saved", rig.dir);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(rig.image, 1, rig.bytes, f) != rig.bytes || fclose(f))
        abort();
    return path;
}

void rig_check(void)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd, "e2fsck -fn %s > %s/said 2>&1", rig_save(), rig.dir);
    if (!system(cmd))
        return;
    snprintf(cmd, sizeof cmd, "cat %s/said >&2", rig.dir);
    if (system(cmd))
        abort();
    fail_msg("e2fsck has found something: %s/saved", rig.dir);
}

void rig_free(void)
{
    free(rig.image);
    rig.image = NULL;
    rig_run("rm -rf %s", rig.dir);
}

void rig_end(void)
{
    rig_unmount();
    rig_check();
    rig_free();
}

static int child(struct vnode *dir, const char *name, size_t len, struct vnode **out)
{
    if (!dir->ops->lookup)
        return -ENOTDIR;
    mutex_lock(&dir->lock);
    int err = dir->ops->lookup(dir, &(struct vnode_name){name, len}, out);
    mutex_unlock(&dir->lock);
    return err;
}

/* The directory of a path and its last component. */
static int parent(const char *path, struct vnode **dir, struct vnode_name *name)
{
    struct vnode *d = rig.fs->root;
    vnode_get(d);
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        struct vnode *next;
        int err = child(d, path, (size_t)(slash - path), &next);
        vnode_put(d);
        if (err)
            return err;
        d = next;
    }
    *dir = d;
    *name = (struct vnode_name){path, strlen(path)};
    return 0;
}

int rig_get(const char *path, struct vnode **out)
{
    struct vnode *d;
    struct vnode_name name;
    int err = parent(path, &d, &name);
    if (err)
        return err;
    err = child(d, name.text, name.len, out);
    vnode_put(d);
    return err;
}

int rig_create(const char *path, uint32_t mode, const char *target)
{
    struct vnode *d, *v;
    struct vnode_name name;
    struct vnode_new what = {.mode = mode, .uid = 1000, .gid = 100000, .target = target};
    if (S_ISCHR(mode) || S_ISBLK(mode))
        what.rdev = target ? strtoul(target, NULL, 0) : 0x103;
    int err = parent(path, &d, &name);
    if (err)
        return err;
    mutex_lock(&d->lock);
    err = d->ops->lookup(d, &name, &v);
    if (!err) {
        vnode_put(v);
        err = -EEXIST;
    } else if (err == -ENOENT) {
        err = d->ops->make(d, &name, &what, &v);
        if (!err)
            vnode_put(v);
    }
    mutex_unlock(&d->lock);
    vnode_put(d);
    return err;
}

int rig_unlink(const char *path)
{
    struct vnode *d, *v;
    struct vnode_name name;
    int err = parent(path, &d, &name);
    if (err)
        return err;
    mutex_lock(&d->lock);
    err = d->ops->lookup(d, &name, &v);
    if (!err) {
        mutex_lock(&v->lock);
        err = d->ops->unlink(d, &name, v);
        mutex_unlock(&v->lock);
        vnode_put(v);
    }
    mutex_unlock(&d->lock);
    vnode_put(d);
    return err;
}

int rig_rename(const char *from, const char *to, unsigned flags)
{
    struct vnode *a, *b, *v = NULL, *victim = NULL;
    struct vnode_name old, name;
    int err = parent(from, &a, &old);
    if (err)
        return err;
    err = parent(to, &b, &name);
    if (err) {
        vnode_put(a);
        return err;
    }
    err = child(a, old.text, old.len, &v);
    if (!err && child(b, name.text, name.len, &victim))
        victim = NULL;
    if (!err && victim && !(flags & RENAME_SWAP) && vnode_is_dir(v) != vnode_is_dir(victim))
        err = vnode_is_dir(v) ? -ENOTDIR : -EISDIR;
    if (!err && (flags & RENAME_SWAP) && !victim)
        err = -ENOENT;
    if (!err && v != victim)
        err = a->ops->rename(a, &old, v, b, &name, victim, flags);
    vnode_put(a);
    vnode_put(b);
    if (v)
        vnode_put(v);
    if (victim)
        vnode_put(victim);
    return err;
}

int rig_link(const char *from, const char *to)
{
    struct vnode *v, *d, *other;
    struct vnode_name name;
    int err = rig_get(from, &v);
    if (err)
        return err;
    err = vnode_is_dir(v) ? -EPERM : parent(to, &d, &name);
    if (!err) {
        err = child(d, name.text, name.len, &other);
        if (!err)
            vnode_put(other);
        err = !err ? -EEXIST : err == -ENOENT ? d->ops->link(d, &name, v) : err;
        vnode_put(d);
    }
    vnode_put(v);
    return err;
}

int rig_truncate(const char *path, uint64_t size)
{
    struct vnode *v;
    int err = rig_get(path, &v);
    if (err)
        return err;
    err = vnode_truncate(v, size);
    vnode_put(v);
    return err;
}

int rig_allocate(const char *path, int mode, uint64_t off, uint64_t len)
{
    struct vnode *v;
    int err = rig_get(path, &v);
    if (err)
        return err;
    mutex_lock(&v->lock);
    err = v->ops->allocate ? v->ops->allocate(v, mode, off, len) : -ENODEV;
    mutex_unlock(&v->lock);
    vnode_put(v);
    return err;
}

ssize_t rig_write(const char *path, uint64_t off, const void *data, size_t n)
{
    struct vnode *v;
    struct uio_vec vec;
    struct uio u;
    int err = rig_get(path, &v);
    if (err)
        return err;
    uio_init_user(&u, &vec, (struct uptr){(uint64_t)data}, n);
    ssize_t done = vnode_write(v, &u, &off, false);
    vnode_put(v);
    return done;
}

ssize_t rig_read(const char *path, uint64_t off, void *data, size_t n)
{
    struct vnode *v;
    int err = rig_get(path, &v);
    if (err)
        return err;
    ssize_t done = vnode_read_kernel(v, data, n, off);
    vnode_put(v);
    return done;
}

int rig_fsync(const char *path)
{
    struct vnode *v;
    int err = rig_get(path, &v);
    if (err)
        return err;
    err = vnode_write_back(v);
    int failed = v->ops->fsync(v, false);
    vnode_put(v);
    return err ? err : failed;
}
