/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: descriptors: close, dup, fcntl, ioctl, and files without a name. */
#include <asm/ioctls.h>
#include <linux/fs.h>
#include <linux/close_range.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/sockios.h>

#include "file/eventfd.h"
#include "file/fdtable.h"
#include "file/pipe.h"
#include "fs/fs.h"
#include "fs/tmpfs.h"
#include "net/socket.h"
#include "proc/file_owner.h"
#include "proc/process.h"
#include "syscall/args.h"
#include "syscall/sys_lock.h"
#include "syscall/syscalls.h"

#define EFD_SEMAPHORE_FLAG 1u
#define MEMFD_PREFIX       "/memfd:"
#define MEMFD_NAME_MAX     250 /* with its end; a file name less the prefix */
#define MFD_ALL            (MFD_CLOEXEC | MFD_ALLOW_SEALING)

long sys_close(int fd)
{
    return fd_close(process.fds, fd);
}

long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    return fd_close_range(process.fds, first, last, flags & CLOSE_RANGE_CLOEXEC);
}

static long dup_from(int fd, unsigned long min, bool cloexec)
{
    struct file *f;
    long r = file_of_any(fd, &f);
    if (r)
        return r;
    r = min >= process.fds->limit ? -EINVAL : fd_install(process.fds, f, (unsigned)min, cloexec);
    if (r < 0)
        file_put(f);
    return r;
}

long sys_dup(int fd)
{
    return dup_from(fd, 0, false);
}

static long dup_to(int old, int new, bool cloexec)
{
    struct file *f;
    long r = file_of_any(old, &f);
    if (r)
        return r;
    r = fd_replace(process.fds, new, f, cloexec);
    file_put(f);
    return r;
}

long sys_dup2(int old, int new)
{
    if (old != new)
        return dup_to(old, new, false);
    int r = fd_cloexec_get(process.fds, old);
    return r < 0 ? r : new;
}

long sys_dup3(int old, int new, unsigned flags)
{
    if (old == new || (flags & ~(unsigned)O_CLOEXEC))
        return -EINVAL;
    return dup_to(old, new, flags & O_CLOEXEC);
}

static long add_seals(struct file *f, unsigned long seals)
{
    if (seals > UINT32_MAX || !f->vnode)
        return -EINVAL;
    return file_writable(f) ? vnode_add_seals(f->vnode, (unsigned)seals) : -EPERM;
}

static long fcntl_file(struct file *f, int fd, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_SETFL:
        file_set_flags(f, (uint32_t)arg);
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return fcntl_lock(f, fd, cmd, (struct uptr){arg});
    case F_SETPIPE_SZ:
        return pipe_resize(f, arg);
    case F_GETPIPE_SZ:
        return pipe_size(f);
    case F_ADD_SEALS:
        return add_seals(f, arg);
    case F_GET_SEALS:
        return f->vnode && f->vnode->flags & VNODE_SEALS ? (long)f->vnode->seals : -EINVAL;
    default:
        return file_owner_fcntl(f, cmd, arg);
    }
}

long sys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
    struct file *f;
    long r = file_of_any(fd, &f);
    if (r)
        return r;
    if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
        r = dup_from(fd, arg, cmd == F_DUPFD_CLOEXEC);
    else if (cmd == F_GETFD)
        r = fd_cloexec_get(process.fds, fd);
    else if (cmd == F_SETFD)
        r = fd_cloexec_set(process.fds, fd, arg & FD_CLOEXEC);
    else if (cmd == F_GETFL)
        r = (long)f->flags;
    else
        r = f->flags & O_PATH ? -EBADF : fcntl_file(f, fd, cmd, arg);
    file_put(f);
    return r;
}

/* Bytes left of a regular file. */
static long file_rest(struct file *f, struct uptr arg)
{
    uint64_t size = f->vnode->size;
    int rest = (int)(size > f->pos ? MIN(size - f->pos, (uint64_t)INT32_MAX) : 0);
    return copy_to_user(arg, &rest, sizeof rest);
}

/* The requests that do on a socket what F_SETOWN and F_GETOWN do on any file. */
static bool owner_command(unsigned cmd)
{
    return cmd == FIOSETOWN || cmd == SIOCSPGRP || cmd == FIOGETOWN || cmd == SIOCGPGRP;
}

static long socket_owner(struct file *f, unsigned cmd, struct uptr arg)
{
    bool set = cmd == FIOSETOWN || cmd == SIOCSPGRP;
    int id = set ? 0 : (int)file_owner_fcntl(f, F_GETOWN, 0);
    int err = set ? copy_from_user(&id, arg, sizeof id) : copy_to_user(arg, &id, sizeof id);
    return err || !set ? err : file_owner_fcntl(f, F_SETOWN, (unsigned long)id);
}

long sys_ioctl(int fd, unsigned cmd, struct uptr arg)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (cmd == FIOCLEX || cmd == FIONCLEX)
        r = fd_cloexec_set(process.fds, fd, cmd == FIOCLEX);
    else if (cmd == FIOASYNC)
        r = 0;
    else if (socket_of(f) && owner_command(cmd))
        r = socket_owner(f, cmd, arg);
    else if (cmd == FIONREAD && f->vnode && vnode_is_regular(f->vnode))
        r = file_rest(f, arg);
    else if (cmd == FITRIM && process.fs->cred.uid)
        r = -EPERM;
    else
        r = file_ioctl(f, cmd, arg);
    file_put(f);
    return r;
}

long sys_pipe2(struct uptr fds, unsigned flags)
{
    struct file *end[2];
    if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    int err = pipe_create(flags & O_NONBLOCK, &end[0], &end[1]);
    return err ? err : file_install_pair(end, fds, flags & O_CLOEXEC);
}

long sys_pipe(struct uptr fds)
{
    return sys_pipe2(fds, 0);
}

long sys_eventfd2(unsigned count, unsigned flags)
{
    struct file *f;
    if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE_FLAG))
        return -EINVAL;
    int err = eventfd_create(count, flags & EFD_SEMAPHORE_FLAG, flags & O_NONBLOCK, &f);
    return err ? err : file_install(f, flags & O_CLOEXEC);
}

long sys_eventfd(unsigned count)
{
    return sys_eventfd2(count, 0);
}

long sys_memfd_create(struct uptr name, unsigned flags)
{
    char text[sizeof MEMFD_PREFIX + MEMFD_NAME_MAX] = MEMFD_PREFIX;
    struct vnode *v;
    struct file *f;
    if (flags & MFD_HUGETLB &&
        !(flags & ~(MFD_HUGETLB | MFD_ALL | MFD_HUGE_MASK << MFD_HUGE_SHIFT)))
        return -ENODEV;
    if (flags & ~(unsigned)MFD_ALL)
        return -EINVAL;
    ssize_t len = string_from_user(text + sizeof MEMFD_PREFIX - 1, name, MEMFD_NAME_MAX);
    if (len < 0)
        return len == -ENAMETOOLONG ? -EINVAL : len;
    int err = tmpfs_anonymous(text, 0777, 0, &v);
    if (err)
        return err;
    if (flags & MFD_ALLOW_SEALING)
        v->seals = 0;
    err = vnode_file_create(v, NULL, O_RDWR | O_LARGEFILE, &f);
    vnode_put(v);
    return err ? err : file_install(f, flags & MFD_CLOEXEC);
}
