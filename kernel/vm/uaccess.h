/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to the program's memory. A user address is a `struct uptr`, which
 * cannot be dereferenced by accident; only these functions touch user memory.
 * All may sleep (page faults) and answer -EFAULT for memory that is not there.
 */
#pragma once

#include "arch/x86_64/layout.h"
#include "lib/types.h"

struct uptr {
    uint64_t addr;
};

static inline bool uptr_null(struct uptr p)
{
    return p.addr == 0;
}

static inline struct uptr uptr_add(struct uptr p, uint64_t n)
{
    return (struct uptr){p.addr + n};
}

/* 0 or -EFAULT; on failure part may have been copied. */
int copy_from_user(void *dst, struct uptr src, size_t n);
int copy_to_user(struct uptr dst, const void *src, size_t n);
int zero_user(struct uptr dst, size_t n);
/* Copies a terminated string of at most max - 1 bytes: its length, -EFAULT, or -ENAMETOOLONG. */
ssize_t string_from_user(char *dst, struct uptr src, size_t max);
/* True when the whole range lies in user space (it need not be mapped). */
static inline bool user_range_ok(struct uptr p, size_t n)
{
    return p.addr < USER_END && n <= USER_END - p.addr;
}
