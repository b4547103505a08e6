/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache: see page_cache.h. A missing page is entered PAGE_BUSY by the
 * thread that reads it; others that want it sleep on the cache's `busy` queue.
 * Clean pages of all caches are on one list in order of arrival, which reclaim
 * sweeps with a second chance for pages that were touched. Page flags change
 * under the cache's lock. Lock order: page_cache.lock > list lock; reclaim goes
 * the other way and therefore only tries the cache's lock.
 */
#include "fs/page_cache.h"

#include <linux/errno.h>

#include "fs/path.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define FAULT_AROUND 16 /* pages read around a fault: 64 KiB */
#define DIRTY_PART   5  /* of memory may be dirty before writers have to write */
#define WINDOW_FIRST 8  /* read-ahead of a reader that begins a file, or goes on */
#define FETCH_PART   2  /* of free memory may be filled by advice */

static struct {
    struct spinlock lock;
    struct list pages; /* oldest first */
    size_t count;
} lru = {SPINLOCK_INIT, LIST_INIT(lru.pages), 0};

static size_t dirty_pages; /* of all caches; atomic */

static void lru_add(struct page *p)
{
    spin_lock(&lru.lock);
    list_add_tail(&lru.pages, &p->link);
    lru.count++;
    spin_unlock(&lru.lock);
}

/* A dirty page is not on the list: its link belongs to its cache. */
static void lru_remove(struct page *p)
{
    spin_lock(&lru.lock);
    if (!(p->flags & PAGE_DIRTY) && !list_empty(&p->link)) {
        list_remove(&p->link);
        lru.count--;
    }
    spin_unlock(&lru.lock);
}

/* Enters the page, whose reference is the cache's then: it may be dropped at once. */
static int cache_insert(struct page_cache *c, uint64_t index, struct page *p, uint8_t flags)
{
    struct radix_node *spare = NULL;
    int err;
    list_init(&p->link);
    p->flags = flags;
    p->pad = 0;
    p->index = index;
    p->owner = c;
    for (;;) {
        spin_lock(&c->lock);
        if (index << PAGE_SHIFT >= c->ops->size(c))
            err = -EFAULT;
        else
            err = radix_insert(&c->pages, index, p, &spare);
        if (!err) {
            c->count++;
            if (!(flags & PAGE_BUSY) && !c->keep)
                lru_add(p);
        }
        spin_unlock(&c->lock);
        if (err != -EAGAIN)
            break;
        spare = kzalloc_io(sizeof *spare);
        if (!spare) {
            err = -ENOMEM;
            break;
        }
    }
    kfree(spare);
    if (err) {
        p->flags = 0;
        p->owner = NULL;
    }
    return err;
}

/* Allocates and enters up to n busy pages from `first` on, each with a second reference. */
static int cache_enter_busy(struct page_cache *c, uint64_t first, unsigned n, struct page **pages)
{
    unsigned got = 0;
    int err = 0;
    while (got < n) {
        struct page *p = page_alloc(0);
        if (!p) {
            err = -ENOMEM;
            break;
        }
        page_get(p);
        err = cache_insert(c, first + got, p, PAGE_BUSY);
        if (err) {
            page_put(p);
            page_put(p);
            break;
        }
        pages[got++] = p;
    }
    return got ? (int)got : err;
}

/* Ends the reading of the pages; on failure they leave the cache. */
static void cache_leave_busy(struct page_cache *c, struct page **pages, unsigned n, int err)
{
    for (unsigned i = 0; i < n; i++) {
        struct page *p = pages[i];
        bool drop = false;
        spin_lock(&c->lock);
        p->flags =
            (uint8_t)((err ? PAGE_ERROR : PAGE_UPTODATE | PAGE_TOUCHED) | (p->flags & PAGE_GONE));
        if (p->owner == c) {
            if (err) {
                radix_remove(&c->pages, p->index, kfree);
                c->count--;
                p->owner = NULL;
                drop = true;
            } else if (!c->keep) {
                lru_add(p);
            }
        }
        spin_unlock(&c->lock);
        if (drop)
            page_put(p);
        page_put(p);
    }
    waitq_wake(&c->busy, 0);
}

