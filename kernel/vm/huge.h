/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2 MiB pages of private anonymous memory. A fault makes one where nothing of the
 * 2 MiB is mapped and a mapping holds all of it, if the program advised it or
 * writes page after page: then at least half as much lies right below, so what is
 * never written stays less than twice what is. Whatever changes only a part splits
 * it; the table for that comes with the page, so splitting never fails. When memory
 * runs out, parts that hold only zeroes are given back.
 * Everything here runs with vm.lock held. No mapping ends within such a page.
 */
#pragma once

#include "arch/x86_64/paging.h"
#include "vm/vma.h"

struct page;

#define HUGE_PAGES (LARGE_SIZE >> PAGE_SHIFT) /* small pages in one */

/* May this mapping have 2 MiB pages at all? */
bool huge_eligible(const struct vma *v);
/* True if a write to va shall make one; `ahead`: pages that will be needed from va on, 0: unknown.
 */
bool huge_wanted(const struct vma *v, uint64_t va, unsigned ahead);
/*
 * Makes one around va. Lets go of vm.lock while it is filled: 0 means that the access
 * is to be tried again. -ENOMEM: no block is free; vm.lock was held throughout.
 */
int huge_make(uint64_t va);
/* Makes small pages of the one that addr cuts, if there is one. */
void huge_split_at(uint64_t addr);
/* Moves the whole page at `from` to `to`, both aligned; false if it cannot stay whole. */
bool huge_move(uint64_t from, uint64_t to);
/* Its entry is gone from every CPU, or about to go: off the books. Then page_put(). */
void huge_forget(struct page *p);
/* Splits pages and frees the small ones that are all zero; how many, about `wanted`. */
size_t huge_shrink(size_t wanted);
/* Bytes in such pages now. */
uint64_t huge_bytes(void);
void huge_init(void);

/*
 * madvise(MADV_COLLAPSE), takes vm.lock: one page of many, for the 2 MiB that lie wholly in
 * the range. -EINVAL (not possible for such a mapping, or nothing there), -ENOMEM.
 */
int vm_collapse(uint64_t addr, uint64_t len);
