/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's address space as data: mappings in a tree by address, and what
 * they add up to. Everything here runs with vm.lock (a mutex) held; faults take
 * it too. Nobody touches user memory while holding it.
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
    VMA_NORESERVE = 64, /* MAP_NORESERVE: overcommit is not asked about it */
    VMA_LOCKED = 128,   /* mlock */
    VMA_DONTDUMP = 256, /* left out of a core file */
    VMA_HUGE = 512,     /* MADV_HUGEPAGE */
    VMA_NOHUGE = 1024,  /* MADV_NOHUGEPAGE */
};

struct vma {
    struct rb_node node;
    uint64_t start, end;      /* page aligned, [start, end) */
    uint64_t gap, gap_max;    /* free bytes below `start`; greatest of these in the subtree */
    uint32_t prot;            /* PROT_* */
    uint32_t flags;           /* VMA_* */
    uint32_t max_prot;        /* what mprotect may give */
    struct vm_object *object; /* referenced; NULL: anonymous */
    struct list object_link;  /* in object->mappings while in the tree */
    uint64_t pgoff;           /* page of the object at `start` */
};

struct vm_space {
    struct mutex lock;
    struct rb_root root;
    uint64_t mmap_top; /* mappings without address are made below */
    uint64_t brk_start, brk;
    uint64_t stack_limit, as_limit, data_limit; /* RLIMIT_STACK, _AS, _DATA, bytes */
    uint64_t mapped, mapped_max;                /* bytes in mappings */
    uint64_t data;                              /* of these private and writable, no stacks */
    uint64_t locked;                            /* of these with VMA_LOCKED */
    size_t resident;                            /* pages present */
    size_t resident_max;
    uint64_t faults; /* resolved so far */
    unsigned count;
    uint32_t future_flags; /* VMA_LOCKED after mlockall(MCL_FUTURE) */
    bool future_populate;  /* and without MCL_ONFAULT */
    bool huge_disabled;    /* PR_SET_THP_DISABLE */
};

extern struct vm_space vm;

#define VM_MIN_ADDR    0x10000ull
#define VMA_COUNT_MAX  65530u /* as Linux' vm.max_map_count */
#define VM_STACK_GUARD (256 * PAGE_SIZE)

/* The mapping that holds addr, or else the next above; NULL. */
struct vma *vma_find(uint64_t addr);
struct vma *vma_next(struct vma *v);
struct vma *vma_prev(struct vma *v);

/* A mapping that is not in the tree yet; max_prot is everything. NULL: no memory. */
struct vma *vma_create(uint64_t start, uint64_t len, uint32_t prot, uint32_t flags);
void vma_insert(struct vma *v);
/* Takes it out, puts its object and frees it. */
void vma_delete(struct vma *v);
/* New borders or attributes of one that is in the tree; borders must not pass a neighbour's. */
void vma_resize(struct vma *v, uint64_t start, uint64_t end);
void vma_change(struct vma *v, uint32_t prot, uint32_t flags);
/* Makes borders at both ends of the range. -ENOMEM. */
int vma_split_range(uint64_t start, uint64_t end);
/* Joins `v` with its neighbours where they differ in nothing; returns what holds it now. */
struct vma *vma_merge(struct vma *v);

/* Page of the object (0 without) at an address of the mapping. */
uint64_t vma_pgoff_at(const struct vma *v, uint64_t addr);
bool vma_range_free(uint64_t start, uint64_t end);
/* Bytes of [start, end) that are mapped. */
uint64_t vma_range_mapped(uint64_t start, uint64_t end);
/* Lowest address that the mapping keeps others away from: a stack's guard gap counts. */
uint64_t vma_floor(const struct vma *v);
/* Highest unused range of len bytes that ends at or below `top`; 0 if there is none. */
uint64_t vma_find_gap(uint64_t len, uint64_t top);
/* True when RLIMIT_AS and RLIMIT_DATA allow `len` more bytes of such a mapping. */
bool vma_may_expand(uint64_t len, uint32_t prot, uint32_t flags);
