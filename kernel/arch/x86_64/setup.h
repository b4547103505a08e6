/* SPDX-License-Identifier: Apache-2.0 */
/* Per-CPU blocks beyond the boot CPU's, which is static. */
#pragma once

#include "lib/types.h"

/* Makes the block (percpu, TSS, GDT, interrupt stacks) of a CPU to be started; NULL: no memory. */
void *cpu_block_create(unsigned id);
