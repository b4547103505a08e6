/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary buddy allocator over a few regions of RAM, with a cache of single
 * frames per CPU. Descriptors are not cleared at boot: only the first frame of
 * a free block or of an allocation has a valid one, and a buddy's first frame
 * always was one of these since the block was split.
 * Lock: page_lock for the free lists; a CPU's cache is its own, interrupts off.
 */
#include "mem/page.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/features.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/upcalls.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "lib/string.h"

#define REGION_MAX  64
#define CACHE_MAX   64 /* frames a CPU keeps */
#define CACHE_BATCH 32
#define RESERVE     64 /* one frame in so many is not for objects, */
#define RESERVE_MAX 512
#define REPORT_PART 8 /* of what is free may be out to be told of */

struct region {
    uint64_t first, last; /* frame numbers [first, last) */
    struct page *pages;   /* of frame `first` on */
};

struct page_cache {
    unsigned count;
    struct page *page[CACHE_MAX];
};

static struct region regions[REGION_MAX];
static unsigned region_count;
static struct list free_lists[PAGE_ORDER_MAX];
static size_t frames_total, frames_free;
static struct spinlock page_lock;
static struct page_cache caches[CPU_MAX];
static page_reclaim_fn *reclaimers[RECLAIM_COUNT];
static void (*report_freed)(void); /* NULL: nobody reports */
static bool report_due;            /* it was called */

/* Both look from the top: the last region is the largest. */
static struct region *region_of(uint64_t frame)
{
    for (unsigned i = region_count; i-- > 0;)
        if (frame >= regions[i].first && frame < regions[i].last)
            return &regions[i];
    return NULL;
}

static struct region *region_of_page(const struct page *p)
{
    for (unsigned i = region_count; i-- > 0;) {
        struct region *r = &regions[i];
        if (p >= r->pages && p < r->pages + (r->last - r->first))
            return r;
    }
    panic("no page descriptor at %p", (const void *)p);
}

static uint64_t page_frame(const struct page *p)
{
    const struct region *r = region_of_page(p);
    return r->first + (uint64_t)(p - r->pages);
}

paddr_t page_paddr(const struct page *p)
{
    return page_frame(p) << PAGE_SHIFT;
}

void *page_address(const struct page *p)
{
    return phys_to_virt(page_paddr(p));
}

struct page *page_of_paddr(paddr_t paddr)
{
    uint64_t frame = paddr >> PAGE_SHIFT;
    struct region *r = region_of(frame);
    return r ? &r->pages[frame - r->first] : NULL;
}

struct page *page_of_address(const void *addr)
{
    return page_of_paddr(virt_to_phys(addr));
}

/* Blocks that the host may have taken the memory of stand behind the others. */
static void block_add(struct page *p, unsigned order, uint8_t reported)
{
    p->order = (uint8_t)order;
    p->flags = PAGE_FREE | reported;
    p->refs = 0;
    if (reported)
        list_add_tail(&free_lists[order], &p->link);
    else
        list_add_head(&free_lists[order], &p->link);
}

static void free_locked(struct page *p, unsigned order, uint8_t reported)
{
    const struct region *r = region_of_page(p);
    uint64_t frame = r->first + (uint64_t)(p - r->pages);
    frames_free += 1ul << order;
    for (; order < PAGE_ORDER_MAX - 1; order++) {
        uint64_t buddy = frame ^ 1ul << order;
        if (buddy < r->first || buddy + (1ul << order) > r->last)
            break;
        struct page *b = &r->pages[buddy - r->first];
        if (!(b->flags & PAGE_FREE) || b->order != order)
            break;
        list_remove(&b->link);
        reported &= b->flags;
        b->flags = 0;
        frame &= ~(1ul << order);
    }
    block_add(&r->pages[frame - r->first], order, reported);
    if (order >= PAGE_REPORT_ORDER && !reported && report_freed && !report_due) {
        report_due = true;
        report_freed();
    }
}

