/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7). `struct epoll` has a list of watches and a list of those that may be
 * ready; a watch hangs on its file's queues with call-backs and, without a
 * reference, on the file itself (struct file.watches), whose last put removes it.
 * Locks: `structure` (all epolls: who watches what) > epoll.lock (collecting) >
 * a file's own locks; epoll.ready_lock (interrupts off) guards the ready list.
 */
#include "file/epoll.h"

#include <linux/errno.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/wait.h"
#include "mem/kmalloc.h"

struct epoll {
    struct mutex lock;
    struct list watches;
    struct spinlock ready_lock;
    struct list ready;
    struct waitq queue;
    uint64_t ino;
};

struct watch_hook {
    struct waiter waiter;
    struct watch *watch;
    struct watch_hook *next;
};

struct watch {
    struct poll_table table;
    struct epoll *ep;
    struct file *file; /* no reference: removed by epoll_forget() */
    int fd;
    uint32_t events;
    uint64_t data;
    struct watch_hook *hooks;
    int err;
    struct list link;       /* epoll.watches */
    struct list file_link;  /* file.watches */
    struct list ready_link; /* epoll.ready */
};

static struct mutex structure = MUTEX_INIT(structure);

#define ALWAYS (EPOLLERR | EPOLLHUP)
#define MODES  ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP))

static void watch_ready(struct watch *w)
{
    struct epoll *ep = w->ep;
    irqflags_t flags = spin_lock_irq(&ep->ready_lock);
    if (list_empty(&w->ready_link))
        list_add_tail(&ep->ready, &w->ready_link);
    spin_unlock_irq(&ep->ready_lock, flags);
    waitq_wake(&ep->queue, POLLIN);
}

static void watch_woken(struct waiter *waiter, uint32_t events)
{
    struct watch *w = CONTAINER_OF(waiter, struct watch_hook, waiter)->watch;
    if (!events || (events & (w->events | ALWAYS)))
        watch_ready(w);
}

static void watch_add_queue(struct poll_table *pt, struct waitq *q)
{
    struct watch *w = CONTAINER_OF(pt, struct watch, table);
    struct watch_hook *h = kzalloc(sizeof *h);
    if (!h) {
        w->err = -ENOMEM;
        return;
    }
    waiter_init(&h->waiter);
    h->waiter.wake = watch_woken;
    h->waiter.exclusive = w->events & EPOLLEXCLUSIVE;
    h->watch = w;
    h->next = w->hooks;
    w->hooks = h;
    waitq_add(q, &h->waiter);
}

/* `structure` and ep->lock are held. */
static void watch_destroy(struct watch *w)
{
    while (w->hooks) {
        struct watch_hook *h = w->hooks;
        w->hooks = h->next;
        waitq_remove(&h->waiter);
        kfree(h);
    }
    irqflags_t flags = spin_lock_irq(&w->ep->ready_lock);
    list_remove(&w->ready_link);
    spin_unlock_irq(&w->ep->ready_lock, flags);
    list_remove(&w->link);
    list_remove(&w->file_link);
    kfree(w);
}

void epoll_forget(struct file *f)
{
    mutex_lock(&structure);
    while (!list_empty(&f->watches)) {
        struct watch *w = LIST_ENTRY(f->watches.next, struct watch, file_link);
        struct epoll *ep = w->ep;
        mutex_lock(&ep->lock);
        watch_destroy(w);
        mutex_unlock(&ep->lock);
    }
    mutex_unlock(&structure);
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->priv;
    mutex_lock(&structure);
    while (!list_empty(&ep->watches))
        watch_destroy(LIST_ENTRY(ep->watches.next, struct watch, link));
    mutex_unlock(&structure);
    kfree(ep);
}

/* The bits that hold now of those the watch asks for; 0 while ONESHOT has disabled it. */
static uint32_t watch_bits(const struct watch *w)
{
    uint32_t wanted = w->events & ~MODES;
    return wanted ? file_poll(w->file, NULL) & (wanted | ALWAYS) : 0;
}

/* Takes the first possibly ready watch off `from`. */
static struct watch *ready_pop(struct epoll *ep, struct list *from)
{
    irqflags_t flags = spin_lock_irq(&ep->ready_lock);
    struct list *l = list_pop_head(from);
    spin_unlock_irq(&ep->ready_lock, flags);
    return l ? LIST_ENTRY(l, struct watch, ready_link) : NULL;
}

