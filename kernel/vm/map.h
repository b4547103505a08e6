/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's address space: mappings in a tree by address. Locking: vm.lock
 * (a mutex) for everything; faults take it too. Nobody touches user memory
 * while holding it.
 */
#pragma once

#include "lib/rbtree.h"
#include "sched/mutex.h"
#include "vm/object.h"

enum {
    VMA_SHARED = 1,
    VMA_GROWSDOWN = 2,
    VMA_FIXED_PAGES = 4, /* vDSO: pages of the kernel's, put in place when mapped */
    VMA_HEAP = 8,        /* the brk area */
    VMA_STACK = 16,      /* the first thread's stack */
    VMA_VVAR = 32,
};

struct vma {
    struct rb_node node;
    uint64_t start, end;      /* page aligned, [start, end) */
    uint32_t prot;            /* PROT_* */
    uint32_t flags;           /* VMA_* */
    uint32_t max_prot;        /* what mprotect may give */
    struct vm_object *object; /* referenced; NULL: anonymous */
    uint64_t pgoff;           /* page of the object at `start` */
};

struct vm_space {
    struct mutex lock;
    struct rb_root root;
    uint64_t mmap_top;  /* mappings without address are made below */
    uint64_t mmap_hint; /* where the last search ended */
    uint64_t brk_start, brk;
    uint64_t stack_limit; /* bytes the stack may grow to (RLIMIT_STACK) */
    uint64_t mapped;      /* bytes in mappings */
    size_t resident;      /* pages present */
    size_t resident_max;
    unsigned count;
};

extern struct vm_space vm;

#define VM_MIN_ADDR 0x10000ull

void vm_init(uint64_t mmap_top);

/*
 * mmap(2): `flags` are MAP_*; *addr is the hint and receives the address. The
 * object (NULL: anonymous) gets a reference of its own; `max_prot` is what its
 * file's mode allows. Page-aligned `pgoff` in pages.
 */
int vm_map(uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags, uint32_t max_prot,
           struct vm_object *object, uint64_t pgoff);
/* As vm_map with MAP_FIXED for memory the kernel makes: VMA_* flags, anonymous. */
int vm_map_kernel(uint64_t addr, uint64_t len, uint32_t prot, uint32_t vma_flags);
/* Puts one frame of the kernel's into a VMA_FIXED_PAGES mapping. */
int vm_put_frame(uint64_t addr, paddr_t frame, uint32_t prot);
int vm_unmap(uint64_t addr, uint64_t len);
int vm_protect(uint64_t addr, uint64_t len, uint32_t prot);
/* mremap(2): *addr is the old address and receives the new one. */
int vm_remap(uint64_t *addr, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr);
/* Sets the break; the break that holds after the call (unchanged on failure). */
uint64_t vm_set_brk(uint64_t addr);
/* Drops the pages of [addr, addr + len): they read as zero or as the file again. */
int vm_discard(uint64_t addr, uint64_t len);
/* Touches every page, for writing where it is allowed and `write` is set: 0, -EFAULT, -ENOMEM. */
int vm_populate(uint64_t addr, uint64_t len, bool write);
/* 0 if every page of the range is mapped, else -ENOMEM. */
int vm_check_mapped(uint64_t addr, uint64_t len);
/* One byte a page: bit 0 tells whether it is resident (mincore). -ENOMEM for holes. */
int vm_resident(uint64_t addr, size_t pages, uint8_t *out);
/* The object lost its pages from..to-1 (truncation): no mapping shows them any more. */
void vm_forget_object(const struct vm_object *obj, uint64_t from, uint64_t to);
/* An unused range below `mmap_top`; 0 if there is none. Locked. */
uint64_t vm_find_gap(uint64_t len, uint64_t top);

/* With vm.lock held: the mapping that holds addr, or else the next above; NULL. */
struct vma *vma_find(uint64_t addr);
struct vma *vma_next(struct vma *v);
/* The mapping that holds addr as it is now: false if none. For reports. */
bool vm_lookup(uint64_t addr, struct vma *out);
