/* SPDX-License-Identifier: Apache-2.0 */
/* Raw copies between kernel and user memory; the caller has checked the range (vm/uaccess.h). */
#pragma once

#include "lib/types.h"

/* Bytes that could not be copied because a page was not there: 0 is success. */
size_t usercopy(void *dst, const void *src, size_t n);
size_t userzero(void *dst, size_t n);
/* Bytes before the NUL, `max` if there is none in max bytes, -1 for a fault. */
long userstrncpy(char *dst, const void *src, size_t max);
/* Atomic compare-and-exchange of a 32-bit word: 0 and the old value, or -1 for a fault. */
int usercmpxchg32(void *p, uint32_t expected, uint32_t desired, uint32_t *old);
/*
 * XSAVE, XRSTOR and FXSAVE (which takes no mask) of the live state; `area` is aligned to
 * 64 bytes. 0, or -1 for a fault; a load also faults for reserved bits (SDM vol. 1 §13.8.1).
 */
int userxsave(void *area, uint64_t mask);
int userxrstor(const void *area, uint64_t mask);
int userfxsave(void *area, uint64_t mask);
/* One 32-bit load: 0, or -1 for a fault. Never sleeps when pagefault is disabled by the caller. */
int userload32(const void *p, uint32_t *out);
