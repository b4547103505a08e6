/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: extended attributes. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "fs/fs.h"
#include "fs/xattr.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

/* What a call names. */
struct target {
    struct path *path; /* referenced; NULL: `file` is */
    struct file *file;
    struct vnode *v;
};

static int target_path(struct uptr name, unsigned flags, struct target *t)
{
    struct at at;
    *t = (struct target){0};
    int err = at_get(&at, AT_FDCWD, name, false);
    if (err)
        return err;
    err = at_walk(&at, flags, &t->path);
    if (!err)
        t->v = t->path->vnode;
    at_put(&at);
    return err;
}

static int target_fd(int fd, struct target *t)
{
    *t = (struct target){0};
    int err = file_of(fd, &t->file);
    if (err)
        return err;
    t->v = t->file->vnode;
    if (!t->v)
        err = -EOPNOTSUPP;
    else if (t->file->flags & O_PATH)
        err = -EBADF;
    if (err)
        file_put(t->file);
    return err;
}

static void target_put(struct target *t)
{
    if (t->path)
        path_put(t->path);
    else
        file_put(t->file);
}

static int copy_attr(struct uptr from, char name[XATTR_NAME_MAX + 1])
{
    ssize_t n = string_from_user(name, from, XATTR_NAME_MAX + 1);
    return n < 0 ? (n == -ENAMETOOLONG ? -ERANGE : (int)n) : 0;
}

static long xattr_set(struct target *t, struct uptr attr, struct uptr value, unsigned long size,
                      unsigned flags)
{
    char name[XATTR_NAME_MAX + 1];
    void *copy = NULL;
    long r = copy_attr(attr, name);
    if (!r && size > XATTR_VALUE_MAX)
        r = -E2BIG;
    if (!r && !(copy = kmalloc(size + 1)))
        r = -ENOMEM;
    if (!r && size)
        r = copy_from_user(copy, value, size);
    if (!r)
        r = fs_xattr_set(process.fs, t->v, name, copy, size, (int)flags);
    kfree(copy);
    target_put(t);
    return r;
}

static long xattr_remove(struct target *t, struct uptr attr)
{
    char name[XATTR_NAME_MAX + 1];
    long r = copy_attr(attr, name);
    if (!r)
        r = fs_xattr_set(process.fs, t->v, name, NULL, 0, 0);
    target_put(t);
    return r;
}

/* The value of an attribute, or the list of names. */
static long xattr_get(struct target *t, bool list, struct uptr attr, struct uptr to,
                      unsigned long size)
{
    char name[XATTR_NAME_MAX + 1];
    void *copy = NULL;
    long r = list ? 0 : copy_attr(attr, name);
    size = MIN(size, (unsigned long)XATTR_VALUE_MAX);
    if (!r && size && !(copy = kmalloc(size)))
        r = -ENOMEM;
    if (!r)
        r = list ? fs_xattr_list(process.fs, t->v, copy, size)
                 : fs_xattr_get(process.fs, t->v, name, copy, size);
    if (r > 0 && size && copy_to_user(to, copy, (size_t)r))
        r = -EFAULT;
    kfree(copy);
    target_put(t);
    return r;
}

long sys_setxattr(struct uptr name, struct uptr attr, struct uptr value, unsigned long size,
                  unsigned flags)
{
    struct target t;
    int err = target_path(name, 0, &t);
    return err ? err : xattr_set(&t, attr, value, size, flags);
}

long sys_lsetxattr(struct uptr name, struct uptr attr, struct uptr value, unsigned long size,
                   unsigned flags)
{
    struct target t;
    int err = target_path(name, AT_SYMLINK_NOFOLLOW, &t);
    return err ? err : xattr_set(&t, attr, value, size, flags);
}

long sys_fsetxattr(int fd, struct uptr attr, struct uptr value, unsigned long size, unsigned flags)
{
    struct target t;
    int err = target_fd(fd, &t);
    return err ? err : xattr_set(&t, attr, value, size, flags);
}

long sys_getxattr(struct uptr name, struct uptr attr, struct uptr value, unsigned long size)
{
    struct target t;
    int err = target_path(name, 0, &t);
    return err ? err : xattr_get(&t, false, attr, value, size);
}

long sys_lgetxattr(struct uptr name, struct uptr attr, struct uptr value, unsigned long size)
{
    struct target t;
    int err = target_path(name, AT_SYMLINK_NOFOLLOW, &t);
    return err ? err : xattr_get(&t, false, attr, value, size);
}

long sys_fgetxattr(int fd, struct uptr attr, struct uptr value, unsigned long size)
{
    struct target t;
    int err = target_fd(fd, &t);
    return err ? err : xattr_get(&t, false, attr, value, size);
}

long sys_listxattr(struct uptr name, struct uptr list, unsigned long size)
{
    struct target t;
    int err = target_path(name, 0, &t);
    return err ? err : xattr_get(&t, true, list, list, size);
}

long sys_llistxattr(struct uptr name, struct uptr list, unsigned long size)
{
    struct target t;
    int err = target_path(name, AT_SYMLINK_NOFOLLOW, &t);
    return err ? err : xattr_get(&t, true, list, list, size);
}

long sys_flistxattr(int fd, struct uptr list, unsigned long size)
{
    struct target t;
    int err = target_fd(fd, &t);
    return err ? err : xattr_get(&t, true, list, list, size);
}

long sys_removexattr(struct uptr name, struct uptr attr)
{
    struct target t;
    int err = target_path(name, 0, &t);
    return err ? err : xattr_remove(&t, attr);
}

long sys_lremovexattr(struct uptr name, struct uptr attr)
{
    struct target t;
    int err = target_path(name, AT_SYMLINK_NOFOLLOW, &t);
    return err ? err : xattr_remove(&t, attr);
}

long sys_fremovexattr(int fd, struct uptr attr)
{
    struct target t;
    int err = target_fd(fd, &t);
    return err ? err : xattr_remove(&t, attr);
}
