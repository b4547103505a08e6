/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: flock, and the lock commands of fcntl. */
#include "syscall/sys_lock.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "fs/lock.h"
#include "fs/vnode.h"
#include "proc/process.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

#define WHENCE_SET 0
#define WHENCE_CUR 1
#define WHENCE_END 2

/* What flock(2) takes. */
#define FLOCK_SHARED    1
#define FLOCK_EXCLUSIVE 2
#define FLOCK_NO_WAIT   4
#define FLOCK_UNLOCK    8

/* The range in bytes from the file's start; a negative length counts backwards. */
static int range_get(struct file *f, const struct flock *user, struct lock *l)
{
    int64_t start = user->l_whence == WHENCE_CUR               ? (int64_t)f->pos
                    : user->l_whence == WHENCE_END && f->vnode ? (int64_t)f->vnode->size
                                                               : 0;
    if (user->l_whence != WHENCE_SET && user->l_whence != WHENCE_CUR &&
        user->l_whence != WHENCE_END)
        return -EINVAL;
    if (user->l_start > INT64_MAX - start)
        return -EOVERFLOW;
    start += user->l_start;
    if (start < 0)
        return -EINVAL;
    if (user->l_len > 0 && user->l_len - 1 > INT64_MAX - start)
        return -EOVERFLOW;
    if (user->l_len < 0 && start + user->l_len < 0)
        return -EINVAL;
    l->start = (uint64_t)(user->l_len < 0 ? start + user->l_len : start);
    l->end = user->l_len > 0   ? (uint64_t)(start + user->l_len - 1)
             : user->l_len < 0 ? (uint64_t)start - 1
                               : LOCK_END;
    return 0;
}

/* Without a conflict only the type changes. */
static void lock_test_user(struct file *f, struct lock *l, struct flock *user)
{
    lock_test(f, l);
    user->l_type = (short)l->type;
    if (l->type == F_UNLCK)
        return;
    user->l_whence = WHENCE_SET;
    user->l_start = (int64_t)l->start;
    user->l_len = l->end == LOCK_END ? 0 : (int64_t)(l->end - l->start + 1);
    user->l_pid = l->kind == LOCK_OPEN_FILE ? -1 : l->pid;
}

/* Sets one; if the descriptor was closed meanwhile, nobody would ever remove it. */
static long lock_set_user(struct file *f, int fd, struct lock *l, bool wait)
{
    struct file *now = NULL;
    if ((l->type == F_RDLCK && !file_readable(f)) || (l->type == F_WRLCK && !file_writable(f)))
        return -EBADF;
    long r = lock_set(f, l, wait);
    if (r || l->kind != LOCK_PROCESS || l->type == F_UNLCK)
        return r;
    r = file_of_any(fd, &now);
    if (!r)
        file_put(now);
    if (!r && now == f)
        return 0;
    l->type = F_UNLCK;
    lock_set(f, l, false);
    return -EBADF;
}

long fcntl_lock(struct file *f, int fd, unsigned cmd, struct uptr arg)
{
    struct flock user;
    bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
    bool test = cmd == F_OFD_GETLK || cmd == F_GETLK;
    int err = copy_from_user(&user, arg, sizeof user);
    if (err)
        return err;
    if (user.l_type != F_RDLCK && user.l_type != F_WRLCK &&
        (user.l_type != F_UNLCK || cmd == F_GETLK))
        return -EINVAL;
    struct lock l = {.kind = ofd ? LOCK_OPEN_FILE : LOCK_PROCESS, .type = user.l_type};
    l.pid = PROCESS_PID;
    err = range_get(f, &user, &l);
    if (err)
        return err;
    if (ofd && user.l_pid)
        return -EINVAL;
    if (!test)
        return lock_set_user(f, fd, &l, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
    lock_test_user(f, &l, &user);
    return copy_to_user(arg, &user, sizeof user);
}

long sys_flock(int fd, int op)
{
    struct file *f;
    struct lock l = {.kind = LOCK_WHOLE, .end = LOCK_END, .pid = PROCESS_PID};
    switch (op & ~FLOCK_NO_WAIT) {
    case FLOCK_SHARED:
        l.type = F_RDLCK;
        break;
    case FLOCK_EXCLUSIVE:
        l.type = F_WRLCK;
        break;
    case FLOCK_UNLOCK:
        l.type = F_UNLCK;
        break;
    default:
        return -EINVAL;
    }
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (l.type != F_UNLCK && !file_readable(f) && !file_writable(f))
        r = -EBADF;
    else
        r = lock_set(f, &l, !(op & FLOCK_NO_WAIT));
    file_put(f);
    return r;
}