/* Reads up to n pages from `first` on. 0 also when another thread is doing so already. */
static int cache_fill(struct page_cache *c, uint64_t first, unsigned n)
{
    struct page *pages[PAGE_CACHE_BATCH];
    uint64_t end = (c->ops->size(c) + PAGE_SIZE - 1) >> PAGE_SHIFT;
    if (first >= end)
        return -EFAULT;
    n = (unsigned)MIN(MIN((uint64_t)MAX(n, 1u), end - first), (uint64_t)PAGE_CACHE_BATCH);
    int got = cache_enter_busy(c, first, n, pages);
    if (got < 0)
        return got == -EEXIST ? 0 : got;
    int err = c->ops->read_pages(c, first, pages, (unsigned)got);
    cache_leave_busy(c, pages, (unsigned)got, err);
    return err;
}

static void cache_wait(struct page_cache *c, struct page *p)
{
    struct waiter w;
    waiter_init(&w);
    for (;;) {
        waitq_add(&c->busy, &w);
        if (!(__atomic_load_n(&p->flags, __ATOMIC_ACQUIRE) & PAGE_BUSY))
            break;
        thread_block(CLOCK_NEVER, false);
    }
    waitq_remove(&w);
}

/* The page in whatever state, referenced. */
static struct page *cache_look(struct page_cache *c, uint64_t index)
{
    spin_lock(&c->lock);
    struct page *p = radix_get(&c->pages, index);
    if (p) {
        page_get(p);
        p->flags |= PAGE_TOUCHED;
    }
    spin_unlock(&c->lock);
    return p;
}

/* Gets the page, reading `n` pages from `first` (<= index) on when it is missing. */
static int cache_obtain(struct page_cache *c, uint64_t index, uint64_t first, unsigned n,
                        struct page **out)
{
    for (;;) {
        struct page *p = cache_look(c, index);
        if (!p) {
            int err = cache_fill(c, first, n);
            if (err && n > 1)
                err = cache_fill(c, index, 1); /* a neighbour's failure is not ours */
            if (err)
                return err;
            first = index;
            continue;
        }
        cache_wait(c, p);
        if (p->flags & PAGE_UPTODATE) {
            *out = p;
            return 0;
        }
        page_put(p);
        return -EIO;
    }
}

int page_cache_get(struct page_cache *c, uint64_t index, unsigned ahead, struct page **out)
{
    return cache_obtain(c, index, index, ahead, out);
}

int page_cache_read(struct page_cache *c, uint64_t index, unsigned wanted, struct page **out)
{
    uint32_t window = c->window;
    struct page *p = page_cache_find(c, index);
    if (p) {
        c->next_read = index + 1;
        *out = p;
        return 0;
    }
    if (index != c->next_read)
        window = index ? 0 : WINDOW_FIRST; /* elsewhere: only what is wanted */
    else
        window = MIN(MAX(window * 2, WINDOW_FIRST), PAGE_CACHE_BATCH);
    c->window = window;
    c->next_read = index + 1;
    return cache_obtain(c, index, index, MAX(window, wanted), out);
}

/* The page if its content is valid; its reference is given back otherwise. */
static struct page *page_if_valid(struct page *p)
{
    if (p && (p->flags & (PAGE_BUSY | PAGE_UPTODATE)) != PAGE_UPTODATE) {
        page_put(p);
        return NULL;
    }
    return p;
}

struct page *page_cache_find(struct page_cache *c, uint64_t index)
{
    return page_if_valid(cache_look(c, index));
}

struct page *page_cache_find_read(struct page_cache *c, uint64_t index)
{
    struct page *p = cache_look(c, index);
    if (p)
        cache_wait(c, p);
    return page_if_valid(p);
}

int page_cache_add(struct page_cache *c, uint64_t index, struct page *p)
{
    return cache_insert(c, index, p, PAGE_UPTODATE | PAGE_TOUCHED);
}

/* Takes a page off the dirty list; the cache is locked. */
static void dirty_remove(struct page_cache *c, struct page *p)
{
    list_remove(&p->link);
    p->flags &= (uint8_t)~PAGE_DIRTY;
    c->dirty_count--;
    __atomic_sub_fetch(&dirty_pages, 1, __ATOMIC_RELAXED);
}

void page_cache_clean(struct page_cache *c, struct page *p)
{
    dirty_remove(c, p);
    c->taken += p->pad;
    c->reserved -= p->pad;
    p->pad = 0;
    lru_add(p);
}

size_t page_cache_dirty_total(void)
{
    return __atomic_load_n(&dirty_pages, __ATOMIC_RELAXED);
}

