/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: reading, writing and positions of open files. */
#include <linux/errno.h>
#include <linux/fadvise.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "file/sendfile.h"
#include "fs/fs.h"
#include "fs/mount.h"
#include "fs/writeback.h"
#include "mem/kmalloc.h"
#include "sched/clock.h"
#include "syscall/args.h"
#include "syscall/syscalls.h"

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND) /* nothing polls */

typedef ssize_t transfer_fn(struct file *f, struct uio *u, uint64_t *pos);

/* The file of a descriptor that is open for this direction. */
static inline int transfer_file(int fd, transfer_fn *fn, struct file **out)
{
    int err = file_of(fd, out);
    if (!err && !(fn == file_read ? file_readable(*out) : file_writable(*out))) {
        file_put(*out);
        err = -EBADF;
    }
    return err;
}

/* read, write, pread64, pwrite64: pos NULL means the file's own. Inlined: `fn` is then known. */
static inline __attribute__((always_inline)) long transfer(int fd, struct uptr buf,
                                                           unsigned long count, uint64_t *pos,
                                                           transfer_fn *fn)
{
    struct uio_vec vec;
    struct uio u;
    struct file *f;
    long r = transfer_file(fd, fn, &f);
    if (r)
        return r;
    r = buffer_get(&u, &vec, buf, count);
    if (!r)
        r = fn(f, &u, pos);
    file_put(f);
    return r;
}

long sys_read(int fd, struct uptr buf, unsigned long count)
{
    return transfer(fd, buf, count, NULL, file_read);
}

long sys_write(int fd, struct uptr buf, unsigned long count)
{
    return transfer(fd, buf, count, NULL, file_write);
}

long sys_pread64(int fd, struct uptr buf, unsigned long count, int64_t pos)
{
    uint64_t at = (uint64_t)pos;
    return pos < 0 ? -EINVAL : transfer(fd, buf, count, &at, file_read);
}

long sys_pwrite64(int fd, struct uptr buf, unsigned long count, int64_t pos)
{
    uint64_t at = (uint64_t)pos;
    return pos < 0 ? -EINVAL : transfer(fd, buf, count, &at, file_write);
}

static long transfer_vector(int fd, struct uptr vec, unsigned long count, uint64_t *pos,
                            uint8_t flags, transfer_fn *fn)
{
    struct iov v;
    struct file *f;
    long r = transfer_file(fd, fn, &f);
    if (r)
        return r;
    r = iov_get(&v, vec, count);
    if (!r) {
        v.uio.flags = flags;
        r = fn(f, &v.uio, pos);
        iov_put(&v);
    }
    file_put(f);
    return r;
}

long sys_readv(int fd, struct uptr vec, unsigned long count)
{
    return transfer_vector(fd, vec, count, NULL, 0, file_read);
}

long sys_writev(int fd, struct uptr vec, unsigned long count)
{
    return transfer_vector(fd, vec, count, NULL, 0, file_write);
}

/* On 64 bits the whole position is in its "low" half. */
long sys_preadv(int fd, struct uptr vec, unsigned long count, unsigned long pos_low,
                unsigned long pos_high)
{
    uint64_t at = pos_low;
    (void)pos_high;
    return at > INT64_MAX ? -EINVAL : transfer_vector(fd, vec, count, &at, 0, file_read);
}

long sys_pwritev(int fd, struct uptr vec, unsigned long count, unsigned long pos_low,
                 unsigned long pos_high)
{
    uint64_t at = pos_low;
    (void)pos_high;
    return at > INT64_MAX ? -EINVAL : transfer_vector(fd, vec, count, &at, 0, file_write);
}

/* As in Linux, reads of files on a disk know RWF_NOWAIT; writes through the cache do not. */
static long nowait_possible(int fd, transfer_fn *fn)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (fn != file_read || !f->vnode || !vnode_is_regular(f->vnode) ||
        !f->vnode->cache.ops->write_pages)
        r = -EOPNOTSUPP;
    file_put(f);
    return r;
}

static long transfer_v2(int fd, struct uptr vec, unsigned long count, uint64_t pos, unsigned flags,
                        transfer_fn *fn)
{
    uint8_t how = (flags & RWF_APPEND ? UIO_APPEND : 0) | (flags & RWF_DSYNC ? UIO_DSYNC : 0) |
                  (flags & RWF_SYNC ? UIO_SYNC : 0) | (flags & RWF_NOWAIT ? UIO_CACHED : 0);
    if (flags & ~(unsigned)RWF_KNOWN)
        return -EOPNOTSUPP;
    if (pos > INT64_MAX && pos != UINT64_MAX)
        return -EINVAL;
    if (flags & RWF_NOWAIT) {
        long r = nowait_possible(fd, fn);
        if (r)
            return r;
    }
    return transfer_vector(fd, vec, count, pos == UINT64_MAX ? NULL : &pos, how, fn);
}