static struct page *alloc_locked(unsigned order)
{
    unsigned o = order;
    while (o < PAGE_ORDER_MAX && list_empty(&free_lists[o]))
        o++;
    if (o == PAGE_ORDER_MAX)
        return NULL;
    struct page *p = LIST_ENTRY(list_pop_head(&free_lists[o]), struct page, link);
    uint8_t reported = p->flags & PAGE_REPORTED;
    while (o > order) {
        o--;
        block_add(p + (1ul << o), o, reported);
    }
    p->flags = 0;
    p->order = (uint8_t)order;
    frames_free -= 1ul << order;
    return p;
}

void page_add_range(paddr_t start, paddr_t end)
{
    uint64_t first = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
    if (!free_lists[0].next)
        for (unsigned i = 0; i < PAGE_ORDER_MAX; i++)
            list_init(&free_lists[i]);
    if (last <= first || region_count == REGION_MAX)
        return;
    /* The descriptors take the first frames of the range itself. */
    uint64_t own = ((last - first) * sizeof(struct page) + PAGE_SIZE - 1) >> PAGE_SHIFT;
    if (own >= last - first)
        return;
    struct region *r = &regions[region_count++];
    r->pages = phys_to_virt(first << PAGE_SHIFT);
    r->first = first + own;
    r->last = last;
    frames_total += last - r->first;
    for (uint64_t frame = r->first; frame < last;) {
        unsigned order = 0;
        while (order < PAGE_ORDER_MAX - 1 && !(frame & 1ul << order) &&
               frame + (2ul << order) <= last)
            order++;
        block_add(&r->pages[frame - r->first], order, PAGE_REPORTED); /* never touched */
        frames_free += 1ul << order;
        frame += 1ul << order;
    }
}

static struct page *alloc_cached(void)
{
    irqflags_t flags = irq_save();
    struct page_cache *c = &caches[percpu()->id];
    if (!c->count) {
        spin_lock_raw(&page_lock);
        while (c->count < CACHE_BATCH) {
            struct page *p = alloc_locked(0);
            if (!p)
                break;
            c->page[c->count++] = p;
        }
        spin_unlock_raw(&page_lock);
    }
    struct page *p = c->count ? c->page[--c->count] : NULL;
    irq_restore(flags);
    return p;
}

static void free_cached(struct page *p)
{
    irqflags_t flags = irq_save();
    struct page_cache *c = &caches[percpu()->id];
    if (c->count == CACHE_MAX) {
        spin_lock_raw(&page_lock);
        while (c->count > CACHE_MAX - CACHE_BATCH)
            free_locked(c->page[--c->count], 0, 0);
        spin_unlock_raw(&page_lock);
    }
    c->page[c->count++] = p;
    irq_restore(flags);
}

static struct page *alloc_any(unsigned order)
{
    if (!order)
        return alloc_cached();
    irqflags_t flags = spin_lock_irq(&page_lock);
    struct page *p = alloc_locked(order);
    spin_unlock_irq(&page_lock, flags);
    return p;
}

static struct page *page_init(struct page *p, unsigned order)
{
    list_init(&p->link);
    p->refs = 1;
    p->flags = 0;
    p->order = (uint8_t)order;
    p->pad = 0;
    p->owner = NULL;
    p->index = 0;
    return p;
}

struct page *page_alloc_free(unsigned order)
{
    struct page *p = order < PAGE_ORDER_MAX ? alloc_any(order) : NULL;
    return p ? page_init(p, order) : NULL;
}

static bool may_sleep(void)
{
    return irq_enabled() && !percpu()->preempt;
}

struct page *page_alloc(unsigned order)
{
    struct page *p = page_alloc_free(order);
    if (p || order >= PAGE_ORDER_MAX || !may_sleep())
        return p;
    for (unsigned i = 0; i < RECLAIM_COUNT && !p; i++)
        if (reclaimers[i] && reclaimers[i](CACHE_BATCH + (1ul << order)))
            p = page_alloc_free(order);
    return p;
}

