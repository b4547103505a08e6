/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File locks. `struct lock_list` holds the locks of one file: it hangs in a table by
 * the object they are on (the vnode, or what stands for a file without one), is made
 * with the first lock and goes with the last. Ranges of one owner and kind never
 * overlap. Who waits is in `waiting`, on a queue that is woken whenever a lock of the
 * file is given up. One mutex guards all of it; no other lock but the heap's is taken
 * inside.
 */
#include "fs/lock.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "file/wait.h"
#include "fs/vnode.h"
#include "mem/kmalloc.h"
#include "sched/mutex.h"
#include "sched/thread.h"

#define BUCKETS 64

struct lock_list {
    const void *object;
    uint64_t dev, ino;         /* for /proc/locks */
    struct list link;          /* in its bucket */
    struct list held, waiting; /* struct lock, by start */
    struct waitq queue;
};

static struct {
    struct mutex lock;
    bool ready;
    struct list bucket[BUCKETS];
} table = {.lock = MUTEX_INIT(table.lock)};

static void lock_release(struct file *f, bool last);

/* Both ends of a pipe have the same `priv`. */
static const void *lock_object(const struct file *f)
{
    return f->vnode ? (const void *)f->vnode : f->priv ? f->priv : f;
}

/* The table is locked. */
static struct list *lock_bucket(const void *object)
{
    if (!table.ready) {
        for (unsigned i = 0; i < BUCKETS; i++)
            list_init(&table.bucket[i]);
        file_unlock = lock_release;
        table.ready = true;
    }
    return &table.bucket[((uintptr_t)object >> 6) * 31 % BUCKETS];
}

static struct lock_list *lock_list_find(const struct file *f)
{
    const void *object = lock_object(f);
    LIST_FOR_EACH(l, lock_bucket(object))
    {
        struct lock_list *list = LIST_ENTRY(l, struct lock_list, link);
        if (list->object == object)
            return list;
    }
    return NULL;
}

static struct lock_list *lock_list_make(struct file *f)
{
    struct lock_list *list = lock_list_find(f);
    struct file_stat st = {0};
    if (list || !(list = kzalloc(sizeof *list)))
        return list;
    list->object = lock_object(f);
    if (f->vnode) {
        list->dev = f->vnode->fs->dev;
        list->ino = f->vnode->ino;
    } else if (!file_stat(f, &st)) {
        list->dev = st.dev;
        list->ino = st.ino;
    }
    list_init(&list->held);
    list_init(&list->waiting);
    waitq_init(&list->queue);
    list_add_tail(lock_bucket(list->object), &list->link);
    return list;
}

static void lock_list_drop(struct lock_list *list)
{
    if (!list_empty(&list->held) || !list_empty(&list->waiting))
        return;
    list_remove(&list->link);
    kfree(list);
}

static bool same_owner(const struct lock *a, const struct lock *b)
{
    return a->kind == b->kind && a->owner == b->owner;
}

