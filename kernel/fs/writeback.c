/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lists of what is dirty and the thread that writes it: see writeback.h. A
 * vnode stays on the list while it is written, so that a sync waits for it; then
 * it leaves, or goes to the end with a new time, which is what ends a walk.
 */
#include "fs/writeback.h"

#include <linux/errno.h>

#include "sched/clock.h"
#include "sched/thread.h"

#define PERIOD     (5 * NSEC_PER_SEC)
#define AGE        (30 * NSEC_PER_SEC)
#define BACKGROUND 2 /* part of the limit from which the thread writes without waiting for age */

static struct {
    struct spinlock lock;
    struct list vnodes;        /* dirty, the oldest first */
    struct list systems;       /* that want their tick */
    struct waitq wake, rested; /* the thread's; those who wait until it is done */
    bool running, kicked, busy;
} back = {SPINLOCK_INIT,
          LIST_INIT(back.vnodes),
          LIST_INIT(back.systems),
          WAITQ_INIT(back.wake),
          WAITQ_INIT(back.rested),
          false,
          false,
          false};

static bool much_is_dirty(void)
{
    return page_cache_dirty_total() > page_cache_dirty_limit() / BACKGROUND;
}

void vnode_set_dirty(struct vnode *v, bool attributes)
{
    spin_lock(&back.lock);
    bool first = list_empty(&back.vnodes) && list_empty(&back.systems);
    if (list_empty(&v->dirty_link)) {
        vnode_get(v);
        v->dirtied = clock_now();
        list_add_tail(&back.vnodes, &v->dirty_link);
    }
    if (attributes)
        v->attr_dirty = true;
    spin_unlock(&back.lock);
    if (first && back.running)
        waitq_wake(&back.wake, 0);
}

bool vnode_is_dirty(const struct vnode *v)
{
    return !list_empty(&v->dirty_link);
}

void vnode_forget_dirty(struct vnode *v)
{
    spin_lock(&back.lock);
    /* Whoever else wants a reference has one, or gets it from this list under this lock. */
    bool ours = !list_empty(&v->dirty_link) && __atomic_load_n(&v->refs, __ATOMIC_ACQUIRE) == 2;
    if (ours) {
        list_remove(&v->dirty_link);
        __atomic_sub_fetch(&v->refs, 1, __ATOMIC_RELEASE);
    }
    spin_unlock(&back.lock);
    if (!ours)
        return;
    page_cache_drop(&v->cache, 0, UINT64_MAX);
    v->attr_dirty = false;
}

void vnode_changed(struct vnode *v)
{
    if (v->ops->store)
        vnode_set_dirty(v, true);
}

/* Was written: it leaves the list if it is clean. True if the caller has the list's reference. */
static bool vnode_settle(struct vnode *v)
{
    spin_lock(&back.lock);
    bool listed = !list_empty(&v->dirty_link);
    bool dirty = v->attr_dirty || __atomic_load_n(&v->cache.dirty_count, __ATOMIC_RELAXED);
    list_remove(&v->dirty_link);
    if (listed && dirty) {
        v->dirtied = clock_now();
        list_add_tail(&back.vnodes, &v->dirty_link);
    }
    spin_unlock(&back.lock);
    return listed && !dirty;
}

int vnode_write_back(struct vnode *v)
{
    int err = page_cache_write(&v->cache, 0, UINT64_MAX);
    mutex_lock(&v->cache.writing); /* whoever finds nothing to store must know that it is stored */
    if (__atomic_exchange_n(&v->attr_dirty, false, __ATOMIC_ACQ_REL)) {
        int failed = v->ops->store(v);
        err = err ? err : failed;
        if (failed == -ENOMEM || failed == -EAGAIN)
            vnode_set_dirty(v, true);
    }
    mutex_unlock(&v->cache.writing);
    if (vnode_settle(v))
        vnode_put(v);
    return err;
}

void fs_set_dirty(struct fs *fs, bool now)
{
    spin_lock(&back.lock);
    bool wake = now || (list_empty(&back.vnodes) && list_empty(&back.systems));
    if (list_empty(&fs->dirty_link))
        list_add_tail(&back.systems, &fs->dirty_link);
    back.kicked |= now;
    spin_unlock(&back.lock);
    if (wake && back.running)
        waitq_wake(&back.wake, 0);
}

static bool thread_is_busy(void)
{
    return __atomic_load_n(&back.busy, __ATOMIC_ACQUIRE);
}

