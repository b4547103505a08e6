/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache: one copy of each file page, shared by read, write, mmap and
 * exec. A cache belongs to a vnode or to a block device; it is the vm_object
 * that mappings use. The cache holds one reference to each of its pages; a
 * clean page with no other may be reclaimed. A dirty page is newer than the
 * disk: it is on its cache's list until write-back takes it.
 * Locks: page_cache.writing (mutex) is held while pages are written, so whoever
 * holds it knows that no write is in flight; it is taken after vnode locks and
 * before vm.lock. page_cache.lock guards the index, the dirty list and who may
 * find a page; inside it the global list lock. Neither spinlock is held while
 * sleeping.
 */
#pragma once

#include "core/spinlock.h"
#include "lib/radix.h"
#include "mem/page.h"
#include "sched/mutex.h"
#include "vm/object.h"

struct page_cache;

#define PAGE_CACHE_BATCH 64 /* most pages read at once: 256 KiB */

struct page_cache_ops {
    /* Fills n consecutive pages; 0 or -errno for all of them. May sleep. */
    int (*read_pages)(struct page_cache *c, uint64_t index, struct page **pages, unsigned n);
    /* See vnode_ops. NULL: -EROFS. */
    int (*write_page)(struct page_cache *c, uint64_t index, struct page *fresh, struct page **out);
    /*
     * Writes n pages, in runs of consecutive ones (page_run()), which are clean already; 0 or
     * -errno for all of them; -ENOMEM and -EAGAIN make them dirty again. What was set
     * aside for them is in page_cache.taken, and used up in any case. NULL: pages are never dirty.
     */
    int (*write_pages)(struct page_cache *c, struct page **pages, unsigned n);
    /* A dirty page is dropped unwritten. No sleep: the cache is locked. NULL: nothing to do. */
    void (*forget)(struct page_cache *c, struct page *p);
    /* The first page became dirty. No sleep: the cache is locked. */
    void (*dirtied)(struct page_cache *c);
    uint64_t (*size)(struct page_cache *c); /* bytes; no page begins at or after it */
    void (*get)(struct page_cache *c);      /* the owner's reference count */
    void (*put)(struct page_cache *c);
    int (*describe)(struct page_cache *c, char *buf, size_t n, uint64_t *dev, uint64_t *ino);
    /* As in vm_object_ops; NULL: nothing to do, -EOPNOTSUPP. */
    int (*sync)(struct page_cache *c);
    int (*punch)(struct page_cache *c, uint64_t offset, uint64_t len);
};

struct page_cache {
    struct vm_object object;
    const struct page_cache_ops *ops;
    struct spinlock lock;
    struct radix pages;
    uint64_t count;     /* pages held */
    uint64_t next_read; /* page after the last read: sequential readers are recognised by it */
    uint32_t window;    /* pages to read ahead */
    bool keep;          /* the pages are the only copy (tmpfs): never reclaimed */
    struct waitq busy;  /* woken when a page stops being PAGE_BUSY */
    struct mutex writing;
    struct list dirty; /* pages, the oldest first */
    uint64_t dirty_count;
    uint64_t taken;    /* page.pad of the pages being written; under `writing` */
    uint64_t reserved; /* and of those that are dirty */
    int error;         /* of the last write-back that failed */
    uint32_t errors;   /* failures so far, and whether the last one was told to anybody */
};

/* How many of n > 0 pages follow the first one without a gap, that one included. */
static inline unsigned page_run(struct page *const *pages, unsigned n)
{
    unsigned run = 1;
    while (run < n && pages[run]->index == pages[0]->index + run)
        run++;
    return run;
}

void page_cache_init(struct page_cache *c, const struct page_cache_ops *ops, bool keep);
/* The page is newer than the disk. False: it has left the cache. No sleep. */
bool page_cache_dirty(struct page_cache *c, struct page *p);
/* The same, and notes what was set aside for it; false: it was dirty, or has left. */
bool page_cache_reserve(struct page_cache *c, struct page *p, uint16_t reserved);
/*
 * Writes what was dirty in pages from..to-1 when the call was made; waits for it
 * and for writes begun before. 0 or the first error. May sleep.
 */
int page_cache_write(struct page_cache *c, uint64_t from, uint64_t to);
/* For page_write.c: a dirty page is about to be written. The cache is locked. */
void page_cache_clean(struct page_cache *c, struct page *p);
/* Dirty pages of all caches, and how many there may be before writers have to help. */
size_t page_cache_dirty_total(void);
size_t page_cache_dirty_limit(void);
/*
 * Errors of write-back reach every open file once. A file remembers what
 * page_cache_sample() said when it was opened; page_cache_error() answers the
 * error that came since and moves the mark.
 */
uint32_t page_cache_sample(struct page_cache *c);
int page_cache_error(struct page_cache *c, uint32_t *seen);
/*
 * The page, content valid, referenced. Reads it and up to `ahead` - 1 pages
 * behind it when it is not there. -EFAULT beyond the end, -EIO, -ENOMEM. May sleep.
 */
int page_cache_get(struct page_cache *c, uint64_t index, unsigned ahead, struct page **out);
/* As page_cache_get() with the read-ahead that the pattern of reads suggests. */
int page_cache_read(struct page_cache *c, uint64_t index, unsigned wanted, struct page **out);
/* The page if it is there and valid, referenced; else NULL. No sleep. */
struct page *page_cache_find(struct page_cache *c, uint64_t index);
/* The same, but waits for one that is being read. */
struct page *page_cache_find_read(struct page_cache *c, uint64_t index);
/* Adds a page (its reference goes to the cache). -EEXIST, -ENOMEM, -EFAULT beyond the end. */
int page_cache_add(struct page_cache *c, uint64_t index, struct page *p);
/* Forgets the pages from..to-1; pages in use elsewhere live on unattached. Returns how many. */
size_t page_cache_drop(struct page_cache *c, uint64_t from, uint64_t to);
/*
 * Forgets all pages that are not dirty, because what they were read from has changed. Waits
 * for those that are being written: only then could they be read again. May sleep.
 */
void page_cache_drop_clean(struct page_cache *c);
/* Forgets those of from..to-1 that are clean and that nobody uses. */
void page_cache_drop_unused(struct page_cache *c, uint64_t from, uint64_t to);
/* Reads those of from..to-1 that are missing, as far as there is memory. May sleep. */
void page_cache_fetch(struct page_cache *c, uint64_t from, uint64_t to);
/* Drops everything; the cache is not used any more. Returns the pages dropped. */
size_t page_cache_fini(struct page_cache *c);
/* Registers with page_set_reclaim(). */
void page_cache_start(void);
/* Pages on the reclaim list, for /proc/meminfo. */
size_t page_cache_reclaimable(void);
/* Frees up to `wanted` unused clean pages; returns how many. No sleep. */
size_t page_cache_reclaim(size_t wanted);
