/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages behind mappings: entries of the page table and the references they
 * hold. Everything here runs with vm.lock held. A frame without a descriptor
 * (the zero page, the kernel's own) is mapped without a reference.
 */
#pragma once

#include "arch/x86_64/paging.h"
#include "lib/types.h"
#include "mem/page.h"

/* The program's own memory: of no file, and never was. */
static inline bool page_is_own(const struct page *p)
{
    return !p->owner && !(p->flags & PAGE_GONE);
}

/* Entry bits for PROT_*; `writable` false keeps even a PROT_WRITE page read-only (copy on write).
 */
pte_t pages_prot(uint32_t prot, bool writable);
/* Maps a page, whose reference passes to the entry; an entry made meanwhile wins. -ENOMEM. */
int pages_map(uint64_t va, struct page *p, uint32_t prot, bool writable);
/*
 * Maps zeroed pages at va and behind it, `count` at most, while the entries are
 * empty and in one table. -ENOMEM when not even the first could be made.
 */
int pages_fill(uint64_t va, unsigned count, uint32_t prot);
/* How many pages right below va are present, or writable, up to `max`; looks into one table only.
 */
unsigned pages_run_below(uint64_t va, unsigned max, bool writable);
/* Maps a frame that has no descriptor. */
int pages_put_frame(uint64_t va, paddr_t frame, uint32_t prot);
/*
 * Maps the frame that is all zeroes, for reads of untouched anonymous memory, at va and
 * behind it as pages_fill() does; and gives such entries pages of their own again.
 */
int pages_fill_zero(uint64_t va, unsigned count, uint32_t prot);
int pages_unzero(uint64_t va, unsigned count, uint32_t prot);
/* True if the entry maps that frame. */
bool pages_is_zero(pte_t pte);
/* Replaces the frame of a present entry by `p` (reference taken over), writable. */
void pages_replace(uint64_t va, pte_t *pte, struct page *p, uint32_t prot);
/* Takes every page of the range out; `prune` also frees empty page tables. */
void pages_drop(uint64_t start, uint64_t end, bool prune);
/* The same for pages of files alone: copies that the program owns stay. */
void pages_drop_file(uint64_t start, uint64_t end);
/* New protection for present pages; a private page that may be shared stays read-only. */
void pages_protect(uint64_t start, uint64_t end, uint32_t prot, bool shared);
/* Moves the entries of len bytes; -ENOMEM when a table is missing (some have moved). */
int pages_move(uint64_t from, uint64_t to, uint64_t len);
bool pages_present(uint64_t va);
/* The memory at va where that is the program's own, of no file; else NULL. */
void *pages_own(uint64_t va);
/* So many pages more are present. */
void pages_count_resident(size_t n);
