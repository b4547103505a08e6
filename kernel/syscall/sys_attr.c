/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: changing what files are: mode, owner, times, size. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time_types.h>

#include "fs/fs.h"
#include "proc/process.h"
#include "sched/clock.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

#define TIME_NOW    0x3fffffff /* utimensat(2)'s UTIME_NOW and UTIME_OMIT in tv_nsec */
#define TIME_OMIT   0x3ffffffe
#define UNCHANGED   0xffffffffu
#define NS_PER_USEC 1000

static long change_file(int fd, const struct vnode_attr *a, bool any)
{
    struct file *f;
    int err = any ? file_of_any(fd, &f) : file_of(fd, &f);
    if (err)
        return err;
    err = f->vnode ? fs_setattr(process.fs, f->vnode, a) : 0;
    file_put(f);
    return err;
}

static long change_at(int dir, struct uptr name, unsigned flags, const struct vnode_attr *a)
{
    struct at at;
    struct path *p;
    int err = at_get(&at, dir, name, flags & AT_EMPTY_PATH);
    if (err)
        return err;
    if (at_is_file(&at) && !at.start) {
        at_put(&at);
        return change_file(dir, a, true);
    }
    err = at_walk(&at, flags, &p);
    if (!err) {
        err = fs_setattr(process.fs, p->vnode, a);
        path_put(p);
    }
    at_put(&at);
    return err;
}

static struct vnode_attr attr_mode(unsigned mode)
{
    return (struct vnode_attr){.mask = ATTR_MODE, .mode = mode & 07777};
}

static struct vnode_attr attr_owner(unsigned uid, unsigned gid)
{
    struct vnode_attr a = {.uid = uid, .gid = gid};
    a.mask = (uid == UNCHANGED ? 0 : ATTR_UID) | (gid == UNCHANGED ? 0 : ATTR_GID);
    return a;
}

long sys_fchmodat(int dir, struct uptr name, unsigned mode)
{
    struct vnode_attr a = attr_mode(mode);
    return change_at(dir, name, 0, &a);
}

long sys_chmod(struct uptr name, unsigned mode)
{
    return sys_fchmodat(AT_FDCWD, name, mode);
}

long sys_fchmod(int fd, unsigned mode)
{
    struct vnode_attr a = attr_mode(mode);
    return change_file(fd, &a, false);
}

long sys_fchownat(int dir, struct uptr name, unsigned uid, unsigned gid, unsigned flags)
{
    struct vnode_attr a = attr_owner(uid, gid);
    if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_at(dir, name, flags, &a);
}

long sys_chown(struct uptr name, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, name, uid, gid, 0);
}

long sys_lchown(struct uptr name, unsigned uid, unsigned gid)
{
    return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(int fd, unsigned uid, unsigned gid)
{
    struct vnode_attr a = attr_owner(uid, gid);
    return change_file(fd, &a, false);
}

/* One of the two times; 0 or -EINVAL. */
static int attr_time(struct vnode_attr *a, unsigned bit, int64_t *at,
                     const struct __kernel_timespec *t)
{
    if (t->tv_nsec == TIME_OMIT)
        return 0;
    a->mask |= bit;
    if (t->tv_nsec == TIME_NOW)
        *at = (int64_t)clock_wall();
    else if (t->tv_nsec < 0 || t->tv_nsec >= (long long)NSEC_PER_SEC)
        return -EINVAL;
    else
        *at = t->tv_sec * (int64_t)NSEC_PER_SEC + t->tv_nsec;
    return 0;
}

/* ts NULL: both are now. */
static int attr_times(struct vnode_attr *a, const struct __kernel_timespec *ts)
{
    *a = (struct vnode_attr){0};
    if (!ts) {
        a->mask = ATTR_ATIME | ATTR_MTIME | ATTR_NOW;
        a->atime = a->mtime = (int64_t)clock_wall();
        return 0;
    }
    int err = attr_time(a, ATTR_ATIME, &a->atime, &ts[0]);
    if (!err)
        err = attr_time(a, ATTR_MTIME, &a->mtime, &ts[1]);
    if (ts[0].tv_nsec == TIME_NOW && ts[1].tv_nsec == TIME_NOW)
        a->mask |= ATTR_NOW;
    return err;
}

long sys_utimensat(int dir, struct uptr name, struct uptr times, unsigned flags)
{
    struct __kernel_timespec ts[2];
    struct vnode_attr a;
    int err = uptr_null(times) ? 0 : copy_from_user(ts, times, sizeof ts);
    if (!err)
        err = attr_times(&a, uptr_null(times) ? NULL : ts);
    if (!err && (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        err = -EINVAL;
    if (err)
        return err;
    if (!a.mask)
        return 0;
    if (uptr_null(name) && dir != AT_FDCWD)
        return flags ? -EINVAL : change_file(dir, &a, false);
    return change_at(dir, name, flags, &a);
}

/* The calls that give struct timeval. */
static long change_times(int dir, struct uptr name, struct uptr times)
{
    int64_t tv[4] = {0}; /* seconds and microseconds, twice */
    struct __kernel_timespec ts[2];
    struct vnode_attr a;
    int err = uptr_null(times) ? 0 : copy_from_user(tv, times, sizeof tv);
    for (int i = 0; i < 2 && !err; i++) {
        if (tv[2 * i + 1] < 0 || tv[2 * i + 1] >= 1000000)
            err = -EINVAL;
        ts[i].tv_sec = tv[2 * i];
        ts[i].tv_nsec = tv[2 * i + 1] * NS_PER_USEC;
    }
    if (!err)
        err = attr_times(&a, uptr_null(times) ? NULL : ts);
    return err ? err : change_at(dir, name, 0, &a);
}

long sys_futimesat(int dir, struct uptr name, struct uptr times)
{
    return change_times(dir, name, times);
}

long sys_utimes(struct uptr name, struct uptr times)
{
    return change_times(AT_FDCWD, name, times);
}

long sys_utime(struct uptr name, struct uptr times)
{
    int64_t sec[2];
    struct __kernel_timespec ts[2] = {{0}};
    struct vnode_attr a;
    int err = uptr_null(times) ? 0 : copy_from_user(sec, times, sizeof sec);
    if (err)
        return err;
    if (!uptr_null(times)) {
        ts[0].tv_sec = sec[0];
        ts[1].tv_sec = sec[1];
    }
    err = attr_times(&a, uptr_null(times) ? NULL : ts);
    return err ? err : change_at(AT_FDCWD, name, 0, &a);
}

long sys_truncate(struct uptr name, int64_t size)
{
    struct at at;
    struct path *p;
    if (size < 0)
        return -EINVAL;
    int err = at_get(&at, AT_FDCWD, name, false);
    if (err)
        return err;
    err = at_walk(&at, 0, &p);
    if (!err) {
        err = fs_truncate(process.fs, p->vnode, (uint64_t)size);
        path_put(p);
    }
    at_put(&at);
    return err;
}
