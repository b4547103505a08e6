/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables. There is one; the kernel half never changes its top level, so
 * every CPU sees it. Callers serialise changes to the same range (the address
 * space's lock does for the user half).
 */
#pragma once

#include "lib/types.h"

typedef uint64_t pte_t;

#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITE    (1ull << 1)
#define PTE_USER     (1ull << 2)
#define PTE_PWT      (1ull << 3)
#define PTE_PCD      (1ull << 4)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_LARGE    (1ull << 7) /* maps 2 MiB (in the kernel half also 1 GiB) */
#define PTE_GLOBAL   (1ull << 8)
#define PTE_NONE     (1ull << 9) /* ours: the page is kept but nobody may touch it (PROT_NONE) */
#define PTE_NX       (1ull << 63)
#define PTE_ADDR     0x000ffffffffff000ull

#define LARGE_SIZE (2ul << 20) /* what one last-level table, or one PTE_LARGE entry, maps */

/*
 * The last-level entry for a page, or the PTE_LARGE entry that maps it; `create`
 * makes missing tables (NULL: out of memory).
 */
pte_t *paging_pte(uint64_t va, bool create);
/* The frame behind an entry of paging_pte() for that very address. */
paddr_t paging_frame(const pte_t *pte, uint64_t va);
/*
 * Makes one entry map all 2 MiB around va. A table that was there must be empty and
 * passes to the caller in *table (else NULL), no CPU's caches hold it any more.
 * False, nothing changed: out of memory, or something is mapped there.
 */
bool paging_set_large(uint64_t va, pte_t entry, void **table);
/* Takes the 2 MiB entry for va out; no CPU reaches its memory after. The entry. */
pte_t paging_take_large(uint64_t va);
/* Takes out the table for va, which exists; the same holds, so its entries stand still. */
pte_t *paging_take_table(uint64_t va);
/* Puts a table where paging_take_large() or paging_take_table() left nothing. */
void paging_put_table(uint64_t va, void *table);
/*
 * Calls fn for each last-level or PTE_LARGE entry that is not empty in [start, end),
 * skipping holes, also for large ones that reach beyond; then frees user tables that
 * became empty when `prune` is set.
 */
void paging_walk(uint64_t start, uint64_t end, void (*fn)(uint64_t va, pte_t *pte, void *arg),
                 void *arg, bool prune);

/* Maps device registers, uncached, read-write; NULL when out of memory. Never unmapped. */
void *paging_map_device(paddr_t pa, size_t size);
/* A kernel stack of `pages` pages with an unmapped page below it: its top, or NULL. */
void *paging_map_stack(unsigned pages);

/* The interrupt side of tlb_flush_range(), for apic.c. */
void tlb_interrupt(void);

/*
 * Drops stale translations of [start, end) on this CPU, and on every other that
 * may use them: a CPU without a thread is left alone and drops all of its own when
 * it gets one.
 */
void tlb_flush_range(uint64_t start, uint64_t end);
/* For the scheduler: this CPU has no thread to run, or has one again. Interrupts are off. */
void tlb_idle_begin(void);
void tlb_idle_end(void);
/* Final protections: kernel text r-x, rodata r--, the rest rw- nx; boot mappings gone. */
void paging_init(void);
