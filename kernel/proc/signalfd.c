/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): a file over the signal queues; it waits on process.signals.arrived. No lock. */
#include "proc/signalfd.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signalfd.h>

#include "file/poll.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "proc/process.h"
#include "proc/task.h"

struct signalfd {
    uint64_t mask;
    uint64_t ino;
};

static void record_fill(struct signalfd_siginfo *r, const siginfo_t *info)
{
    memset(r, 0, sizeof *r);
    r->ssi_signo = (uint32_t)info->si_signo;
    r->ssi_errno = info->si_errno;
    r->ssi_code = info->si_code;
    switch (info->si_code) {
    case SI_TIMER:
        r->ssi_tid = (uint32_t)info->si_tid;
        r->ssi_overrun = (uint32_t)info->si_overrun;
        break;
    case SI_KERNEL:
        return;
    default:
        r->ssi_pid = (uint32_t)info->si_pid;
        r->ssi_uid = info->si_uid;
    }
    r->ssi_int = info->si_int;
    r->ssi_ptr = (uint64_t)info->si_ptr;
}

static ssize_t signalfd_read(struct file *f, struct uio *u, uint64_t *pos)
{
    const struct signalfd *s = f->priv;
    struct signalfd_siginfo r;
    size_t start = u->done;
    siginfo_t info;
    int err = 0;
    (void)pos;
    if (u->left < sizeof r)
        return -EINVAL;
    while (!err && u->left >= sizeof r && signal_take(s->mask, &info)) {
        record_fill(&r, &info);
        err = uio_copy_out(u, &r, sizeof r);
    }
    return u->done > start ? (ssize_t)(u->done - start) : err ? err : -EAGAIN;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
    const struct signalfd *s = f->priv;
    poll_add(pt, &process.signals.arrived);
    uint64_t pending = task_current()->pending.set | process.signals.pending.set;
    return pending & s->mask ? POLLIN | POLLRDNORM : 0;
}

static int signalfd_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, 0600, ((struct signalfd *)f->priv)->ino);
    return 0;
}

static void signalfd_release(struct file *f)
{
    kfree(f->priv);
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .stat = signalfd_stat,
    .release = signalfd_release,
};

int signalfd_create(uint64_t mask, uint32_t flags, struct file **out)
{
    struct signalfd *s = kzalloc(sizeof *s);
    if (!s)
        return -ENOMEM;
    s->mask = mask & ~SIGNAL_UNBLOCKABLE;
    s->ino = file_next_ino();
    *out = file_create(&signalfd_ops, O_RDWR | flags, s);
    if (*out)
        return 0;
    kfree(s);
    return -ENOMEM;
}

int signalfd_set_mask(struct file *f, uint64_t mask)
{
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    ((struct signalfd *)f->priv)->mask = mask & ~SIGNAL_UNBLOCKABLE;
    waitq_wake(&process.signals.arrived, 0);
    return 0;
}