void writeback_wait(void)
{
    struct waiter w;
    if (!thread_is_busy())
        return;
    waiter_init(&w);
    for (;;) {
        waitq_add(&back.rested, &w);
        if (!thread_is_busy())
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

void fs_forget_dirty(struct fs *fs)
{
    for (int i = 0; i < 2; i++) { /* the thread may be at it now, and enter it again */
        spin_lock(&back.lock);
        list_remove(&fs->dirty_link);
        spin_unlock(&back.lock);
        if (!i)
            writeback_wait();
    }
}

/* The oldest dirty vnode, referenced: of `fs` (NULL: of any), dirty before `before`. */
static struct vnode *vnode_next_dirty(const struct fs *fs, uint64_t before)
{
    struct vnode *found = NULL;
    spin_lock(&back.lock);
    LIST_FOR_EACH(l, &back.vnodes)
    {
        struct vnode *v = LIST_ENTRY(l, struct vnode, dirty_link);
        if (v->dirtied >= before)
            break;
        if (!fs || v->fs == fs) {
            vnode_get(v);
            found = v;
            break;
        }
    }
    spin_unlock(&back.lock);
    return found;
}

/* Writes what became dirty up to `before`; stops early when `enough` says so. */
static int write_older(const struct fs *fs, uint64_t before, bool (*enough)(void))
{
    struct vnode *v;
    int err = 0;
    while ((!enough || !enough()) && (v = vnode_next_dirty(fs, before))) {
        int failed = vnode_write_back(v);
        err = err ? err : failed;
        vnode_put(v);
        if (failed == -ENOMEM || failed == -EAGAIN)
            break; /* it is on the list again */
    }
    return err;
}

int fs_sync(struct fs *fs)
{
    int err = write_older(fs, clock_now() + 1, NULL);
    int failed = fs->ops->sync ? fs->ops->sync(fs) : 0;
    return err ? err : failed;
}

static bool little_is_dirty(void)
{
    return !much_is_dirty();
}

void writeback_throttle(struct vnode *v)
{
    size_t dirty = page_cache_dirty_total(), limit = page_cache_dirty_limit();
    if (dirty > limit)
        page_cache_write(&v->cache, 0, UINT64_MAX);
    else if (dirty > limit / BACKGROUND && back.running && !back.kicked)
        fs_set_dirty(v->fs, true);
}

/* One tick for every file system that asked; those with more to do stay on the list. */
static void systems_tick(bool due)
{
    struct list todo;
    list_init(&todo);
    spin_lock(&back.lock);
    for (struct list *l; (l = list_pop_head(&back.systems));)
        list_add_tail(&todo, l);
    while (!list_empty(&todo)) {
        struct fs *fs = LIST_ENTRY(list_pop_head(&todo), struct fs, dirty_link);
        spin_unlock(&back.lock);
        bool more = fs->ops->tick && fs->ops->tick(fs, due);
        spin_lock(&back.lock);
        if (more && list_empty(&fs->dirty_link))
            list_add_tail(&back.systems, &fs->dirty_link);
    }
    spin_unlock(&back.lock);
}

/* Sleeps until there is something to do: true when it was a kick, false when `deadline` came. */
static bool back_wait(uint64_t *deadline)
{
    struct waiter w;
    bool kicked = false;
    waiter_init(&w);
    for (int err = 0;;) {
        waitq_add(&back.wake, &w);
        spin_lock(&back.lock);
        bool idle = list_empty(&back.vnodes) && list_empty(&back.systems);
        kicked = back.kicked;
        back.kicked = false;
        spin_unlock(&back.lock);
        if (kicked || err == -ETIMEDOUT)
            break;
        if (idle)
            *deadline = CLOCK_NEVER;
        else if (*deadline == CLOCK_NEVER)
            *deadline = clock_now() + PERIOD;
        err = thread_block(*deadline, false);
    }
    waitq_remove(&w);
    return kicked;
}

static void back_thread(void *arg)
{
    uint64_t deadline = CLOCK_NEVER;
    (void)arg;
    for (;;) {
        bool due = !back_wait(&deadline);
        __atomic_store_n(&back.busy, true, __ATOMIC_RELEASE);
        if (much_is_dirty())
            write_older(NULL, UINT64_MAX, little_is_dirty);
        if (due) {
            uint64_t now = clock_now();
            write_older(NULL, now > AGE ? now - AGE : 0, NULL);
            deadline = CLOCK_NEVER;
        }
        systems_tick(due);
        __atomic_store_n(&back.busy, false, __ATOMIC_RELEASE);
        waitq_wake(&back.rested, 0);
    }
}

int writeback_start(void)
{
    struct thread *t;
    int err = thread_create(&t, "writeback", back_thread, NULL);
    if (err)
        return err;
    back.running = true;
    thread_start(t);
    return 0;
}
