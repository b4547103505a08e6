/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount table and the mounts made at boot: see mount.h. A mount keeps its
 * point's node and its root's node referenced for ever. Lock: one mutex for
 * adding; readers see entries complete because `count` is stored last.
 */
#include "fs/mount.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/blkdev.h"
#include "fs/devfs.h"
#include "fs/ext4/ext4.h"
#include "fs/procfs.h"
#include "fs/tmpfs.h"
#include "fs/writeback.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define MOUNTS 32

bool mount_spec_parse(const char *text, struct mount_spec *s)
{
    const char *colon = strchr(text, ':');
    while (colon && colon[1] != '/')
        colon = strchr(colon + 1, ':');
    if (!colon || colon == text || (size_t)(colon - text) >= sizeof s->name)
        return false;
    const char *path = colon + 1;
    size_t name = (size_t)(colon - text), n = strlen(path);
    s->read_only = n > 3 && !strcmp(path + n - 3, ":ro");
    n -= s->read_only ? 3 : 0;
    if (n >= sizeof s->at)
        return false;
    memcpy(s->name, text, name);
    s->name[name] = '\0';
    memcpy(s->at, path, n);
    s->at[n] = '\0';
    return true;
}

struct mount {
    struct fs *fs;
    const char *source, *options;
    struct path *root;  /* referenced */
    struct path *point; /* referenced; NULL for the root */
    char at[256];
};

static struct mount mounts[MOUNTS];
static unsigned mount_count;
static struct mutex mount_lock = MUTEX_INIT(mount_lock);

struct path *mount_root(void)
{
    if (!__atomic_load_n(&mount_count, __ATOMIC_ACQUIRE))
        return NULL;
    path_get(mounts[0].root);
    return mounts[0].root;
}

/* The node that `at` names; its last component need not exist. */
static int mount_point(const char *at, struct path **out)
{
    struct fs_context ctx;
    struct path_last last;
    int err = fs_context_init(&ctx);
    if (err)
        return err;
    err = path_walk_parent(&ctx, NULL, at, 0, &last);
    if (!err) {
        err = last.kind == LAST_NAME ? path_child(last.dir, last.name, last.len, out) : -EBUSY;
        path_put(last.dir);
    }
    path_put(ctx.root);
    path_put(ctx.cwd);
    return err;
}

static int mount_enter(struct mount *m, const char *at)
{
    if (mount_count == MOUNTS || strlen(at) >= sizeof m->at)
        return -ENOSPC;
    memcpy(m->at, at, strlen(at) + 1);
    m->root = path_root_create(m->fs->root);
    if (!m->root)
        return -ENOMEM;
    int err = 0;
    if (mount_count) {
        err = mount_point(at, &m->point);
        if (!err)
            err = path_mount(m->point, m->root);
        path_put(m->point); /* path_mount() took its own */
    }
    if (err) {
        path_root_destroy(m->root);
        return err;
    }
    mounts[mount_count] = *m;
    __atomic_store_n(&mount_count, mount_count + 1, __ATOMIC_RELEASE);
    return 0;
}

int mount_add(struct fs *fs, const char *source, const char *at, const char *options)
{
    struct mount m = {.fs = fs, .source = source, .options = options};
    mutex_lock(&mount_lock);
    int err = mount_enter(&m, at);
    mutex_unlock(&mount_lock);
    if (err)
        log_error("mount: %s on %s: error %d", fs->type, at, -err);
    return err;
}

int mount_for_each(int (*fn)(void *arg, const char *source, const char *at, const struct fs *fs,
                             const char *options),
                   void *arg)
{
    unsigned n = __atomic_load_n(&mount_count, __ATOMIC_ACQUIRE);
    int err = 0;
    for (unsigned i = 0; i < n && !err; i++)
        err = fn(arg, mounts[i].source, mounts[i].at, mounts[i].fs, mounts[i].options);
    return err;
}

struct path *mount_synthetic_child(struct path *dir, unsigned n)
{
    unsigned count = __atomic_load_n(&mount_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 1; i < count; i++)
        if (mounts[i].point->pinned && mounts[i].point->parent == dir && n-- == 0)
            return mounts[i].point;
    return NULL;
}

int mount_sync_all(void)
{
    unsigned n = __atomic_load_n(&mount_count, __ATOMIC_ACQUIRE);
    int first = 0;
    for (unsigned i = 0; i < n; i++) {
        int err = fs_sync(mounts[i].fs);
        first = first ? first : err;
    }
    return first;
}

void mount_end_all(void)
{
    unsigned n = __atomic_load_n(&mount_count, __ATOMIC_ACQUIRE);
    mount_sync_all();
    for (unsigned i = 0; i < n; i++)
        if (mounts[i].fs->ops->end)
            mounts[i].fs->ops->end(mounts[i].fs);
}

struct root_search {
    const char *label;
    struct blkdev *found;
};

static int root_probe(struct blkdev *dev, void *arg)
{
    struct root_search *s = arg;
    char label[17];
    if (ext4_probe(dev, label) || strcmp(label, s->label))
        return 0;
    s->found = dev;
    return 1;
}

static int mount_root_fs(const char *label, bool read_only)
{
    struct root_search s = {label, NULL};
    struct fs *fs;
    if (!label || !*label) {
        int err = tmpfs_create(&fs, "tmpfs", 0, 0755);
        return err ? err : mount_add(fs, "rootfs", "/", "rw");
    }
    blkdev_for_each(root_probe, &s);
    if (!s.found) {
        log_error("mount: no disk holds an ext4 file system labelled \"%s\"", label);
        return -ENODEV;
    }
    int err = ext4_mount(s.found, read_only, &fs);
    if (err)
        return err;
    fs->lazy_atime = true; /* the libraries every program reads would be written at its end */
    return mount_add(fs, s.found->name, "/", fs->read_only ? "ro" : "rw");
}

static int mount_tmpfs(const char *at)
{
    struct fs *fs;
    int err = tmpfs_create(&fs, "tmpfs", 0, 01777);
    return err ? err : mount_add(fs, "tmpfs", at, "rw,nosuid,nodev");
}

int fs_init(const char *root_label, bool read_only)
{
    struct fs *fs;
    page_cache_start();
    int err = writeback_start();
    if (!err)
        err = mount_root_fs(root_label, read_only);
    if (!err)
        err = devfs_create(&fs);
    if (!err)
        err = mount_add(fs, "devtmpfs", "/dev", "rw,nosuid");
    if (!err)
        err = mount_tmpfs("/dev/shm");
    if (!err)
        err = mount_tmpfs("/tmp");
    if (!err)
        err = procfs_create(&fs);
    if (!err)
        err = mount_add(fs, "proc", "/proc", "rw,nosuid,nodev,noexec");
    if (!err)
        err = sysfs_create(&fs);
    return err ? err : mount_add(fs, "sysfs", "/sys", "ro,nosuid,nodev,noexec");
}
