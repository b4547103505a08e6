/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2). */
#pragma once

#include "lib/types.h"

/*
 * *addr is the old address and receives the new one; `flags` are MREMAP_*. The
 * caller has checked alignment and, for MREMAP_FIXED, that the ranges do not overlap.
 */
int vm_remap(uint64_t *addr, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr);