/* ep->lock is held: takes the ready list to look at. */
static void ready_begin(struct epoll *ep, struct list *look)
{
    list_init(look);
    irqflags_t flags = spin_lock_irq(&ep->ready_lock);
    list_splice_tail(look, &ep->ready);
    spin_unlock_irq(&ep->ready_lock, flags);
}

/* Puts back what was not looked at, before what has come since, and `again` behind that. */
static void ready_end(struct epoll *ep, struct list *look, struct list *again)
{
    if (list_empty(look) && list_empty(again))
        return;
    irqflags_t flags = spin_lock_irq(&ep->ready_lock);
    list_splice_tail(look, &ep->ready);
    list_splice_tail(look, again);
    list_splice_tail(&ep->ready, look);
    spin_unlock_irq(&ep->ready_lock, flags);
}

/* Whether epoll_wait() would find something; drops what is not ready any more. */
static bool epoll_ready(struct epoll *ep)
{
    struct list look, none = LIST_INIT(none);
    struct watch *w;
    mutex_lock(&ep->lock);
    ready_begin(ep, &look);
    while ((w = ready_pop(ep, &look)) && !watch_bits(w))
        ;
    if (w) {
        irqflags_t flags = spin_lock_irq(&ep->ready_lock);
        if (list_empty(&w->ready_link))
            list_add_head(&look, &w->ready_link);
        spin_unlock_irq(&ep->ready_lock, flags);
    }
    ready_end(ep, &look, &none);
    mutex_unlock(&ep->lock);
    return w;
}

static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->priv;
    poll_add(pt, &ep->queue);
    return epoll_ready(ep) ? POLLIN | POLLRDNORM : 0;
}

static int epoll_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, 0600, ((struct epoll *)f->priv)->ino);
    return 0;
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .stat = epoll_stat,
    .release = epoll_release,
};

int epoll_create(struct file **out)
{
    struct epoll *ep = kzalloc(sizeof *ep);
    if (!ep)
        return -ENOMEM;
    mutex_init(&ep->lock);
    list_init(&ep->watches);
    list_init(&ep->ready);
    waitq_init(&ep->queue);
    ep->ino = file_next_ino();
    *out = file_create(&epoll_ops, O_RDWR, ep);
    if (*out)
        return 0;
    kfree(ep);
    return -ENOMEM;
}

static struct watch *watch_find(const struct file *target, const struct epoll *ep, int fd)
{
    LIST_FOR_EACH(l, &target->watches)
    {
        struct watch *w = LIST_ENTRY(l, struct watch, file_link);
        if (w->ep == ep && w->fd == fd)
            return w;
    }
    return NULL;
}

static int watch_create(struct epoll *ep, int fd, struct file *target, uint32_t events,
                        uint64_t data)
{
    struct watch *w = kzalloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct watch){.ep = ep, .file = target, .fd = fd, .events = events, .data = data};
    w->table.add = watch_add_queue;
    list_init(&w->ready_link);
    list_add_tail(&ep->watches, &w->link);
    list_add_tail(&target->watches, &w->file_link);
    uint32_t bits = file_poll(target, &w->table);
    if (w->err) {
        int err = w->err;
        watch_destroy(w);
        return err;
    }
    if (bits & (events | ALWAYS))
        watch_ready(w);
    return 0;
}

static int watch_change(struct watch *w, uint32_t events, uint64_t data)
{
    w->events = events;
    w->data = data;
    if (file_poll(w->file, NULL) & (events | ALWAYS))
        watch_ready(w);
    return 0;
}

/* Whether `from` watches `to`, directly or through other epolls; too deep counts as yes. */
static bool epoll_reaches(const struct file *from, const struct file *to, int depth)
{
    if (from == to || depth > 4)
        return true;
    if (from->ops != &epoll_ops)
        return false;
    const struct epoll *ep = from->priv;
    LIST_FOR_EACH(l, &ep->watches)
    {
        if (epoll_reaches(LIST_ENTRY(l, struct watch, link)->file, to, depth + 1))
            return true;
    }
    return false;
}

