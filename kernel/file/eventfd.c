/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd(2). `struct eventfd` is the counter; lock: its own spinlock. User
 * memory is touched outside it.
 */
#include "file/eventfd.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "mem/kmalloc.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct spinlock lock;
    uint64_t count;
    bool semaphore;
    struct waitq changed;
    uint64_t ino;
};

static ssize_t eventfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct eventfd *e = f->priv;
    (void)pos;
    if (u->left < sizeof(uint64_t))
        return -EINVAL;
    spin_lock(&e->lock);
    uint64_t value = e->semaphore && e->count ? 1 : e->count;
    e->count -= value;
    spin_unlock(&e->lock);
    if (!value)
        return -EAGAIN;
    waitq_wake(&e->changed, POLLOUT);
    int err = uio_copy_out(u, &value, sizeof value);
    return err ? err : (ssize_t)sizeof value;
}

static ssize_t eventfd_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct eventfd *e = f->priv;
    struct uio start = *u;
    uint64_t value;
    (void)pos;
    if (u->left < sizeof value)
        return -EINVAL;
    int err = uio_copy_in(u, &value, sizeof value);
    if (!err && value == UINT64_MAX)
        err = -EINVAL;
    if (err) {
        *u = start; /* what was not used does not count as written */
        return err;
    }
    spin_lock(&e->lock);
    bool room = value <= COUNT_MAX - e->count;
    if (room)
        e->count += value;
    spin_unlock(&e->lock);
    if (!room) {
        *u = start; /* the value is read again when there is room */
        return -EAGAIN;
    }
    u->left = 0; /* a longer buffer's rest is not used */
    waitq_wake(&e->changed, POLLIN);
    return (ssize_t)sizeof value;
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->priv;
    poll_add(pt, &e->changed);
    spin_lock(&e->lock);
    uint64_t count = e->count;
    spin_unlock(&e->lock);
    return (count ? POLLIN | POLLRDNORM : 0) | (count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static int eventfd_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, 0600, ((struct eventfd *)f->priv)->ino);
    return 0;
}

static void eventfd_release(struct file *f)
{
    kfree(f->priv);
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .stat = eventfd_stat,
    .release = eventfd_release,
};

int eventfd_create(uint64_t initial, bool semaphore, uint32_t flags, struct file **out)
{
    struct eventfd *e = kzalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    e->count = initial;
    e->semaphore = semaphore;
    e->ino = file_next_ino();
    waitq_init(&e->changed);
    *out = file_create(&eventfd_ops, O_RDWR | flags, e);
    if (*out)
        return 0;
    kfree(e);
    return -ENOMEM;
}
