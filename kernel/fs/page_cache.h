/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache: one copy of each file page, shared by read, write, mmap and
 * exec. A cache belongs to a vnode or to a block device; it is the vm_object
 * that mappings use. The cache holds one reference to each of its pages; a
 * clean page with no other may be reclaimed.
 * Locks: page_cache.lock guards the index and who may find a page; inside it
 * the global list lock. Neither is held while sleeping.
 */
#pragma once

#include "core/spinlock.h"
#include "lib/radix.h"
#include "sched/waitq.h"
#include "vm/object.h"

struct page;
struct page_cache;

#define PAGE_CACHE_BATCH 64 /* most pages read at once: 256 KiB */

struct page_cache_ops {
    /* Fills n consecutive pages; 0 or -errno for all of them. May sleep. */
    int (*read_pages)(struct page_cache *c, uint64_t index, struct page **pages, unsigned n);
    /* See vnode_ops. NULL: -EROFS. */
    int (*write_page)(struct page_cache *c, uint64_t index, bool whole, struct page **out);
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
};

void page_cache_init(struct page_cache *c, const struct page_cache_ops *ops, bool keep);
/*
 * The page, content valid, referenced. Reads it and up to `ahead` - 1 pages
 * behind it when it is not there. -EFAULT beyond the end, -EIO, -ENOMEM. May sleep.
 */
int page_cache_get(struct page_cache *c, uint64_t index, unsigned ahead, struct page **out);
/* As page_cache_get() with the read-ahead that the pattern of reads suggests. */
int page_cache_read(struct page_cache *c, uint64_t index, unsigned wanted, struct page **out);
/* The page if it is there and valid, referenced; else NULL. No sleep. */
struct page *page_cache_find(struct page_cache *c, uint64_t index);
/* Adds a page (its reference goes to the cache). -EEXIST, -ENOMEM, -EFAULT beyond the end. */
int page_cache_add(struct page_cache *c, uint64_t index, struct page *p);
/* Forgets the pages from..to-1; pages in use elsewhere live on unattached. Returns how many. */
size_t page_cache_drop(struct page_cache *c, uint64_t from, uint64_t to);
/* Drops everything; the cache is not used any more. Returns the pages dropped. */
size_t page_cache_fini(struct page_cache *c);
/* Registers with page_set_reclaim(). */
void page_cache_start(void);
/* Pages on the reclaim list, for /proc/meminfo. */
size_t page_cache_reclaimable(void);
/* Frees up to `wanted` unused clean pages; returns how many. No sleep. */
size_t page_cache_reclaim(size_t wanted);
