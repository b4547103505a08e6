/* SPDX-License-Identifier: Apache-2.0 */
/* inotify: decoding around fs/inotify.h. */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/inotify.h"
#include "proc/process.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

long sys_inotify_init1(unsigned flags)
{
    struct file *f;
    if (flags & ~(unsigned)(IN_CLOEXEC | IN_NONBLOCK))
        return -EINVAL;
    int err = inotify_create(flags & IN_NONBLOCK, &f);
    return err ? err : file_install(f, flags & IN_CLOEXEC);
}

long sys_inotify_init(void)
{
    return sys_inotify_init1(0);
}

static int watch_path(struct file *f, struct path *p, unsigned mask)
{
    if (mask & IN_ONLYDIR && !vnode_is_dir(p->vnode))
        return -ENOTDIR;
    int err = vnode_access(p->vnode, &process.fs->cred, MAY_READ);
    return err ? err : inotify_watch(f, p->vnode, mask);
}

long sys_inotify_add_watch(int fd, struct uptr name, unsigned mask)
{
    struct file *f;
    struct path *p;
    struct at at;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = at_get(&at, AT_FDCWD, name, false);
    if (r)
        goto put_file;
    r = at_walk(&at, mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &p);
    if (!r) {
        r = watch_path(f, p, mask);
        path_put(p);
    }
    at_put(&at);
put_file:
    file_put(f);
    return r;
}

long sys_inotify_rm_watch(int fd, int wd)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = inotify_unwatch(f, wd);
    file_put(f);
    return r;
}
