/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2 MiB pages: see huge.h. While one is whole, the table that splitting it needs
 * holds what is known about it: struct huge, on the list of all of them.
 */
#include "vm/huge.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/upcalls.h"
#include "lib/string.h"
#include "mem/page.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "vm/pages.h"

#define HUGE_ORDER   9
#define RUN_BELOW    (HUGE_PAGES / 2) /* pages right below that show a sequential writer */
#define SPARE_RUN    16               /* this many more must be free for such a writer, */
#define SPARE_ADVICE 4                /* or where the program asked for them */

struct huge {
    struct list link;
    struct page *page;
    uint64_t va;
};

/* A page being filled without vm.lock, on its maker's stack. */
struct making {
    struct list link;
    uint64_t va;
};

static struct list all = LIST_INIT(all);
static size_t count;
static struct list makings = LIST_INIT(makings);
static struct waitq made = WAITQ_INIT(made); /* one of `makings` left */

static struct huge *huge_of(const struct page *p)
{
    return (struct huge *)p->index;
}

uint64_t huge_bytes(void)
{
    return __atomic_load_n(&count, __ATOMIC_RELAXED) * LARGE_SIZE;
}

bool huge_eligible(const struct vma *v)
{
    const uint32_t never = VMA_SHARED | VMA_GROWSDOWN | VMA_FIXED_PAGES | VMA_NOHUGE;
    return !v->object && !(v->flags & never) && !vm.huge_disabled &&
           ALIGN_UP(v->start, LARGE_SIZE) + LARGE_SIZE <= v->end;
}

static bool huge_inside(const struct vma *v, uint64_t start)
{
    return v->start <= start && start + LARGE_SIZE <= v->end;
}

/* Nothing is mapped in the 2 MiB at va, or only the frame that is all zeroes. */
static bool table_unused(uint64_t va)
{
    const pte_t *table = paging_pte(va, false);
    for (unsigned i = 0; table && i < HUGE_PAGES; i++)
        if (table[i] && !pages_is_zero(table[i]))
            return false;
    return true;
}

bool huge_wanted(const struct vma *v, uint64_t va, unsigned ahead)
{
    uint64_t start = ALIGN_DOWN(va, LARGE_SIZE);
    if (!huge_inside(v, start) || !(v->prot & PROT_WRITE) || !huge_eligible(v))
        return false;
    size_t spare = page_count_free() / HUGE_PAGES;
    bool needed = va == start && ahead >= HUGE_PAGES;
    bool advised = v->flags & VMA_HUGE && spare >= SPARE_ADVICE;
    bool run =
        va == start && spare >= SPARE_RUN && pages_run_below(va, RUN_BELOW, true) == RUN_BELOW;
    return (needed || advised || run) && table_unused(start);
}

/* A block with its table; content undefined. */
static struct page *huge_alloc(uint64_t va)
{
    struct page *p = page_alloc_free(HUGE_ORDER);
    struct huge *h = p ? paging_table_alloc() : NULL;
    if (!h) {
        if (p)
            page_put(p);
        return NULL;
    }
    list_init(&h->link);
    h->page = p;
    h->va = va;
    p->index = (uint64_t)h;
    return p;
}

void huge_forget(struct page *p)
{
    struct huge *h = huge_of(p);
    if (!list_empty(&h->link)) {
        list_remove(&h->link);
        count--;
    }
    paging_table_free(h);
    p->index = 0;
}

/* False if something is mapped there by now. */
static bool huge_map(struct page *p, uint32_t prot)
{
    struct huge *h = huge_of(p);
    void *table;
    if (!paging_set_large(h->va, page_paddr(p) | pages_prot(prot, true), &table))
        return false;
    if (table)
        paging_table_free(table);
    list_add_tail(&all, &h->link);
    count++;
    return true;
}

static bool making_at(uint64_t va)
{
    LIST_FOR_EACH(l, &makings)
    if (LIST_ENTRY(l, struct making, link)->va == va)
        return true;
    return false;
}

/* Another thread is at it: this one would only do the same work again. */
static void making_wait(void)
{
    struct waiter w;
    waiter_init(&w);
    waitq_add(&made, &w);
    mutex_unlock(&vm.lock);
    thread_block(CLOCK_NEVER, false);
    waitq_remove(&w);
    mutex_lock(&vm.lock);
}

int huge_make(uint64_t va)
{
    struct making m = {.va = ALIGN_DOWN(va, LARGE_SIZE)};
    if (making_at(m.va)) {
        making_wait();
        return 0;
    }
    struct page *p = huge_alloc(m.va);
    if (!p)
        return -ENOMEM;
    list_add_tail(&makings, &m.link);
    mutex_unlock(&vm.lock);
    page_zero(p);
    mutex_lock(&vm.lock);
    list_remove(&m.link);
    waitq_wake(&made, 0);
    const struct vma *v = vma_find(va);
    bool fits =
        v && huge_inside(v, m.va) && v->prot & PROT_WRITE && huge_eligible(v) && table_unused(m.va);
    if (fits && paging_pte(m.va, false))
        pages_drop(m.va, m.va + LARGE_SIZE, false);
    if (fits && huge_map(p, v->prot)) {
        pages_count_resident(HUGE_PAGES);
    } else {
        huge_forget(p);
        page_put(p);
    }
    return 0;
}