static bool overlap(const struct lock *a, const struct lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

static bool conflict(const struct lock *want, const struct lock *held)
{
    if ((want->kind == LOCK_WHOLE) != (held->kind == LOCK_WHOLE) || !overlap(want, held))
        return false;
    if (want->type == F_UNLCK) /* F_OFD_GETLK asks for its own */
        return same_owner(want, held);
    return !same_owner(want, held) && (want->type == F_WRLCK || held->type == F_WRLCK);
}

static struct lock *lock_find_conflict(const struct lock_list *list, const struct lock *want)
{
    LIST_FOR_EACH(l, &list->held)
    {
        struct lock *held = LIST_ENTRY(l, struct lock, link);
        if (conflict(want, held))
            return held;
    }
    return NULL;
}

static void lock_insert(struct lock_list *list, struct lock *n)
{
    struct list *at = list->held.next;
    while (at != &list->held && LIST_ENTRY(at, struct lock, link)->start <= n->start)
        at = at->next;
    list_add_tail(at, &n->link);
}

static void lock_free(struct lock *l)
{
    list_remove(&l->link);
    kfree(l);
}

/* Whether the range falls into the middle of a lock of another type, which then becomes two. */
static bool splits(const struct lock_list *list, const struct lock *want)
{
    LIST_FOR_EACH(l, &list->held)
    {
        const struct lock *held = LIST_ENTRY(l, struct lock, link);
        if (same_owner(held, want) && held->type != want->type && held->start < want->start &&
            held->end > want->end)
            return true;
    }
    return false;
}

/*
 * Takes the range out of the owner's lock `held`; one of the same type is merged into *n
 * instead, also when it only touches. `spare` is for the second half of a split. True
 * when something was given up.
 */
static bool lock_yield(struct lock_list *list, struct lock *held, const struct lock *want,
                       struct lock *n, struct lock *spare)
{
    if (held->type == want->type) {
        bool apart = (held->end < want->start && want->start - held->end > 1) ||
                     (want->end < held->start && held->start - want->end > 1);
        if (!apart) {
            n->start = MIN(n->start, held->start);
            n->end = MAX(n->end, held->end);
            lock_free(held);
        }
        return false;
    }
    if (!overlap(held, want))
        return false;
    if (held->start < want->start && held->end > want->end) {
        *spare = *held;
        spare->start = want->end + 1;
        held->end = want->start - 1;
        lock_insert(list, spare);
    } else if (held->start < want->start) {
        held->end = want->start - 1;
    } else if (held->end > want->end) {
        held->start = want->end + 1;
        list_remove(&held->link);
        lock_insert(list, held);
    } else {
        lock_free(held);
    }
    return true;
}

/* Nothing conflicts: the owner's locks become what `want` says. */
static int lock_apply(struct lock_list *list, const struct lock *want)
{
    struct lock *n = NULL, *spare = NULL, result = *want;
    bool split = splits(list, want), freed = false;
    if (want->type != F_UNLCK)
        n = kmalloc(sizeof *n);
    if (split)
        spare = kmalloc(sizeof *spare);
    if ((want->type != F_UNLCK && !n) || (split && !spare)) {
        kfree(n);
        kfree(spare);
        return -ENOLCK;
    }
    LIST_FOR_EACH_SAFE(l, &list->held)
    {
        struct lock *held = LIST_ENTRY(l, struct lock, link);
        if (same_owner(held, want))
            freed |= lock_yield(list, held, want, &result, spare);
    }
    if (n) {
        *n = result;
        list_init(&n->link);
        lock_insert(list, n);
    }
    if (freed)
        waitq_wake(&list->queue, 0);
    return 0;
}

/* flock(2): a conversion gives the old lock up first, so it is lost if the new one is refused. */
static void lock_convert(struct lock_list *list, const struct lock *want)
{
    LIST_FOR_EACH_SAFE(l, &list->held)
    {
        struct lock *held = LIST_ENTRY(l, struct lock, link);
        if (!same_owner(held, want) || held->type == want->type)
            continue;
        lock_free(held);
        waitq_wake(&list->queue, 0);
    }
}

/* Sleeps until a lock of the file is given up; the mutex is released meanwhile. 0 or -EINTR. */
static int lock_sleep(struct lock_list *list)
{
    struct waiter w;
    waiter_init(&w);
    waitq_add(&list->queue, &w);
    mutex_unlock(&table.lock);
    int err = thread_block(CLOCK_NEVER, true);
    waitq_remove(&w);
    mutex_lock(&table.lock);
    return err;
}

/* The table is locked. */
static int lock_get(struct lock_list *list, struct lock *want, bool wait)
{
    int err = 0;
    bool refused;
    if (want->kind == LOCK_WHOLE)
        lock_convert(list, want);
    if (want->type == F_UNLCK)
        return lock_apply(list, want);
    list_add_tail(&list->waiting, &want->link);
    while ((refused = lock_find_conflict(list, want)) && wait && !err)
        err = lock_sleep(list);
    list_remove(&want->link);
    if (refused)
        return wait ? -ERESTARTSYS : -EAGAIN;
    return lock_apply(list, want);
}

int lock_set(struct file *f, struct lock *want, bool wait)
{
    int err = 0;
    want->owner = want->kind == LOCK_PROCESS ? NULL : f;
    list_init(&want->link);
    mutex_lock(&table.lock);
    struct lock_list *list = want->type == F_UNLCK ? lock_list_find(f) : lock_list_make(f);
    if (list) {
        __atomic_store_n(&f->locked, true, __ATOMIC_RELAXED);
        err = lock_get(list, want, wait);
        lock_list_drop(list);
    } else if (want->type != F_UNLCK) {
        err = -ENOLCK;
    }
    mutex_unlock(&table.lock);
    return err;
}

void lock_test(struct file *f, struct lock *want)
{
    want->owner = want->kind == LOCK_PROCESS ? NULL : f;
    mutex_lock(&table.lock);
    const struct lock_list *list = lock_list_find(f);
    const struct lock *held = list ? lock_find_conflict(list, want) : NULL;
    if (held)
        *want = *held;
    else
        want->type = F_UNLCK;
    mutex_unlock(&table.lock);
}

/*
 * A descriptor of f is closed: the process's locks on that file go (fcntl(2)). `last`: the
 * open file ends, and with it what it owns.
 */
static void lock_release(struct file *f, bool last)
{
    bool freed = false;
    mutex_lock(&table.lock);
    struct lock_list *list = lock_list_find(f);
    if (list) {
        LIST_FOR_EACH_SAFE(l, &list->held)
        {
            struct lock *held = LIST_ENTRY(l, struct lock, link);
            if (last ? held->owner != f : held->kind != LOCK_PROCESS)
                continue;
            lock_free(held);
            freed = true;
        }
        if (freed)
            waitq_wake(&list->queue, 0);
        lock_list_drop(list);
    }
    mutex_unlock(&table.lock);
}

static void lock_line(struct seq *s, const struct lock_list *list, const struct lock *l,
                      unsigned id, bool waits)
{
    static const char *const kind[] = {"FLOCK ", "POSIX ", "OFDLCK"};
    seq_printf(s, "%u: %s%s ADVISORY  %s %d %02x:%02x:%llu ", id, waits ? "-> " : "", kind[l->kind],
               l->type == F_WRLCK ? "WRITE" : "READ", l->kind == LOCK_OPEN_FILE ? -1 : l->pid,
               (unsigned)(list->dev >> 8), (unsigned)list->dev & 0xff,
               (unsigned long long)list->ino);
    if (l->end == LOCK_END)
        seq_printf(s, "%llu EOF\n", (unsigned long long)l->start);
    else
        seq_printf(s, "%llu %llu\n", (unsigned long long)l->start, (unsigned long long)l->end);
}

int lock_list_text(struct seq *s)
{
    unsigned id = 0;
    mutex_lock(&table.lock);
    for (unsigned i = 0; i < BUCKETS && table.ready; i++)
        LIST_FOR_EACH(b, &table.bucket[i])
        {
            const struct lock_list *list = LIST_ENTRY(b, struct lock_list, link);
            LIST_FOR_EACH(l, &list->held)
            lock_line(s, list, LIST_ENTRY(l, struct lock, link), ++id, false);
            LIST_FOR_EACH(l, &list->waiting)
            lock_line(s, list, LIST_ENTRY(l, struct lock, link), id, true);
        }
    mutex_unlock(&table.lock);
    return 0;
}
