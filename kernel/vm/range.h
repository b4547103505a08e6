/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What madvise, mlock and mincore do with a range of mappings. All take vm.lock
 * and may sleep; ranges are page aligned. -ENOMEM: part of the range is not mapped.
 */
#pragma once

#include "lib/types.h"

enum discard {
    DISCARD_NEEDED, /* MADV_DONTNEED; -EINVAL for locked memory */
    DISCARD_LOCKED, /* MADV_DONTNEED_LOCKED: that too */
    DISCARD_FREE,   /* MADV_FREE: private anonymous memory only, else -EINVAL */
};

/* Drops the pages: they read as zero or as the file again. Goes on after a hole. */
int vm_discard(uint64_t addr, uint64_t len, enum discard how);
/*
 * MADV_REMOVE: makes a hole of the range in what is mapped shared there, and writable. -EINVAL
 * (locked, no object), -EACCES (not shared or not writable), or what the object answers.
 */
int vm_punch(uint64_t addr, uint64_t len);
/* msync(2) with its flags, checked: goes on after a hole. -EBUSY: MS_INVALIDATE of locked memory.
 */
int vm_sync(uint64_t addr, uint64_t len, uint32_t flags);
/* Sets and clears VMA_* flags of the mappings in the range; `len` may reach to the end of space. */
int vm_change_flags(uint64_t addr, uint64_t len, uint32_t set, uint32_t clear);
/* Locks every mapping; with `populate` what may be touched is brought in, as far as that goes. */
void vm_lock_all(bool populate);
/* For advice that changes nothing: -EINVAL if a mapping has one of the flags `never`, or an
 * object where the advice is for `anonymous` memory. */
int vm_check_hint(uint64_t addr, uint64_t len, uint32_t never, bool anonymous);
/* Bytes of a range that are in memory. */
struct vm_usage {
    uint64_t resident;
    uint64_t anonymous; /* of these the program's own, not a file's */
    uint64_t dirty;     /* of these may have been written */
    uint64_t huge;      /* of these in 2 MiB pages */
};
void vm_usage(uint64_t start, uint64_t end, struct vm_usage *out);
/* Bytes of the first thread's stack. */
uint64_t vm_stack_size(void);
/* One byte a page: 1 if it is in memory (mincore). */
int vm_resident(uint64_t addr, size_t pages, uint8_t *out);

enum populate {
    POPULATE_READ,
    POPULATE_WRITE,
    POPULATE_ALLOWED, /* private writable memory for writing, the rest for reading */
};

/*
 * Touches every page: 0, -ENOMEM (hole, or no memory), -EINVAL (the access is
 * not allowed), -EFAULT (beyond the end of a file, unreadable).
 */
int vm_populate(uint64_t addr, uint64_t len, enum populate how);
