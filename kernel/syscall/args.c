/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of arguments: see args.h. */
#include "syscall/args.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/time_types.h>

#include "file/fdtable.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "sched/clock.h"

int file_of(int fd, struct file **out)
{
    return fd_get(process.fds, fd, out);
}

int file_of_any(int fd, struct file **out)
{
    return fd_get_any(process.fds, fd, out);
}

int file_install(struct file *f, bool cloexec)
{
    int fd = fd_install(process.fds, f, 0, cloexec);
    if (fd < 0)
        file_put(f);
    return fd;
}

int file_install_pair(struct file *end[2], struct uptr fds, bool cloexec)
{
    int fd[2], err;
    fd[0] = fd_reserve(process.fds, 0, cloexec);
    fd[1] = fd[0] < 0 ? fd[0] : fd_reserve(process.fds, 0, cloexec);
    err = fd[1] < 0 ? fd[1] : copy_to_user(fds, fd, sizeof fd);
    for (int i = 0; i < 2; i++) {
        if (!err) {
            fd_publish(process.fds, fd[i], end[i]);
            continue;
        }
        if (fd[i] >= 0)
            fd_cancel(process.fds, fd[i]);
        file_put(end[i]);
    }
    return err;
}

/* Finds what relative paths start from. */
static int at_start(struct at *at, int dirfd, bool empty)
{
    if (dirfd == AT_FDCWD)
        return 0;
    int err = file_of_any(dirfd, &at->file);
    if (err)
        return err;
    at->start = at->file->path;
    if (empty && !at->name[0])
        return 0;
    if (!at->start || !vnode_is_dir(at->start->vnode)) {
        file_put(at->file);
        return -ENOTDIR;
    }
    return 0;
}

static int at_decode(struct at *at, int dirfd, struct uptr name, bool empty, bool in_root)
{
    *at = (struct at){0};
    at->name = kmalloc(PATH_LIMIT);
    if (!at->name)
        return -ENOMEM;
    ssize_t len = string_from_user(at->name, name, PATH_LIMIT);
    int err = len < 0 ? (int)len : len == 0 && !empty ? -ENOENT : 0;
    if (!err && (in_root || at->name[0] != '/'))
        err = at_start(at, dirfd, empty);
    if (err)
        kfree(at->name);
    return err;
}

int at_get(struct at *at, int dirfd, struct uptr name, bool empty)
{
    return at_decode(at, dirfd, name, empty, false);
}

int at_get_in_root(struct at *at, int dirfd, struct uptr name)
{
    return at_decode(at, dirfd, name, false, true);
}

void at_put(struct at *at)
{
    if (at->file)
        file_put(at->file);
    kfree(at->name);
}

bool at_is_file(const struct at *at)
{
    return at->file && !at->name[0];
}

int at_walk(const struct at *at, unsigned flags, struct path **out)
{
    unsigned walk = (flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0) |
                    (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
    return path_walk(process.fs, at->start, at->name, walk, NULL, out);
}

int iov_get(struct iov *v, struct uptr vec, unsigned long count)
{
    uint64_t total = 0;
    if (count > IOV_LIMIT)
        return -EINVAL;
    v->vec = count > IOV_STACK ? kmalloc(count * sizeof *v->vec) : v->small;
    if (!v->vec)
        return -ENOMEM;
    int err = count ? copy_from_user(v->vec, vec, count * sizeof *v->vec) : 0;
    for (unsigned long i = 0; i < count && !err; i++) {
        struct uio_vec *p = &v->vec[i];
        if (p->len > INT64_MAX)
            err = -EINVAL;
        else if (!user_range_ok((struct uptr){p->base}, p->len))
            err = -EFAULT;
        else
            p->len = MIN(p->len, RW_MAX - total);
        total += p->len;
    }
    if (err)
        iov_put(v);
    else
        uio_init(&v->uio, v->vec, count);
    return err;
}

void iov_put(struct iov *v)
{
    if (v->vec != v->small)
        kfree(v->vec);
}

int buffer_get(struct uio *u, struct uio_vec *vec, struct uptr buf, unsigned long count)
{
    if (count > INT64_MAX)
        return -EINVAL;
    if (!user_range_ok(buf, count))
        return -EFAULT;
    uio_init_user(u, vec, buf, MIN(count, RW_MAX));
    return 0;
}

int deadline_get(struct uptr timespec, uint64_t *deadline)
{
    struct __kernel_timespec ts;
    *deadline = CLOCK_NEVER;
    if (uptr_null(timespec))
        return 0;
    int err = copy_from_user(&ts, timespec, sizeof ts);
    if (err)
        return err;
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (long long)NSEC_PER_SEC)
        return -EINVAL;
    if (ts.tv_sec == 0 && ts.tv_nsec == 0)
        *deadline = 0;
    else if ((uint64_t)ts.tv_sec < UINT64_MAX / NSEC_PER_SEC / 2)
        *deadline = clock_now() + (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
    return 0;
}

uint64_t deadline_ms(int ms)
{
    if (ms == 0)
        return 0;
    return ms < 0 ? CLOCK_NEVER : clock_now() + (uint64_t)ms * 1000000;
}