size_t page_cache_dirty_limit(void)
{
    return page_count_total() / DIRTY_PART;
}

/* The same for one that nobody will write. */
static void dirty_forget(struct page_cache *c, struct page *p)
{
    dirty_remove(c, p);
    c->reserved -= p->pad;
    if (c->ops->forget)
        c->ops->forget(c, p);
}

/* *held: the page is in the cache. False if it was dirty already or is not. */
static bool dirty_enter(struct page_cache *c, struct page *p, uint16_t reserved, bool *held)
{
    spin_lock(&c->lock);
    *held = p->owner == c;
    bool enter = *held && !(p->flags & PAGE_DIRTY);
    if (enter) {
        lru_remove(p);
        p->flags |= PAGE_DIRTY;
        p->pad = (uint16_t)(p->pad + reserved);
        c->reserved += reserved;
        list_add_tail(&c->dirty, &p->link);
        __atomic_add_fetch(&dirty_pages, 1, __ATOMIC_RELAXED);
        if (c->dirty_count++ == 0)
            c->ops->dirtied(c);
    }
    spin_unlock(&c->lock);
    return enter;
}

bool page_cache_reserve(struct page_cache *c, struct page *p, uint16_t reserved)
{
    bool held;
    return dirty_enter(c, p, reserved, &held);
}

bool page_cache_dirty(struct page_cache *c, struct page *p)
{
    bool held;
    dirty_enter(c, p, 0, &held);
    return held;
}

enum drop { DROP_ALL, DROP_CLEAN, DROP_UNUSED /* clean, and in nobody's hand or mapping */ };

static bool may_drop(const struct page *p, enum drop what)
{
    return what == DROP_ALL || (!(p->flags & PAGE_DIRTY) &&
                                (what == DROP_CLEAN || (p->refs == 1 && !(p->flags & PAGE_BUSY))));
}

static size_t cache_drop(struct page_cache *c, uint64_t from, uint64_t to, enum drop what)
{
    size_t dropped = 0;
    for (uint64_t key = from;; key++) {
        spin_lock(&c->lock);
        struct page *p = radix_next(&c->pages, &key);
        if (!p || key >= to) {
            spin_unlock(&c->lock);
            return dropped;
        }
        if (!may_drop(p, what)) {
            spin_unlock(&c->lock);
            continue;
        }
        radix_remove(&c->pages, key, kfree);
        c->count--;
        if (p->flags & PAGE_DIRTY)
            dirty_forget(c, p);
        else
            lru_remove(p);
        p->flags |= PAGE_GONE; /* first: without either a page is the program's own */
        __atomic_store_n(&p->owner, NULL, __ATOMIC_RELEASE);
        spin_unlock(&c->lock);
        page_put(p);
        dropped++;
    }
}

size_t page_cache_drop(struct page_cache *c, uint64_t from, uint64_t to)
{
    return cache_drop(c, from, to, DROP_ALL);
}

void page_cache_drop_clean(struct page_cache *c)
{
    mutex_lock(&c->writing);
    cache_drop(c, 0, UINT64_MAX, DROP_CLEAN);
    mutex_unlock(&c->writing);
}

void page_cache_drop_unused(struct page_cache *c, uint64_t from, uint64_t to)
{
    cache_drop(c, from, to, DROP_UNUSED);
}

void page_cache_fetch(struct page_cache *c, uint64_t from, uint64_t to)
{
    uint64_t most = page_count_free() / FETCH_PART;
    to = MIN(to, from + MIN(most, UINT64_MAX - from));
    for (uint64_t at = from; at < to;) {
        spin_lock(&c->lock);
        bool there = radix_get(&c->pages, at);
        spin_unlock(&c->lock);
        if (there)
            at++;
        else if (cache_fill(c, at, (unsigned)MIN(to - at, (uint64_t)PAGE_CACHE_BATCH)))
            return;
    }
}

size_t page_cache_fini(struct page_cache *c)
{
    size_t dropped = page_cache_drop(c, 0, UINT64_MAX);
    radix_fini(&c->pages, kfree);
    return dropped;
}

