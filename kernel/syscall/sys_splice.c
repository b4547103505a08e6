/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee, vmsplice: decoding around file/splice.h. */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "file/pipe.h"
#include "file/splice.h"
#include "file/wait.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

/* SPLICE_F_*, which no UAPI header holds. MOVE, MORE and GIFT are hints. */
#define SPLICE_NONBLOCK 2u
#define SPLICE_ALL      15u

static int files_get(int in, int out, struct file *f[2])
{
    int err = file_of(in, &f[0]);
    if (err)
        return err;
    err = file_of(out, &f[1]);
    if (err)
        file_put(f[0]);
    return err;
}

static int position_get(struct uptr user, uint64_t *pos)
{
    if (uptr_null(user))
        return 0;
    if (copy_from_user(pos, user, sizeof *pos))
        return -EFAULT;
    return *pos > INT64_MAX ? -EINVAL : 0;
}

static int position_put(struct uptr user, uint64_t pos)
{
    return uptr_null(user) ? 0 : copy_to_user(user, &pos, sizeof pos);
}

long sys_splice(int in, struct uptr in_pos, int out, struct uptr out_pos, unsigned long count,
                unsigned flags)
{
    struct file *f[2];
    uint64_t pos[2];
    if (!count)
        return 0;
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    long r = files_get(in, out, f);
    if (r)
        return r;
    r = position_get(in_pos, &pos[0]);
    if (!r)
        r = position_get(out_pos, &pos[1]);
    if (!r)
        r = splice_files(f[0], uptr_null(in_pos) ? NULL : &pos[0], f[1],
                         uptr_null(out_pos) ? NULL : &pos[1], MIN(count, RW_MAX),
                         flags & SPLICE_NONBLOCK);
    if (r > 0 && (position_put(in_pos, pos[0]) || position_put(out_pos, pos[1])))
        r = -EFAULT;
    file_put(f[0]);
    file_put(f[1]);
    return r;
}

long sys_tee(int in, int out, unsigned long count, unsigned flags)
{
    struct file *f[2];
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    if (!count)
        return 0;
    long r = files_get(in, out, f);
    if (r)
        return r;
    r = splice_tee(f[0], f[1], MIN(count, RW_MAX), flags & SPLICE_NONBLOCK);
    file_put(f[0]);
    file_put(f[1]);
    return r;
}

static ssize_t pipe_op(struct file *f, void *arg)
{
    return file_writable(f) ? f->ops->write(f, arg, NULL) : f->ops->read(f, arg, NULL);
}

long sys_vmsplice(int fd, struct uptr vec, unsigned long count, unsigned flags)
{
    struct file *f;
    struct iov v;
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = pipe_is(f) ? iov_get(&v, vec, count) : -EBADF;
    if (!r) {
        if (flags & SPLICE_NONBLOCK)
            r = pipe_op(f, &v.uio);
        else
            r = file_writable(f) ? file_write(f, &v.uio, NULL) : file_read(f, &v.uio, NULL);
        iov_put(&v);
    }
    file_put(f);
    return r;
}
