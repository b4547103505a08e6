/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct file: life, and the calls that go through THE wait loop to the
 * operations. Lock: pos_lock for the position of files that have one; flags are
 * changed atomically.
 */
#include "file/file.h"

#include <asm/ioctls.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "file/epoll.h"
#include "file/wait.h"
#include "mem/kmalloc.h"
#include "sched/thread.h"

#define STATUS_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC)
#define WHENCE_SET   0
#define WHENCE_CUR   1
#define WHENCE_END   2

void (*file_detach)(struct file *f);
void (*file_unlock)(struct file *f, bool last);
void (*file_broken_pipe)(void);
void (*file_owner_signal)(const struct file *f, int sig);

static uint64_t last_ino;

struct file *file_create(const struct file_ops *ops, uint32_t flags, void *priv)
{
    struct file *f = kzalloc(sizeof *f);
    if (!f)
        return NULL;
    f->ops = ops;
    f->refs = 1;
    f->flags = flags;
    f->priv = priv;
    mutex_init(&f->pos_lock);
    list_init(&f->watches);
    return f;
}

void file_get(struct file *f)
{
    __atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
}

void file_put(struct file *f)
{
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (!list_empty(&f->watches))
        epoll_forget(f);
    if (f->locked)
        file_unlock(f, true);
    if (f->ops->release)
        f->ops->release(f);
    if (f->vnode || f->path)
        file_detach(f);
    kfree(f);
}

struct transfer {
    struct uio *uio;
    uint64_t *pos;
};

static ssize_t read_op(struct file *f, void *arg)
{
    struct transfer *t = arg;
    return f->ops->read(f, t->uio, t->pos);
}

static ssize_t write_op(struct file *f, void *arg)
{
    struct transfer *t = arg;
    return f->ops->write(f, t->uio, t->pos);
}

static ssize_t read_at(struct file *f, struct uio *u, uint64_t *pos)
{
    if (u->flags & UIO_CACHED) /* what is not there is not waited for */
        return f->ops->read(f, u, pos);
    return file_wait(f, false, read_op, &(struct transfer){u, pos});
}

void file_written(const struct file *f, ssize_t r)
{
    if (r == -EPIPE && !f->quiet && file_broken_pipe)
        file_broken_pipe();
}

/* A blocking write ends when everything is written; an error counts only at the start. */
static ssize_t write_at(struct file *f, struct uio *u, uint64_t *pos)
{
    size_t start = u->done;
    ssize_t r;
    do {
        r = file_wait(f, true, write_op, &(struct transfer){u, pos});
    } while (r > 0 && u->left);
    file_written(f, r);
    return u->done > start ? (ssize_t)(u->done - start) : r;
}

typedef ssize_t transfer_fn(struct file *f, struct uio *u, uint64_t *pos);

/* Runs a transfer at the file's own position, at *pos, or (streams) at none. */
static inline __attribute__((always_inline)) ssize_t transfer(struct file *f, struct uio *u,
                                                              uint64_t *pos, transfer_fn *fn)
{
    uint64_t none = 0;
    if (pos)
        return f->ops->seek ? fn(f, u, pos) : -ESPIPE;
    if (!f->ops->seek || f->ops->no_position)
        return fn(f, u, &none);
    mutex_lock(&f->pos_lock);
    ssize_t n = fn(f, u, &f->pos);
    mutex_unlock(&f->pos_lock);
    return n;
}

ssize_t file_read(struct file *f, struct uio *u, uint64_t *pos)
{
    if (!file_readable(f))
        return -EBADF;
    if (!f->ops->read)
        return -EINVAL;
    struct io_count *io = &thread_current()->io;
    ssize_t n = transfer(f, u, pos, read_at);
    io->reads++;
    if (n > 0)
        io->bytes_read += (size_t)n;
    return n;
}

ssize_t file_write(struct file *f, struct uio *u, uint64_t *pos)
{
    if (!file_writable(f))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    struct io_count *io = &thread_current()->io;
    ssize_t n = transfer(f, u, pos, write_at);
    io->writes++;
    if (n > 0)
        io->bytes_written += (size_t)n;
    return n;
}

int64_t file_seek(struct file *f, int64_t off, int whence)
{
    if (!f->ops->seek)
        return -ESPIPE;
    mutex_lock(&f->pos_lock);
    int64_t pos = f->ops->seek(f, off, whence);
    mutex_unlock(&f->pos_lock);
    return pos;
}

int64_t file_seek_size(struct file *f, int64_t off, int whence, uint64_t size)
{
    uint64_t base;
    switch (whence) {
    case WHENCE_SET:
        base = 0;
        break;
    case WHENCE_CUR:
        base = f->pos;
        break;
    case WHENCE_END:
        base = size;
        break;
    default:
        return -EINVAL;
    }
    int64_t pos;
    if (__builtin_add_overflow((int64_t)base, off, &pos))
        return -EOVERFLOW;
    if (pos < 0)
        return -EINVAL;
    f->pos = (uint64_t)pos;
    return pos;
}

int file_stat(struct file *f, struct file_stat *st)
{
    return f->ops->stat(f, st);
}

uint64_t file_next_ino(void)
{
    return __atomic_add_fetch(&last_ino, 1, __ATOMIC_RELAXED);
}

void file_stat_anonymous(struct file_stat *st, uint32_t mode, uint64_t ino)
{
    *st = (struct file_stat){
        .dev = 0xffff, .ino = ino, .mode = mode, .nlink = 1, .blksize = (uint32_t)PAGE_SIZE};
}

void file_set_flags(struct file *f, uint32_t flags)
{
    uint32_t old = __atomic_load_n(&f->flags, __ATOMIC_RELAXED), fresh;
    do {
        fresh = (old & ~(uint32_t)STATUS_FLAGS) | (flags & STATUS_FLAGS);
    } while (!__atomic_compare_exchange_n(&f->flags, &old, fresh, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
}

long file_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    if (cmd == FIONBIO) {
        int on;
        int err = copy_from_user(&on, arg, sizeof on);
        if (!err)
            file_set_flags(f, on ? f->flags | O_NONBLOCK : f->flags & ~(uint32_t)O_NONBLOCK);
        return err;
    }
    return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
}