long sys_preadv2(int fd, struct uptr vec, unsigned long count, unsigned long pos_low,
                 unsigned long pos_high, unsigned flags)
{
    (void)pos_high;
    return transfer_v2(fd, vec, count, pos_low, flags, file_read);
}

long sys_pwritev2(int fd, struct uptr vec, unsigned long count, unsigned long pos_low,
                  unsigned long pos_high, unsigned flags)
{
    (void)pos_high;
    return transfer_v2(fd, vec, count, pos_low, flags, file_write);
}

long sys_lseek(int fd, int64_t offset, unsigned whence)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = whence > SEEK_HOLE ? -EINVAL : file_seek(f, offset, (int)whence);
    file_put(f);
    return r;
}

long sys_sendfile(int out, int in, struct uptr offset, unsigned long count)
{
    struct file *from, *to;
    uint64_t pos;
    long r = file_of(in, &from);
    if (r)
        return r;
    r = file_of(out, &to);
    if (r)
        goto put_from;
    pos = from->pos;
    if (!uptr_null(offset))
        r = copy_from_user(&pos, offset, sizeof pos);
    if (!r && pos > INT64_MAX)
        r = -EINVAL;
    if (!r && (!file_readable(from) || !file_writable(to)))
        r = -EBADF;
    if (!r && (!from->ops->seek || to->flags & O_APPEND))
        r = -EINVAL;
    if (!r)
        r = file_send(to, NULL, from, &pos, MIN(count, RW_MAX));
    if (r > 0 && uptr_null(offset))
        from->pos = pos;
    else if (r > 0 && copy_to_user(offset, &pos, sizeof pos))
        r = -EFAULT;
    file_put(to);
put_from:
    file_put(from);
    return r;
}

/* What copy_file_range(2) takes: regular files, not one part over another of the same one. */
static long copy_check(const struct file *f[2], const uint64_t pos[2], unsigned long *count)
{
    const struct vnode *v[2] = {f[0]->vnode, f[1]->vnode};
    if ((v[0] && vnode_is_dir(v[0])) || (v[1] && vnode_is_dir(v[1])))
        return -EISDIR;
    if (!v[0] || !v[1] || !vnode_is_regular(v[0]) || !vnode_is_regular(v[1]))
        return -EINVAL;
    if (!file_readable(f[0]) || !file_writable(f[1]) || f[1]->flags & O_APPEND)
        return -EBADF;
    if (pos[0] > INT64_MAX - *count || pos[1] > INT64_MAX - *count)
        return -EOVERFLOW;
    *count = pos[0] < v[0]->size ? MIN(*count, v[0]->size - pos[0]) : 0;
    bool over = v[0] == v[1] && pos[0] < pos[1] + *count && pos[1] < pos[0] + *count;
    return over ? -EINVAL : 0;
}

static long copy_range(struct file *f[2], struct uptr user[2], unsigned long count)
{
    uint64_t pos[2];
    long r = 0;
    count = MIN(count, RW_MAX);
    for (unsigned i = 0; i < 2 && !r; i++) {
        pos[i] = f[i]->pos;
        if (!uptr_null(user[i]))
            r = copy_from_user(&pos[i], user[i], sizeof pos[i]);
        if (!r && pos[i] > INT64_MAX)
            r = -EINVAL;
    }
    if (!r)
        r = copy_check((const struct file **)f, pos, &count);
    if (r || !count)
        return r;
    r = file_send(f[1], &pos[1], f[0], &pos[0], count);
    for (unsigned i = 0; i < 2 && r > 0; i++) {
        if (uptr_null(user[i]))
            f[i]->pos = pos[i];
        else if (copy_to_user(user[i], &pos[i], sizeof pos[i]))
            r = -EFAULT;
    }
    return r;
}

long sys_copy_file_range(int in, struct uptr in_pos, int out, struct uptr out_pos,
                         unsigned long count, unsigned flags)
{
    struct file *f[2];
    long r = file_of(in, &f[0]);
    if (r)
        return r;
    r = file_of(out, &f[1]);
    if (!r) {
        r = flags ? -EINVAL : copy_range(f, (struct uptr[2]){in_pos, out_pos}, count);
        file_put(f[1]);
    }
    file_put(f[0]);
    return r;
}

static long sync_file(int fd, bool data_only)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
    file_put(f);
    return r;
}

long sys_fsync(int fd)
{
    return sync_file(fd, false);
}

long sys_fdatasync(int fd)
{
    return sync_file(fd, true);
}