/* EPOLLEXCLUSIVE goes with few other flags, not with a nested epoll, and is never changed. */
static bool exclusive_ok(const struct file *target, int op, const struct watch *w, uint32_t events)
{
    const uint32_t with = (uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP |
                                     EPOLLET | EPOLLEXCLUSIVE);
    if (op == EPOLL_CTL_MOD)
        return !(events & EPOLLEXCLUSIVE) && !(w && w->events & EPOLLEXCLUSIVE);
    return op != EPOLL_CTL_ADD || !(events & EPOLLEXCLUSIVE) ||
           (!(events & ~with) && target->ops != &epoll_ops);
}

int epoll_control(struct file *f, int op, int fd, struct file *target, uint32_t events,
                  uint64_t data)
{
    int err;
    if (!target->ops->poll)
        return -EPERM;
    if (f->ops != &epoll_ops || f == target)
        return -EINVAL;
    struct epoll *ep = f->priv;
    mutex_lock(&structure);
    mutex_lock(&ep->lock);
    struct watch *w = watch_find(target, ep, fd);
    if (!exclusive_ok(target, op, w, events)) {
        err = -EINVAL;
    } else if (op == EPOLL_CTL_ADD) {
        if (w)
            err = -EEXIST;
        else if (target->ops == &epoll_ops && epoll_reaches(target, f, 0))
            err = -ELOOP;
        else
            err = watch_create(ep, fd, target, events, data);
    } else if (!w) {
        err = op == EPOLL_CTL_DEL || op == EPOLL_CTL_MOD ? -ENOENT : -EINVAL;
    } else if (op == EPOLL_CTL_MOD) {
        err = watch_change(w, events, data);
    } else {
        err = op == EPOLL_CTL_DEL ? 0 : -EINVAL;
        if (!err)
            watch_destroy(w);
    }
    mutex_unlock(&ep->lock);
    mutex_unlock(&structure);
    return err;
}

/* A watch whose result has been taken: with level triggering it is looked at again. */
static void watch_again(struct watch *w, struct list *again)
{
    if (w->events & EPOLLONESHOT) {
        w->events &= MODES;
    } else if (!(w->events & (uint32_t)EPOLLET)) {
        irqflags_t flags = spin_lock_irq(&w->ep->ready_lock);
        if (list_empty(&w->ready_link))
            list_add_tail(again, &w->ready_link);
        spin_unlock_irq(&w->ep->ready_lock, flags);
    }
}

/*
 * Re-checks what may be ready; a level-triggered watch stays in the list, behind the others,
 * and is for the next waiter too.
 */
static int epoll_scan(struct epoll *ep, struct uptr out, int max)
{
    struct list look, again = LIST_INIT(again);
    struct watch *w;
    int n = 0;
    mutex_lock(&ep->lock);
    ready_begin(ep, &look);
    while (n < max && !list_empty(&look)) {
        w = ready_pop(ep, &look);
        struct epoll_event e = {.events = watch_bits(w), .data = w->data};
        if (!e.events)
            continue;
        if (copy_to_user(uptr_add(out, (unsigned)n * sizeof e), &e, sizeof e)) {
            watch_ready(w);
            n = n ? n : -EFAULT;
            break;
        }
        n++;
        watch_again(w, &again);
    }
    ready_end(ep, &look, &again);
    mutex_unlock(&ep->lock);
    if (!list_empty(&ep->ready))
        waitq_wake(&ep->queue, POLLIN);
    return n;
}

int epoll_collect(struct file *f, struct uptr out, int max, uint64_t deadline)
{
    struct epoll *ep = f->priv;
    int err = 0, n;
    if (f->ops != &epoll_ops || max <= 0)
        return -EINVAL;
    n = epoll_scan(ep, out, max);
    if (n || deadline == 0)
        return n;
    struct wait_set s;
    wait_set_init(&s);
    poll_add(&s.table, &ep->queue);
    for (;;) {
        wait_set_arm(&s);
        n = epoll_scan(ep, out, max);
        if (n || err)
            break;
        err = wait_set_sleep(&s, deadline);
    }
    wait_set_fini(&s);
    return n ? n : err == -EINTR ? -EINTR : 0;
}
