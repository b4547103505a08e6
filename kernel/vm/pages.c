/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table entries of the program and their references: see pages.h. */
#include "vm/pages.h"

#include <asm/mman.h>
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "core/panic.h"
#include "mem/page.h"
#include "vm/huge.h"

#define BATCH 64

static uint8_t zero_frame[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

bool pages_is_zero(pte_t pte)
{
    return (pte & (PTE_ADDR | PTE_LARGE)) == virt_to_phys(zero_frame);
}

pte_t pages_prot(uint32_t prot, bool writable)
{
    if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return PTE_NONE;
    return PTE_PRESENT | PTE_USER | PTE_ACCESSED | (prot & PROT_WRITE && writable ? PTE_WRITE : 0) |
           (prot & PROT_EXEC ? 0 : PTE_NX);
}

void pages_count_resident(size_t n)
{
    vm.resident += n;
    vm.resident_max = MAX(vm.resident_max, vm.resident);
}

int pages_map(uint64_t va, struct page *p, uint32_t prot, bool writable)
{
    pte_t *pte = paging_pte(va, true);
    if (!pte || *pte) {
        page_put(p);
        return pte ? 0 : -ENOMEM;
    }
    *pte = page_paddr(p) | pages_prot(prot, writable);
    pages_count_resident(1);
    return 0;
}

/* Entries from va's on in its table. */
static unsigned table_room(uint64_t va)
{
    return (unsigned)((LARGE_SIZE - va % LARGE_SIZE) >> PAGE_SHIFT);
}

int pages_fill(uint64_t va, unsigned count, uint32_t prot)
{
    pte_t *pte = paging_pte(va, true), bits = pages_prot(prot, true);
    if (!pte)
        return -ENOMEM;
    count = MIN(count, table_room(va));
    for (unsigned i = 0; i < count && !pte[i]; i++) {
        struct page *p = page_alloc_zero(0);
        if (!p)
            break;
        pte[i] = page_paddr(p) | bits;
        pages_count_resident(1);
    }
    return pte[0] ? 0 : -ENOMEM;
}

int pages_fill_zero(uint64_t va, unsigned count, uint32_t prot)
{
    pte_t *pte = paging_pte(va, true), entry = virt_to_phys(zero_frame) | pages_prot(prot, false);
    if (!pte)
        return -ENOMEM;
    count = MIN(count, table_room(va));
    for (unsigned i = 0; i < count && !pte[i]; i++) {
        pte[i] = entry;
        pages_count_resident(1);
    }
    return 0;
}

int pages_unzero(uint64_t va, unsigned count, uint32_t prot)
{
    pte_t *pte = paging_pte(va, false), bits = pages_prot(prot, true);
    unsigned i = 0;
    count = MIN(count, table_room(va));
    for (; i < count && pages_is_zero(pte[i]); i++) {
        struct page *p = page_alloc_zero(0);
        if (!p)
            break;
        pte[i] = page_paddr(p) | bits;
    }
    tlb_flush_range(va, va + i * PAGE_SIZE);
    return i ? 0 : -ENOMEM;
}

unsigned pages_run_below(uint64_t va, unsigned max, bool writable)
{
    const pte_t wanted = PTE_PRESENT | (writable ? PTE_WRITE : 0);
    const pte_t *pte = va ? paging_pte(va - PAGE_SIZE, false) : NULL;
    unsigned n = 0, room = pte ? (unsigned)((va - PAGE_SIZE) % LARGE_SIZE >> PAGE_SHIFT) + 1 : 0;
    if (pte && *pte & PTE_LARGE)
        return (*pte & wanted) == wanted ? MIN(max, room) : 0;
    while (n < MIN(max, room) && (*(pte - n) & wanted) == wanted)
        n++;
    return n;
}

int pages_put_frame(uint64_t va, paddr_t frame, uint32_t prot)
{
    pte_t *pte = paging_pte(va, true);
    if (!pte)
        return -ENOMEM;
    if (!*pte) {
        *pte = frame | pages_prot(prot, false);
        pages_count_resident(1);
    }
    return 0;
}

void pages_replace(uint64_t va, pte_t *pte, struct page *p, uint32_t prot)
{
    struct page *old = page_of_paddr(*pte & PTE_ADDR);
    *pte = page_paddr(p) | pages_prot(prot, true);
    tlb_flush_range(va, va + PAGE_SIZE);
    if (old)
        page_put(old);
}

/* Entries taken out: their pages are freed only after no CPU can reach them. */
struct batch {
    uint64_t first, last; /* addresses that may be in a TLB */
    struct list own;      /* pages of nobody else's, chained by `link` */
    unsigned count;
    struct page *page[BATCH]; /* the others */
};

static void batch_init(struct batch *b)
{
    b->first = UINT64_MAX;
    b->last = 0;
    b->count = 0;
    list_init(&b->own);
}

static void batch_flush(struct batch *b)
{
    if (b->last > b->first)
        tlb_flush_range(b->first, b->last);
    for (unsigned i = 0; i < b->count; i++)
        page_put(b->page[i]);
    for (struct list *l; (l = list_pop_head(&b->own));)
        page_put(LIST_ENTRY(l, struct page, link));
    batch_init(b);
}

static void drop_one(uint64_t va, pte_t *pte, void *arg)
{
    struct batch *b = arg;
    struct page *p = page_of_paddr(*pte & PTE_ADDR);
    uint64_t size = *pte & PTE_LARGE ? LARGE_SIZE : PAGE_SIZE;
    if (*pte & PTE_PRESENT) {
        b->first = MIN(b->first, va);
        b->last = MAX(b->last, va + size);
    }
    if (*pte & PTE_LARGE)
        huge_forget(p);
    *pte = 0;
    vm.resident -= size >> PAGE_SHIFT;
    if (p && !p->owner && __atomic_load_n(&p->refs, __ATOMIC_RELAXED) == 1)
        list_add_tail(&b->own, &p->link);
    else if (p)
        b->page[b->count++] = p;
    if (b->count == BATCH)
        batch_flush(b);
}

static void drop_file_one(uint64_t va, pte_t *pte, void *arg)
{
    const struct page *p = page_of_paddr(*pte & PTE_ADDR);
    if (p && (p->owner || p->flags & PAGE_GONE))
        drop_one(va, pte, arg);
}

static void nothing(uint64_t va, pte_t *pte, void *arg)
{
    (void)va;
    (void)pte;
    (void)arg;
}

void pages_drop(uint64_t start, uint64_t end, bool prune)
{
    struct batch b;
    batch_init(&b);
    huge_split_at(start);
    huge_split_at(end);
    paging_walk(start, end, drop_one, &b, false);
    batch_flush(&b);
    if (prune && end - start >= LARGE_SIZE)
        paging_walk(start, end, nothing, NULL, true);
}

void pages_drop_file(uint64_t start, uint64_t end)
{
    struct batch b;
    batch_init(&b);
    paging_walk(start, end, drop_file_one, &b, false);
    batch_flush(&b);
}

struct protect {
    uint32_t prot;
    bool shared, flush;
};

static void protect_one(uint64_t va, pte_t *pte, void *arg)
{
    struct protect *p = arg;
    (void)va;
    const struct page *page = page_of_paddr(*pte & PTE_ADDR);
    /* A page of the cache in a private mapping, and the zero page, are copied when written. */
    bool own = page && page_is_own(page);
    pte_t new = (*pte & (PTE_ADDR | PTE_LARGE)) | pages_prot(p->prot, p->shared || own);
    if (*pte & PTE_PRESENT && new != *pte)
        p->flush = true;
    *pte = new;
}

void pages_protect(uint64_t start, uint64_t end, uint32_t prot, bool shared)
{
    struct protect p = {prot, shared, false};
    paging_walk(start, end, protect_one, &p, false);
    if (p.flush)
        tlb_flush_range(start, end);
}

int pages_move(uint64_t from, uint64_t to, uint64_t len)
{
    int err = 0;
    huge_split_at(from);
    huge_split_at(from + len);
    for (uint64_t off = 0; off < len && !err; off += PAGE_SIZE) {
        pte_t *old = paging_pte(from + off, false);
        bool whole = old && *old & PTE_LARGE;
        if (!old || (whole && huge_move(from + off, to + off))) { /* on to the next table */
            off = ALIGN_UP(from + off + 1, LARGE_SIZE) - from - PAGE_SIZE;
            continue;
        }
        if (whole)
            old = paging_pte(from + off, false);
        if (!*old)
            continue;
        pte_t *new = paging_pte(to + off, true);
        if (!new) {
            err = -ENOMEM;
            break;
        }
        *new = *old;
        *old = 0;
    }
    tlb_flush_range(from, from + len);
    return err;
}

bool pages_present(uint64_t va)
{
    const pte_t *pte = paging_pte(va, false);
    return pte && *pte;
}

void *pages_own(uint64_t va)
{
    const pte_t *pte = paging_pte(va, false);
    const struct page *p = pte ? page_of_paddr(*pte & PTE_ADDR) : NULL;
    return p && page_is_own(p) ? phys_to_virt(paging_frame(pte, va)) : NULL;
}