/* What other CPUs keep in their caches is of no use to this one. */
static bool frames_scarce(void)
{
    return frames_free < MIN(frames_total / RESERVE, (size_t)RESERVE_MAX);
}

struct page *page_alloc_object(unsigned order)
{
    for (unsigned i = 0; may_sleep() && frames_scarce(); i++)
        if (i == RECLAIM_COUNT)
            return NULL;
        else if (reclaimers[i])
            reclaimers[i](RESERVE_MAX);
    return page_alloc(order);
}

void page_split(struct page *p)
{
    for (size_t i = 1ul << p->order; i-- > 0;)
        page_init(p + i, 0);
}

/* Most of a page fault is here: as fast as the CPU can, or in longer strides than memset. */
static void clear_frames(uint64_t *at, size_t bytes)
{
    if (cpu_has(CPU_ERMS) && !cpu_has(CPU_HYPERVISOR_TCG)) {
        cpu_zero(at, bytes / sizeof *at);
        return;
    }
    for (const uint64_t *end = at + bytes / sizeof *at; at < end; at += 16) {
        at[0] = 0, at[1] = 0, at[2] = 0, at[3] = 0;
        at[4] = 0, at[5] = 0, at[6] = 0, at[7] = 0;
        at[8] = 0, at[9] = 0, at[10] = 0, at[11] = 0;
        at[12] = 0, at[13] = 0, at[14] = 0, at[15] = 0;
    }
}

void page_zero(struct page *p)
{
    clear_frames(page_address(p), PAGE_SIZE << p->order);
}

struct page *page_alloc_zero(unsigned order)
{
    struct page *p = page_alloc(order);
    if (p)
        page_zero(p);
    return p;
}

void page_put(struct page *p)
{
    uint32_t left = __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL);
    ASSERT(left < 1u << 31);
    if (left)
        return;
    if (!p->order) {
        p->flags = 0;
        free_cached(p);
        return;
    }
    irqflags_t flags = spin_lock_irq(&page_lock);
    free_locked(p, p->order, 0);
    spin_unlock_irq(&page_lock, flags);
}

unsigned page_report_take(struct page **blocks, unsigned n)
{
    unsigned count = 0;
    irqflags_t flags = spin_lock_irq(&page_lock);
    size_t left = frames_free / REPORT_PART;
    report_due = false;
    for (unsigned o = PAGE_ORDER_MAX; o-- > PAGE_REPORT_ORDER;) {
        while (count < n && !list_empty(&free_lists[o]) && left >> o) {
            struct page *p = LIST_ENTRY(free_lists[o].next, struct page, link);
            if (p->flags & PAGE_REPORTED)
                break;
            list_remove(&p->link);
            p->flags = 0;
            frames_free -= 1ul << o;
            left -= 1ul << o;
            blocks[count++] = p;
        }
    }
    spin_unlock_irq(&page_lock, flags);
    return count;
}

void page_report_give(struct page **blocks, unsigned n)
{
    irqflags_t flags = spin_lock_irq(&page_lock);
    for (unsigned i = 0; i < n; i++)
        free_locked(blocks[i], blocks[i]->order, PAGE_REPORTED);
    spin_unlock_irq(&page_lock, flags);
}

void page_report_start(void (*freed)(void))
{
    report_freed = freed;
}

size_t page_count_total(void)
{
    return frames_total;
}

size_t page_count_free(void)
{
    size_t n = frames_free;
    for (unsigned i = 0; i < cpu_count(); i++)
        n += caches[i].count;
    return n;
}

void page_set_reclaim(enum reclaim turn, page_reclaim_fn *fn)
{
    reclaimers[turn] = fn;
}

void *paging_table_alloc(void)
{
    struct page *p = page_alloc_zero(0);
    return p ? page_address(p) : NULL;
}

void paging_table_free(void *table)
{
    page_put(page_of_address(table));
}