long sys_sync_file_range(int fd, int64_t offset, int64_t len, unsigned flags)
{
    struct file *f;
    if (offset < 0 || len < 0 || offset > INT64_MAX - len || (flags & ~7u))
        return -EINVAL;
    long r = file_of(fd, &f);
    if (r)
        return r;
    struct vnode *v = f->vnode;
    uint64_t end = len ? (uint64_t)(offset + len) : INT64_MAX;
    if (!v || !(vnode_is_regular(v) || vnode_is_dir(v) || vnode_is_link(v)))
        r = -ESPIPE;
    else if (flags)
        r = page_cache_write(&v->cache, (uint64_t)offset >> PAGE_SHIFT,
                             (end + PAGE_SIZE - 1) >> PAGE_SHIFT);
    file_put(f);
    return r;
}

long sys_sync(void)
{
    mount_sync_all();
    return 0;
}

long sys_syncfs(int fd)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (f->vnode)
        r = fs_sync(f->vnode->fs);
    file_put(f);
    return r;
}

long sys_ftruncate(int fd, int64_t size)
{
    struct file *f;
    if (size < 0)
        return -EINVAL;
    long r = file_of(fd, &f);
    if (r)
        return r;
    r = file_writable(f) && f->ops->truncate ? f->ops->truncate(f, (uint64_t)size) : -EINVAL;
    file_put(f);
    return r;
}

/* One operation at a time, and each knows whether the size is to stay. */
static bool allocate_mode_valid(int mode)
{
    switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_ZERO_RANGE:
        return true;
    case FALLOC_FL_PUNCH_HOLE:
        return mode & FALLOC_FL_KEEP_SIZE;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
        return !(mode & FALLOC_FL_KEEP_SIZE);
    }
    return false;
}

static long allocate(struct file *f, int mode, uint64_t offset, uint64_t len)
{
    struct vnode *v = f->vnode;
    if (!file_writable(f))
        return -EBADF;
    if (!v)
        return -ESPIPE;
    if (vnode_is_dir(v))
        return -EISDIR;
    if (!vnode_is_regular(v))
        return -ENODEV;
    if (!v->ops->allocate)
        return -EOPNOTSUPP;
    mutex_lock(&v->lock);
    bool grows = !(mode & ~FALLOC_FL_ZERO_RANGE);
    long r = !grows ? 0 : vnode_check_limit(v->size, offset + len);
    if (!r)
        r = v->ops->allocate(v, mode, offset, len);
    if (!r) {
        v->mtime = v->ctime = (int64_t)clock_wall();
        vnode_changed(v);
    }
    mutex_unlock(&v->lock);
    return r;
}

long sys_fallocate(int fd, int mode, int64_t offset, int64_t len)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (offset < 0 || len <= 0)
        r = -EINVAL;
    else if (!allocate_mode_valid(mode))
        r = -EOPNOTSUPP;
    else if (offset > INT64_MAX - len)
        r = -EFBIG;
    else
        r = allocate(f, mode, (uint64_t)offset, (uint64_t)len);
    file_put(f);
    return r;
}

/* What was advised to be forgotten is written first, so that it can be: whole pages only. */
static void advise(struct vnode *v, uint64_t offset, uint64_t end, int advice)
{
    uint64_t first = offset >> PAGE_SHIFT, last = (end + PAGE_SIZE - 1) >> PAGE_SHIFT;
    if (advice == POSIX_FADV_WILLNEED) {
        page_cache_fetch(&v->cache, first, last);
    } else if (advice == POSIX_FADV_DONTNEED && !v->cache.keep) {
        page_cache_write(&v->cache, first, last);
        first = (offset + PAGE_SIZE - 1) >> PAGE_SHIFT;
        if (end < v->size)
            last = end >> PAGE_SHIFT;
        page_cache_drop_unused(&v->cache, first, last);
    }
}

long sys_fadvise64(int fd, int64_t offset, int64_t len, int advice)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    uint64_t start = (uint64_t)offset, end = len ? start + (uint64_t)len : INT64_MAX;
    if (!f->ops->seek)
        r = -ESPIPE;
    else if (len < 0 || advice < 0 || advice > POSIX_FADV_NOREUSE)
        r = -EINVAL;
    else if (offset >= 0 && f->vnode && vnode_is_regular(f->vnode))
        advise(f->vnode, start, MIN(end, (uint64_t)INT64_MAX), advice);
    file_put(f);
    return r;
}

long sys_readahead(int fd, int64_t offset, unsigned long count)
{
    struct file *f;
    long r = file_of(fd, &f);
    if (r)
        return r;
    if (!file_readable(f))
        r = -EBADF;
    else if (offset < 0 || !f->vnode || !vnode_is_regular(f->vnode))
        r = -EINVAL;
    else
        advise(f->vnode, (uint64_t)offset,
               (uint64_t)offset + MIN(count, (uint64_t)(INT64_MAX - offset)), POSIX_FADV_WILLNEED);
    file_put(f);
    return r;
}
