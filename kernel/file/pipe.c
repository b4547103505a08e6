/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes. `struct pipe` is a ring of bytes that grows up to its capacity; two
 * files share it and count as its ends. Lock: pipe.lock (a mutex, because user
 * memory is touched while it is held).
 */
#include "file/pipe.h"

#include <asm/ioctls.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/mode.h"
#include "file/poll.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define PIPE_CAPACITY     65536u
#define PIPE_CAPACITY_MAX (1u << 20)

struct pipe {
    struct mutex lock;
    char *data;
    size_t size;     /* of data, a power of two */
    size_t capacity; /* most bytes held */
    size_t head;     /* where reading goes on */
    size_t used;
    bool reader, writer; /* the ends that are open */
    struct waitq readable, writable;
    uint64_t ino;
};

/* Enlarges the ring for `want` more bytes as far as the capacity goes. */
static int ring_grow(struct pipe *p, size_t want)
{
    size_t size = MAX(p->size, (size_t)PAGE_SIZE);
    while (size < p->used + want && size < p->capacity)
        size *= 2;
    if (size == p->size)
        return 0;
    char *data = kmalloc(size);
    if (!data)
        return p->used < p->size ? 0 : -ENOMEM;
    size_t first = MIN(p->used, p->size - p->head);
    if (p->data) {
        memcpy(data, p->data + p->head, first);
        memcpy(data + first, p->data, p->used - first);
    }
    kfree(p->data);
    p->data = data;
    p->size = size;
    p->head = 0;
    return 0;
}

static ssize_t pipe_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = f->priv;
    size_t start = u->done;
    int err = 0;
    (void)pos;
    if (!u->left)
        return 0;
    mutex_lock(&p->lock);
    while (u->left && p->used && !err) {
        size_t n = MIN(MIN(u->left, p->used), p->size - p->head), before = u->done;
        err = uio_copy_out(u, p->data + p->head, n);
        p->head = (p->head + (u->done - before)) & (p->size - 1);
        p->used -= u->done - before;
    }
    size_t got = u->done - start;
    if (!got && !err && p->writer)
        err = -EAGAIN;
    mutex_unlock(&p->lock);
    if (got)
        waitq_wake(&p->writable, POLLOUT | POLLWRNORM);
    return got ? (ssize_t)got : err;
}

static ssize_t pipe_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct pipe *p = f->priv;
    size_t start = u->done;
    int err = 0;
    (void)pos;
    if (!u->left)
        return 0;
    mutex_lock(&p->lock);
    size_t room = p->capacity - p->used;
    if (!p->reader)
        err = -EPIPE;
    else if (room < MIN(u->left, (size_t)PIPE_ATOMIC) && (room == 0 || u->left <= PIPE_ATOMIC))
        err = -EAGAIN;
    else
        err = ring_grow(p, u->left);
    while (!err && u->left && p->used < MIN(p->size, p->capacity)) {
        size_t tail = (p->head + p->used) & (p->size - 1), before = u->done;
        size_t n = MIN(MIN(p->size, p->capacity) - p->used, p->size - tail);
        err = uio_copy_in(u, p->data + tail, MIN(n, u->left));
        p->used += u->done - before;
    }
    mutex_unlock(&p->lock);
    size_t put = u->done - start;
    if (put)
        waitq_wake(&p->readable, POLLIN | POLLRDNORM);
    return put ? (ssize_t)put : err;
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = f->priv;
    uint32_t bits = 0;
    mutex_lock(&p->lock);
    if (file_readable(f)) {
        poll_add(pt, &p->readable);
        bits |= (p->used ? POLLIN | POLLRDNORM : 0) | (p->writer ? 0 : POLLHUP);
    } else {
        poll_add(pt, &p->writable);
        bits |= (p->used < p->capacity ? POLLOUT | POLLWRNORM : 0) | (p->reader ? 0 : POLLERR);
    }
    mutex_unlock(&p->lock);
    return bits;
}

static long pipe_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    struct pipe *p = f->priv;
    int n = (int)p->used;
    return cmd == FIONREAD ? copy_to_user(arg, &n, sizeof n) : -ENOTTY;
}

static int pipe_stat(struct file *f, struct file_stat *st)
{
    struct pipe *p = f->priv;
    file_stat_anonymous(st, S_IFIFO | 0600, p->ino);
    return 0;
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->priv;
    mutex_lock(&p->lock);
    if (file_readable(f))
        p->reader = false;
    else
        p->writer = false;
    bool last = !p->reader && !p->writer;
    mutex_unlock(&p->lock);
    if (last) {
        kfree(p->data);
        kfree(p);
        return;
    }
    waitq_wake(&p->readable, POLLIN | POLLHUP);
    waitq_wake(&p->writable, POLLOUT | POLLERR);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .stat = pipe_stat,
    .release = pipe_release,
};

