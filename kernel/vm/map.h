/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap, munmap, mprotect and brk over the tree of vma.h. All take vm.lock
 * themselves and may sleep; addresses and lengths are page aligned.
 */
#pragma once

#include "arch/x86_64/paging.h"
#include "vm/vma.h"

void vm_init(uint64_t mmap_top);

/*
 * mmap(2): `flags` are MAP_*; *addr is the hint and receives the address. The
 * object (NULL: anonymous) gets a reference of its own; `max_prot` is what its
 * file's mode allows. `pgoff` in pages.
 */
int vm_map(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags, uint32_t max_prot,
           struct vm_object *object, uint64_t pgoff);
/* As vm_map with MAP_FIXED for memory the kernel makes: VMA_* flags, anonymous. */
int vm_map_kernel(uint64_t addr, uint64_t len, uint32_t prot, uint32_t vma_flags);
/* Puts one frame of the kernel's into a VMA_FIXED_PAGES mapping. */
int vm_put_frame(uint64_t addr, paddr_t frame, uint32_t prot);
int vm_unmap(uint64_t addr, uint64_t len);
/* `prot` may contain PROT_GROWSDOWN: from the start of the stack that holds addr. */
int vm_protect(uint64_t addr, uint64_t len, uint32_t prot);
/* Sets the break; the break that holds after the call (unchanged on failure). */
uint64_t vm_set_brk(uint64_t addr);
/* Linux' heuristic overcommit: more memory at once than the machine has is refused. */
bool vm_overcommits(uint64_t len);
/*
 * No mapping shows the object's pages from..to-1 any more: because it ends before them now
 * (private copies go too), or has a hole there (these stay). To be called before the pages
 * leave the cache, and after, for those that were mapped in between.
 */
void vm_forget_object(const struct vm_object *obj, uint64_t from, uint64_t to);
void vm_forget_hole(const struct vm_object *obj, uint64_t from, uint64_t to);
/* Shared mappings of the object's pages from..to-1 become read-only: writes are heard of again. */
void vm_protect_object(const struct vm_object *obj, uint64_t from, uint64_t to);
/* True if a shared mapping may change, or may be made to change, the object. */
bool vm_object_writable(const struct vm_object *obj);
/* True if anything maps it. */
bool vm_object_mapped(const struct vm_object *obj);
/* The mapping that holds addr as it is now: false if none. For reports. */
bool vm_lookup(uint64_t addr, struct vma *out);

/* munmap with vm.lock held; for the rest of vm/. */
int vm_unmap_locked(uint64_t start, uint64_t end);