static int object_get_page(struct vm_object *obj, uint64_t index, bool write, struct page **out)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    if (write || c->keep) /* a page kept for ever must be accounted for */
        return c->ops->write_page ? c->ops->write_page(c, index, NULL, out) : -EROFS;
    struct page *p = page_cache_find(c, index);
    if (p) {
        *out = p;
        return 0;
    }
    /* Read the block of pages around it, as far as it is missing. */
    uint64_t start = ALIGN_DOWN(index, (uint64_t)FAULT_AROUND), first = index;
    spin_lock(&c->lock);
    while (first > start && !radix_get(&c->pages, first - 1))
        first--;
    spin_unlock(&c->lock);
    return cache_obtain(c, index, first, (unsigned)(start + FAULT_AROUND - first), out);
}

static struct page *object_find_page(struct vm_object *obj, uint64_t index)
{
    return page_cache_find(CONTAINER_OF(obj, struct page_cache, object), index);
}

static bool object_dirty_page(struct vm_object *obj, struct page *p)
{
    return page_cache_dirty(CONTAINER_OF(obj, struct page_cache, object), p);
}

static void object_get(struct vm_object *obj)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    c->ops->get(c);
}

static void object_put(struct vm_object *obj)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    c->ops->put(c);
}

static int object_describe(struct vm_object *obj, char *buf, size_t n, uint64_t *dev, uint64_t *ino)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    return c->ops->describe(c, buf, n, dev, ino);
}

static int object_sync(struct vm_object *obj)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    return c->ops->sync ? c->ops->sync(c) : 0;
}

static int object_punch(struct vm_object *obj, uint64_t offset, uint64_t len)
{
    struct page_cache *c = CONTAINER_OF(obj, struct page_cache, object);
    return c->ops->punch ? c->ops->punch(c, offset, len) : -EOPNOTSUPP;
}

static const struct vm_object_ops page_cache_object_ops = {
    .get_page = object_get_page,
    .find_page = object_find_page,
    .dirty_page = object_dirty_page,
    .get = object_get,
    .put = object_put,
    .describe = object_describe,
    .sync = object_sync,
    .punch = object_punch,
};

void page_cache_init(struct page_cache *c, const struct page_cache_ops *ops, bool keep)
{
    *c = (struct page_cache){.ops = ops, .keep = keep, .window = WINDOW_FIRST};
    vm_object_init(&c->object, &page_cache_object_ops);
    c->object.tracked = ops->write_pages != NULL;
    waitq_init(&c->busy);
    mutex_init(&c->writing);
    list_init(&c->dirty);
}

/* The list lock is held: takes the page out of its cache unless it is in use. */
static bool lru_evict(struct page *p)
{
    struct page_cache *c = p->owner;
    bool evicted = false;
    if (__atomic_load_n(&p->refs, __ATOMIC_RELAXED) != 1 || !spin_trylock(&c->lock))
        return false;
    if (p->flags & PAGE_TOUCHED) {
        p->flags &= (uint8_t)~PAGE_TOUCHED;
    } else if (p->flags == PAGE_UPTODATE && __atomic_load_n(&p->refs, __ATOMIC_ACQUIRE) == 1) {
        radix_remove(&c->pages, p->index, kfree);
        c->count--;
        p->owner = NULL;
        evicted = true;
    }
    spin_unlock(&c->lock);
    return evicted;
}

size_t page_cache_reclaim(size_t wanted)
{
    struct list free;
    size_t freed = 0;
    list_init(&free);
    spin_lock(&lru.lock);
    for (size_t scan = lru.count * 2; scan && freed < wanted && lru.count; scan--) {
        struct page *p = LIST_ENTRY(list_pop_head(&lru.pages), struct page, link);
        if (lru_evict(p)) {
            list_add_tail(&free, &p->link);
            lru.count--;
            freed++;
        } else {
            list_add_tail(&lru.pages, &p->link);
        }
    }
    spin_unlock(&lru.lock);
    for (struct list *l; (l = list_pop_head(&free));) {
        struct page *p = LIST_ENTRY(l, struct page, link);
        p->flags = 0;
        page_put(p);
    }
    return freed;
}

size_t page_cache_reclaimable(void)
{
    return lru.count;
}

/* What page_alloc() calls: clean pages first, then names nobody uses with their vnodes. */
static size_t page_cache_shrink(size_t wanted)
{
    size_t freed = page_cache_reclaim(wanted);
    if (freed)
        return freed;
    size_t before = page_count_free();
    path_cache_shrink(64);
    size_t after = page_count_free();
    return after > before ? after - before : 0;
}

void page_cache_start(void)
{
    page_set_reclaim(RECLAIM_CACHES, page_cache_shrink);
}