static bool frame_is_zero(const struct page *p)
{
    const uint64_t *at = page_address(p);
    for (const uint64_t *end = at + PAGE_SIZE / sizeof *at; at < end; at += 4)
        if (at[0] | at[1] | at[2] | at[3])
            return false;
    return true;
}

/*
 * Maps the same memory by small pages, without those all zero if `drop_zero`: nobody
 * can write while there is no entry. Returns how many that were.
 */
static size_t huge_split(struct huge *h, bool drop_zero)
{
    uint64_t va = h->va;
    struct page *p = h->page;
    pte_t *table = (pte_t *)h, entry = paging_take_large(va) & ~(pte_t)PTE_LARGE;
    size_t dropped = 0;
    list_remove(&h->link);
    count--;
    page_split(p);
    for (unsigned i = 0; i < HUGE_PAGES; i++) {
        table[i] = entry + i * PAGE_SIZE;
        if (drop_zero && frame_is_zero(p + i)) {
            table[i] = 0;
            page_put(p + i);
            dropped++;
        }
    }
    paging_put_table(va, table);
    vm.resident -= dropped;
    return dropped;
}

void huge_split_at(uint64_t addr)
{
    const pte_t *e = addr % LARGE_SIZE ? paging_pte(addr, false) : NULL;
    if (e && *e & PTE_LARGE)
        huge_split(huge_of(page_of_paddr(*e & PTE_ADDR)), false);
}

bool huge_move(uint64_t from, uint64_t to)
{
    struct huge *h = huge_of(page_of_paddr(*paging_pte(from, false) & PTE_ADDR));
    void *table;
    if (to % LARGE_SIZE || !paging_set_large(to, 0, &table)) {
        huge_split(h, false);
        return false;
    }
    if (table)
        paging_table_free(table);
    pte_t entry = paging_take_large(from);
    *paging_pte(to, false) = entry;
    h->va = to;
    return true;
}

size_t huge_shrink(size_t wanted)
{
    size_t freed = 0;
    for (size_t left = count; left && freed < wanted; left--) {
        struct huge *h = LIST_ENTRY(list_pop_head(&all), struct huge, link);
        list_add_tail(&all, &h->link); /* the next call begins with others */
        bool zeroes = false;
        for (unsigned i = 0; i < HUGE_PAGES && !zeroes; i++)
            zeroes = frame_is_zero(h->page + i);
        if (zeroes && !(vma_find(h->va)->flags & VMA_LOCKED))
            freed += huge_split(h, true);
    }
    return freed;
}

/* What page_alloc() calls; the lock may be the caller's own. */
static size_t huge_reclaim(size_t wanted)
{
    if (!mutex_trylock(&vm.lock))
        return 0;
    size_t freed = huge_shrink(wanted);
    mutex_unlock(&vm.lock);
    return freed;
}

void huge_init(void)
{
    page_set_reclaim(RECLAIM_PROGRAM, huge_reclaim);
}

/* Takes over the content of a table: copies and frees its pages. */
static void collapse_fill(struct page *p, pte_t *table)
{
    char *to = page_address(p);
    for (unsigned i = 0; i < HUGE_PAGES; i++, to += PAGE_SIZE) {
        struct page *old = table[i] ? page_of_paddr(table[i] & PTE_ADDR) : NULL;
        if (old) {
            memcpy(to, page_address(old), PAGE_SIZE);
            page_put(old);
        } else {
            memset(to, 0, PAGE_SIZE);
        }
        vm.resident -= table[i] != 0;
    }
}

static int collapse_one(const struct vma *v, uint64_t va)
{
    const pte_t *e = paging_pte(va, false);
    if (e && *e & PTE_LARGE)
        return 0;
    if (table_unused(va))
        return -EINVAL;
    struct page *p = huge_alloc(va);
    if (!p)
        return -ENOMEM;
    pte_t *table = paging_take_table(va);
    collapse_fill(p, table);
    paging_table_free(table);
    huge_map(p, v->prot); /* nothing is there, and the tables above are */
    pages_count_resident(HUGE_PAGES);
    return 0;
}

int vm_collapse(uint64_t addr, uint64_t len)
{
    uint64_t start = ALIGN_UP(addr, LARGE_SIZE), end = addr + len, at = addr;
    int err = 0, hole = 0;
    mutex_lock(&vm.lock);
    for (struct vma *v = vma_find(addr); v && v->start < end && !err; v = vma_next(v)) {
        if (v->start > at)
            hole = -ENOMEM;
        at = v->end;
        if (!huge_eligible(v))
            err = -EINVAL;
        for (; start < end && start < v->end && !err; start += LARGE_SIZE)
            if (start >= v->start && start + LARGE_SIZE <= MIN(v->end, end))
                err = collapse_one(v, start);
    }
    mutex_unlock(&vm.lock);
    return err ? err : at < end ? -ENOMEM : hole;
}
