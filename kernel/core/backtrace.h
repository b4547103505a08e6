/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel symbols and stack walks. */
#pragma once

#include "lib/types.h"

/* The function that holds `addr` and the offset into it; NULL outside the kernel's text. */
const char *symbol_find(uint64_t addr, uint64_t *offset);
/* Return addresses from frame pointer `rbp` up, at most `max`: how many. Reads kernel memory only.
 */
unsigned backtrace(uint64_t rbp, uint64_t *out, unsigned max);
