/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd(2): `struct timerfd` is a ticker with a wait queue; the ticker's lock guards it. */
#include "file/timerfd.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "mem/kmalloc.h"

struct timerfd {
    struct ticker ticker;
    struct waitq fired;
    bool cancel; /* a change of the wall clock ends the wait */
    uint64_t ino;
};

static void timerfd_fired(struct ticker *t)
{
    waitq_wake(&CONTAINER_OF(t, struct timerfd, ticker)->fired, POLLIN | POLLRDNORM);
}

static bool timerfd_canceled(const struct timerfd *t)
{
    return t->cancel && t->ticker.clock_sets;
}

static ssize_t timerfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct timerfd *t = f->priv;
    (void)pos;
    if (u->left < sizeof(uint64_t))
        return -EINVAL;
    uint64_t n = ticker_take(&t->ticker);
    if (timerfd_canceled(t)) {
        t->ticker.clock_sets = 0;
        return -ECANCELED;
    }
    if (!n)
        return -EAGAIN;
    int err = uio_copy_out(u, &n, sizeof n);
    return err ? err : (ssize_t)sizeof n;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->priv;
    poll_add(pt, &t->fired);
    bool ready = __atomic_load_n(&t->ticker.count, __ATOMIC_RELAXED) || timerfd_canceled(t);
    return ready ? POLLIN | POLLRDNORM : 0;
}

static int timerfd_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, 0600, ((struct timerfd *)f->priv)->ino);
    return 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->priv;
    ticker_fini(&t->ticker);
    kfree(t);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .stat = timerfd_stat,
    .release = timerfd_release,
};

int timerfd_create(bool wall, uint32_t flags, struct file **out)
{
    struct timerfd *t = kzalloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    t->ino = file_next_ino();
    waitq_init(&t->fired);
    *out = file_create(&timerfd_ops, O_RDWR | flags, t);
    if (!*out) {
        kfree(t);
        return -ENOMEM;
    }
    ticker_init(&t->ticker, wall, timerfd_fired);
    return 0;
}

int timerfd_set(struct file *f, const struct ticker_time *new, bool absolute, bool cancel,
                struct ticker_time *old)
{
    struct timerfd *t = f->priv;
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    ticker_set(&t->ticker, new, absolute, old);
    t->cancel = cancel && absolute;
    return 0;
}

int timerfd_get(struct file *f, struct ticker_time *out)
{
    struct timerfd *t = f->priv;
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    ticker_get(&t->ticker, out);
    return 0;
}
