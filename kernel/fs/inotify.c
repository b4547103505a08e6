/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify: see inotify.h. `struct inotify` is one file with its watches and the
 * events not read yet; watches also hang in a hash by vnode, which they
 * reference. Lock: inotify_lock, a mutex below all vnode locks, for everything.
 */
#include "fs/inotify.h"

#include <asm/ioctls.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "fs/path.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define BUCKETS    64
#define EVENTS_MAX 16384
#define OWN_FLAGS  (IN_ONESHOT | IN_EXCL_UNLINK)

struct inotify {
    struct list watches, events;
    unsigned count; /* of events */
    size_t bytes;
    int last_wd;
    struct waitq readable;
    uint64_t ino;
};

struct watch {
    struct list link, hash_link;
    struct inotify *owner;
    struct vnode *vnode;
    int wd;
    uint32_t mask;
};

struct event {
    struct list link;
    struct inotify_event head;
    char name[];
};

unsigned inotify_watches;

static struct mutex inotify_lock = MUTEX_INIT(inotify_lock);
static struct list buckets[BUCKETS];

static struct list *bucket_of(const struct vnode *v)
{
    struct list *b = &buckets[(uint64_t)v / 64 % BUCKETS];
    if (!b->next)
        list_init(b);
    return b;
}

static bool event_repeats(const struct inotify *n, const struct inotify_event *head,
                          const char *name)
{
    if (list_empty(&n->events))
        return false;
    const struct event *last = LIST_ENTRY(n->events.prev, struct event, link);
    return last->head.wd == head->wd && last->head.mask == head->mask &&
           last->head.cookie == head->cookie && last->head.len == head->len &&
           (!head->len || !strcmp(last->name, name));
}

/* The name is padded with zeroes as Linux pads it. */
static void event_add(struct inotify *n, int wd, uint32_t mask, uint32_t cookie, const char *name,
                      size_t len)
{
    struct inotify_event head = {wd, mask, cookie, 0};
    char text[NAME_LIMIT + 1];
    if (n->count > EVENTS_MAX)
        return;
    if (n->count == EVENTS_MAX) {
        head = (struct inotify_event){-1, IN_Q_OVERFLOW, 0, 0};
    } else if (name) {
        head.len = (uint32_t)ALIGN_UP(len + 1, sizeof head);
        memcpy(text, name, len);
        text[len] = '\0';
    }
    if (event_repeats(n, &head, text))
        return;
    struct event *e = kzalloc(sizeof *e + head.len);
    if (!e)
        return; /* as Linux: an event is lost when there is no memory */
    e->head = head;
    if (head.len)
        memcpy(e->name, text, len);
    list_add_tail(&n->events, &e->link);
    n->count++;
    n->bytes += sizeof head + head.len;
    waitq_wake(&n->readable, POLLIN | POLLRDNORM);
}

/* The watch is gone: its owner is told; the caller puts the vnode when the lock is released. */
static void watch_remove(struct watch *w)
{
    event_add(w->owner, w->wd, IN_IGNORED, 0, NULL, 0);
    __atomic_sub_fetch(&w->vnode->watches, 1, __ATOMIC_RELEASE);
    list_remove(&w->link);
    list_remove(&w->hash_link);
    kfree(w);
    __atomic_sub_fetch(&inotify_watches, 1, __ATOMIC_RELAXED);
}

/* Tells the watches of v; how many of them ended: as many references of v must be put. */
static unsigned tell_locked(struct vnode *v, uint32_t mask, uint32_t cookie, const char *name,
                            size_t len)
{
    unsigned ended = 0;
    LIST_FOR_EACH_SAFE(l, bucket_of(v))
    {
        struct watch *w = LIST_ENTRY(l, struct watch, hash_link);
        if (w->vnode != v)
            continue;
        bool wanted = mask & w->mask & IN_ALL_EVENTS;
        if (wanted)
            event_add(w->owner, w->wd, mask, cookie, name, len);
        if ((wanted && w->mask & IN_ONESHOT) || mask & IN_DELETE_SELF) {
            watch_remove(w);
            ended++;
        }
    }
    return ended;
}

static void tell(struct vnode *v, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
    mutex_lock(&inotify_lock);
    unsigned ended = tell_locked(v, mask, cookie, name, len);
    mutex_unlock(&inotify_lock);
    while (ended--)
        vnode_put(v);
}

void inotify_tell_entry(struct vnode *dir, const char *name, size_t len, uint32_t mask,
                        uint32_t cookie)
{
    tell(dir, mask, cookie, name, len);
}

void inotify_tell_vnode(struct vnode *v, uint32_t mask)
{
    char name[NAME_LIMIT + 1];
    struct vnode *dir;
    bool self_only = mask & (IN_DELETE_SELF | IN_MOVE_SELF);
    if (vnode_is_dir(v) && !self_only)
        mask |= IN_ISDIR;
    tell(v, mask, 0, NULL, 0);
    if (self_only)
        return;
    int len = path_name_of_vnode(v, name, &dir);
    if (len < 0)
        return;
    tell(dir, mask, 0, name, (size_t)len);
    vnode_put(dir);
}

void inotify_unlinked(struct vnode *v)
{
    if (!__atomic_load_n(&inotify_watches, __ATOMIC_RELAXED))
        return;
    if (!vnode_is_dir(v))
        tell(v, IN_ATTRIB, 0, NULL, 0);
    if (!v->nlink || vnode_is_dir(v))
        inotify_tell_vnode(v, IN_DELETE_SELF);
}

