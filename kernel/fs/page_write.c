/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write-back of one page cache: see page_cache.h. A batch is some runs of
 * consecutive dirty pages: they are marked clean, made read-only in every
 * mapping (a later write makes them dirty again) and given to the owner.
 * page_cache.writing is held all the time; who had to wait for it writes
 * everything, so that many writers of single pages need few batches.
 */
#include <linux/errno.h>

#include "fs/page_cache.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "vm/map.h"

#define WRITE_BATCH 256 /* pages written at once: 1 MiB */
#define WRITE_LEAST 16  /* when there is no memory for more */
#define ERROR_SEEN  1   /* page_cache.errors: the last error was told; counts go by 2 */

struct write_batch {
    struct page **pages;
    unsigned most, count;
};

/* A dirty page of the cache, which is locked; NULL. */
static struct page *dirty_at(struct page_cache *c, uint64_t index)
{
    struct page *p = radix_get(&c->pages, index);
    return p && p->flags & PAGE_DIRTY ? p : NULL;
}

/* Takes the page and the dirty pages around it, within from..to-1; the cache is locked. */
static void batch_gather(struct page_cache *c, struct write_batch *b, uint64_t index, uint64_t from,
                         uint64_t to)
{
    uint64_t first = index;
    struct page *p;
    while (first > from && index - first < b->most - b->count - 1 && dirty_at(c, first - 1))
        first--;
    for (; b->count < b->most && first < to && (p = dirty_at(c, first)); first++) {
        page_get(p);
        page_cache_clean(c, p);
        b->pages[b->count++] = p;
    }
}

static void batch_begin(struct page_cache *c, struct write_batch *b)
{
    spin_lock(&c->lock);
    b->count = 0;
    c->taken = 0;
}

static bool batch_end(struct page_cache *c, const struct write_batch *b)
{
    spin_unlock(&c->lock);
    return b->count;
}

/* The next batch of the range: by index from *at on. */
static bool batch_by_index(struct page_cache *c, struct write_batch *b, uint64_t *at, uint64_t to)
{
    batch_begin(c, b);
    while (b->count < b->most && *at < to && c->dirty_count) {
        const struct page *p = radix_next(&c->pages, at);
        unsigned before = b->count;
        if (!p || *at >= to)
            break;
        if (p->flags & PAGE_DIRTY)
            batch_gather(c, b, *at, *at, to);
        *at += MAX(b->count - before, 1u);
    }
    return batch_end(c, b);
}

/* The batch of the oldest dirty pages, those behind the mark left out, and their neighbours. */
static bool batch_by_age(struct page_cache *c, struct write_batch *b, const struct list *mark)
{
    batch_begin(c, b);
    while (b->count < b->most && c->dirty.next != mark)
        batch_gather(c, b, LIST_ENTRY(c->dirty.next, struct page, link)->index, 0, UINT64_MAX);
    return batch_end(c, b);
}

static int batch_write(struct page_cache *c, struct write_batch *b)
{
    for (unsigned i = 0, run; i < b->count; i += run) {
        uint64_t first = b->pages[i]->index;
        run = page_run(b->pages + i, b->count - i);
        vm_protect_object(&c->object, first, first + run);
    }
    int err = c->ops->write_pages(c, b->pages, b->count);
    bool again = err == -ENOMEM || err == -EAGAIN;
    for (unsigned i = 0; i < b->count; i++) {
        if (again)
            page_cache_dirty(c, b->pages[i]);
        page_put(b->pages[i]);
    }
    if (err && !again) {
        spin_lock(&c->lock);
        c->error = err;
        c->errors = (c->errors + 2) & ~(uint32_t)ERROR_SEEN;
        spin_unlock(&c->lock);
    }
    return err;
}

/* Everything that is dirty now. */
static int write_all(struct page_cache *c, struct write_batch *b)
{
    struct list mark;
    int err = 0, failed = 0;
    spin_lock(&c->lock);
    list_add_tail(&c->dirty, &mark);
    spin_unlock(&c->lock);
    while (failed != -ENOMEM && failed != -EAGAIN && batch_by_age(c, b, &mark)) {
        failed = batch_write(c, b);
        err = err ? err : failed;
    }
    spin_lock(&c->lock);
    list_remove(&mark);
    spin_unlock(&c->lock);
    return err;
}

/* Whether something of a short range is dirty (still). */
static bool range_dirty(struct page_cache *c, uint64_t from, uint64_t to)
{
    bool dirty = to - from > WRITE_LEAST;
    spin_lock(&c->lock);
    for (uint64_t i = from; i < to && !dirty; i++)
        dirty = dirty_at(c, i);
    spin_unlock(&c->lock);
    return dirty;
}

int page_cache_write(struct page_cache *c, uint64_t from, uint64_t to)
{
    struct page *few[WRITE_LEAST];
    struct write_batch b = {NULL, WRITE_BATCH, 0};
    int err = 0;
    if (!c->ops->write_pages)
        return 0;
    bool all = from == 0 && to >= UINT64_MAX >> PAGE_SHIFT;
    if (!mutex_trylock(&c->writing)) {
        mutex_lock(&c->writing);
        all |= range_dirty(c, from, to);
    }
    if (!__atomic_load_n(&c->dirty_count, __ATOMIC_RELAXED))
        goto unlock;
    b.pages = kmalloc(WRITE_BATCH * sizeof(struct page *));
    if (!b.pages)
        b = (struct write_batch){few, WRITE_LEAST, 0};
    if (all)
        err = write_all(c, &b);
    else
        for (uint64_t at = from; batch_by_index(c, &b, &at, to);) {
            int failed = batch_write(c, &b);
            err = err ? err : failed;
        }
    if (b.pages != few)
        kfree(b.pages);
unlock:
    mutex_unlock(&c->writing);
    return err;
}

uint32_t page_cache_sample(struct page_cache *c)
{
    uint32_t errors = __atomic_load_n(&c->errors, __ATOMIC_RELAXED);
    return errors & ERROR_SEEN || !errors ? errors : errors - 2;
}

int page_cache_error(struct page_cache *c, uint32_t *seen)
{
    int err = 0;
    spin_lock(&c->lock);
    if ((c->errors ^ *seen) & ~(uint32_t)ERROR_SEEN) {
        err = c->error;
        c->errors |= ERROR_SEEN;
        *seen = c->errors;
    }
    spin_unlock(&c->lock);
    return err;
}
