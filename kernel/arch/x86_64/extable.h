/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of the kernel that may fault, and where to go on then. */
#pragma once

#include "lib/types.h"

/* The address to continue at, or 0 if a fault at `rip` is a bug. */
uint64_t extable_find(uint64_t rip);