/* Ends one watch of the file system: its vnode, to be put. */
static struct vnode *unmount_one(const struct fs *fs)
{
    struct vnode *v = NULL;
    mutex_lock(&inotify_lock);
    for (unsigned i = 0; i < BUCKETS && !v; i++) {
        for (struct list *l = buckets[i].next; l && l != &buckets[i] && !v; l = l->next) {
            struct watch *w = LIST_ENTRY(l, struct watch, hash_link);
            if (w->vnode->fs != fs)
                continue;
            v = w->vnode;
            event_add(w->owner, w->wd, IN_UNMOUNT, 0, NULL, 0);
            watch_remove(w);
            break;
        }
    }
    mutex_unlock(&inotify_lock);
    return v;
}

void inotify_unmount(const struct fs *fs)
{
    for (struct vnode *v; (v = unmount_one(fs)) != NULL;)
        vnode_put(v);
}

static ssize_t inotify_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct inotify *n = f->priv;
    size_t start = u->done;
    int err = 0;
    (void)pos;
    mutex_lock(&inotify_lock);
    while (!err && !list_empty(&n->events)) {
        struct event *e = LIST_ENTRY(n->events.next, struct event, link);
        size_t size = sizeof e->head + e->head.len;
        if (size > u->left) {
            err = -EINVAL; /* counts only if not even the first one fits */
            break;
        }
        list_remove(&e->link);
        n->count--;
        n->bytes -= size;
        err = uio_copy_out(u, &e->head, size);
        kfree(e);
    }
    mutex_unlock(&inotify_lock);
    return u->done > start ? (ssize_t)(u->done - start) : err ? err : -EAGAIN;
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
    struct inotify *n = f->priv;
    poll_add(pt, &n->readable);
    return __atomic_load_n(&n->count, __ATOMIC_ACQUIRE) ? POLLIN | POLLRDNORM : 0;
}

static long inotify_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    int n = (int)((struct inotify *)f->priv)->bytes;
    return cmd == FIONREAD ? copy_to_user(arg, &n, sizeof n) : -ENOTTY;
}

static int inotify_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, 0600, ((struct inotify *)f->priv)->ino);
    return 0;
}

static void inotify_release(struct file *f)
{
    struct inotify *n = f->priv;
    for (;;) {
        mutex_lock(&inotify_lock);
        struct vnode *v = NULL;
        if (!list_empty(&n->watches)) {
            struct watch *w = LIST_ENTRY(n->watches.next, struct watch, link);
            v = w->vnode;
            watch_remove(w);
        }
        mutex_unlock(&inotify_lock);
        if (!v)
            break;
        vnode_put(v);
    }
    while (!list_empty(&n->events))
        kfree(LIST_ENTRY(list_pop_head(&n->events), struct event, link));
    kfree(n);
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .stat = inotify_stat,
    .release = inotify_release,
};

int inotify_create(uint32_t flags, struct file **out)
{
    struct inotify *n = kzalloc(sizeof *n);
    if (!n)
        return -ENOMEM;
    list_init(&n->watches);
    list_init(&n->events);
    waitq_init(&n->readable);
    n->ino = file_next_ino();
    *out = file_create(&inotify_ops, O_RDONLY | flags, n);
    if (*out)
        return 0;
    kfree(n);
    return -ENOMEM;
}

static struct watch *watch_find(const struct inotify *n, const struct vnode *v)
{
    LIST_FOR_EACH(l, bucket_of(v))
    {
        struct watch *w = LIST_ENTRY(l, struct watch, hash_link);
        if (w->owner == n && w->vnode == v)
            return w;
    }
    return NULL;
}

static int watch_add_locked(struct inotify *n, struct vnode *v, uint32_t mask)
{
    struct watch *w = watch_find(n, v);
    if (w && mask & IN_MASK_CREATE)
        return -EEXIST;
    uint32_t kept = mask & (IN_ALL_EVENTS | OWN_FLAGS);
    if (w) {
        w->mask = mask & IN_MASK_ADD ? w->mask | kept : kept;
        return w->wd;
    }
    w = kzalloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    w->owner = n;
    w->vnode = v;
    w->mask = kept;
    w->wd = ++n->last_wd;
    vnode_get(v);
    __atomic_add_fetch(&v->watches, 1, __ATOMIC_RELEASE);
    list_add_tail(&n->watches, &w->link);
    list_add_tail(bucket_of(v), &w->hash_link);
    __atomic_add_fetch(&inotify_watches, 1, __ATOMIC_RELAXED);
    return w->wd;
}

int inotify_watch(struct file *f, struct vnode *v, uint32_t mask)
{
    if (f->ops != &inotify_ops || !(mask & IN_ALL_EVENTS) ||
        (mask & IN_MASK_ADD && mask & IN_MASK_CREATE))
        return -EINVAL;
    mutex_lock(&inotify_lock);
    int wd = watch_add_locked(f->priv, v, mask);
    mutex_unlock(&inotify_lock);
    return wd;
}

int inotify_unwatch(struct file *f, int wd)
{
    struct inotify *n = f->priv;
    struct vnode *v = NULL;
    if (f->ops != &inotify_ops)
        return -EINVAL;
    mutex_lock(&inotify_lock);
    LIST_FOR_EACH_SAFE(l, &n->watches)
    {
        struct watch *w = LIST_ENTRY(l, struct watch, link);
        if (w->wd != wd)
            continue;
        v = w->vnode;
        watch_remove(w);
        break;
    }
    mutex_unlock(&inotify_lock);
    if (!v)
        return -EINVAL;
    vnode_put(v);
    return 0;
}
