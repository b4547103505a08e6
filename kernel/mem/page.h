/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical page frames: a binary buddy allocator with per-CPU caches of single
 * frames. `struct page` describes one 4 KiB frame; page_get/page_put count its
 * users and the last put frees it.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

#define PAGE_ORDER_MAX 11 /* largest block: 2^(PAGE_ORDER_MAX - 1) frames */

struct page {
    struct list link; /* owner's list while in use, free list otherwise */
    uint32_t refs;    /* users; 0 while free */
    uint8_t order;    /* of a free block's or an allocation's first frame */
    uint8_t flags;    /* PAGE_* */
    uint16_t pad;     /* the owner's use: page cache: disk blocks set aside for a dirty page */
    void *owner;      /* page cache: the cache it belongs to, else NULL */
    uint64_t index;   /* page cache: page number in the file; else the owner's use */
};

#define PAGE_FREE     1   /* heads a free block */
#define PAGE_UPTODATE 2   /* page cache: content is valid */
#define PAGE_ERROR    4   /* page cache: reading it failed */
#define PAGE_BUSY     8   /* page cache: being read */
#define PAGE_TOUCHED  16  /* page cache: used since the last sweep */
#define PAGE_DIRTY    32  /* page cache: newer than the disk */
#define PAGE_GONE     64  /* left the page cache (truncation); who uses it still may */
#define PAGE_REPORTED 128 /* of a free block: the host knows that nobody needs its content */

/* Frames of `paddr`..`paddr + size` become free; called by boot for each usable range. */
void page_add_range(paddr_t start, paddr_t end);

/* 2^order contiguous frames, content undefined, one reference; NULL when memory is out. */
struct page *page_alloc(unsigned order);
/* The same, filled with zeroes. */
struct page *page_alloc_zero(unsigned order);
/*
 * For objects that the kernel makes on the program's behalf: where it may sleep it fails
 * while a few frames are still free, for the pages that a program needs to see its ENOMEM.
 */
struct page *page_alloc_object(unsigned order);
/* A block if one is free now: nothing is reclaimed for it. */
struct page *page_alloc_free(unsigned order);
/* Fills an allocated block with zeroes. */
void page_zero(struct page *p);
/* Makes single frames of a block that has one reference: each has one then, and no owner. */
void page_split(struct page *p);
static inline void page_get(struct page *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
}
/* Drops one reference; the last one frees the block the frame heads. */
void page_put(struct page *p);

void *page_address(const struct page *p); /* in the direct map */
paddr_t page_paddr(const struct page *p);
struct page *page_of_paddr(paddr_t paddr);      /* NULL outside RAM */
struct page *page_of_address(const void *addr); /* an address of the direct map */

size_t page_count_total(void); /* frames given to the allocator */
size_t page_count_free(void);

/*
 * Telling the host of free memory. Blocks of at least 2^PAGE_REPORT_ORDER frames that were in use
 * are taken out to be told, at most `n` and a part of what is free, and given back as they are.
 * `freed` is called after there are new ones, interrupts off, once until the next
 * page_report_take().
 */
#define PAGE_REPORT_ORDER 9
unsigned page_report_take(struct page **blocks, unsigned n);
void page_report_give(struct page **blocks, unsigned n);
void page_report_start(void (*freed)(void));

/* Called (may sleep) when an allocation finds nothing free; returns the frames it released. */
typedef size_t page_reclaim_fn(size_t wanted);
/* The functions are asked in this order until one has released something. NULL: none. */
enum reclaim { RECLAIM_REPORTED, RECLAIM_CACHES, RECLAIM_PROGRAM, RECLAIM_COUNT };
void page_set_reclaim(enum reclaim turn, page_reclaim_fn *fn);