int pipe_create(uint32_t flags, struct file **read_end, struct file **write_end)
{
    struct pipe *p = kzalloc(sizeof *p);
    if (!p)
        return -ENOMEM;
    mutex_init(&p->lock);
    waitq_init(&p->readable);
    waitq_init(&p->writable);
    p->capacity = PIPE_CAPACITY;
    p->ino = file_next_ino();
    struct file *r = file_create(&pipe_ops, O_RDONLY | flags, p);
    if (!r) {
        kfree(p);
        return -ENOMEM;
    }
    p->reader = true;
    struct file *w = file_create(&pipe_ops, O_WRONLY | flags, p);
    if (!w) {
        file_put(r); /* frees the pipe */
        return -ENOMEM;
    }
    p->writer = true;
    *read_end = r;
    *write_end = w;
    return 0;
}

long pipe_size(struct file *f)
{
    return f->ops == &pipe_ops ? (long)((struct pipe *)f->priv)->capacity : -EBADF;
}

long pipe_resize(struct file *f, unsigned long size)
{
    struct pipe *p = f->priv;
    size_t capacity = PAGE_SIZE;
    if (f->ops != &pipe_ops)
        return -EBADF;
    if (size > PIPE_CAPACITY_MAX)
        return -EPERM;
    while (capacity < size)
        capacity *= 2;
    mutex_lock(&p->lock);
    long r = p->used > capacity ? -EBUSY : (long)capacity;
    if (r > 0)
        p->capacity = capacity;
    mutex_unlock(&p->lock);
    if (r > 0)
        waitq_wake(&p->writable, POLLOUT | POLLWRNORM);
    return r;
}

bool pipe_is(const struct file *f)
{
    return f->ops == &pipe_ops;
}

static void pipe_wake_readers(struct pipe *p)
{
    waitq_wake(&p->readable, POLLIN | POLLRDNORM);
}

static void pipe_wake_writers(struct pipe *p)
{
    waitq_wake(&p->writable, POLLOUT | POLLWRNORM);
}

ssize_t pipe_move_out(struct file *pipe, struct file *to, uint64_t *pos, size_t n)
{
    struct pipe *p = pipe->priv;
    struct uio_vec vec;
    struct uio u;
    ssize_t r;
    mutex_lock(&p->lock);
    n = MIN(MIN(n, p->used), p->size - p->head);
    if (n) {
        uio_init_kernel(&u, &vec, p->data + p->head, n);
        r = to->ops->write(to, &u, pos);
        p->head = (p->head + u.done) & (p->size - 1);
        p->used -= u.done;
    } else {
        r = p->writer ? -EAGAIN : 0;
    }
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_wake_writers(p);
    return r;
}

/* Where the next bytes go and how many fit there in one piece: 0, -EPIPE, -EAGAIN, -ENOMEM. */
static int ring_space(struct pipe *p, size_t want, char **at, size_t *n)
{
    int err = !p->reader ? -EPIPE : p->used >= p->capacity ? -EAGAIN : ring_grow(p, want);
    if (err)
        return err;
    size_t tail = (p->head + p->used) & (p->size - 1);
    *at = p->data + tail;
    *n = MIN(MIN(want, MIN(p->size, p->capacity) - p->used), p->size - tail);
    return *n ? 0 : -EAGAIN;
}

ssize_t pipe_move_in(struct file *pipe, struct file *from, uint64_t *pos, size_t n)
{
    struct pipe *p = pipe->priv;
    struct uio_vec vec;
    struct uio u;
    char *at;
    mutex_lock(&p->lock);
    ssize_t r = ring_space(p, n, &at, &n);
    if (!r) {
        uio_init_kernel(&u, &vec, at, n);
        r = from->ops->read(from, &u, pos);
        p->used += u.done;
    }
    mutex_unlock(&p->lock);
    if (r > 0)
        pipe_wake_readers(p);
    return r;
}

static size_t move_locked(struct pipe *from, struct pipe *to, size_t n, bool keep, ssize_t *err)
{
    size_t done = 0, room;
    char *at;
    while (done < MIN(n, from->used + (keep ? 0 : done))) {
        size_t left = MIN(n - done, keep ? from->used - done : from->used);
        *err = ring_space(to, left, &at, &room);
        if (*err)
            break;
        size_t start = (from->head + (keep ? done : 0)) & (from->size - 1);
        size_t part = MIN(room, from->size - start);
        memcpy(at, from->data + start, part);
        to->used += part;
        done += part;
        if (keep)
            continue;
        from->head = (from->head + part) & (from->size - 1);
        from->used -= part;
    }
    return done;
}

ssize_t pipe_move(struct file *in, struct file *out, size_t n, bool keep)
{
    struct pipe *from = in->priv, *to = out->priv;
    if (from == to)
        return -EINVAL;
    mutex_lock(from < to ? &from->lock : &to->lock);
    mutex_lock(from < to ? &to->lock : &from->lock);
    ssize_t err = from->used || !from->writer ? 0 : -EAGAIN;
    if (!to->reader)
        err = -EPIPE;
    size_t done = err ? 0 : move_locked(from, to, n, keep, &err);
    mutex_unlock(&from->lock);
    mutex_unlock(&to->lock);
    if (!done)
        return err;
    pipe_wake_readers(to);
    if (!keep)
        pipe_wake_writers(from);
    return (ssize_t)done;
}
