/* SPDX-License-Identifier: Apache-2.0 */
/* Per-CPU blocks (the boot CPU's is static) and stacks. */
#pragma once

#include "lib/types.h"

/* Gives a CPU its interrupt stacks (IST), each with a guard page; false: no memory. */
bool cpu_map_stacks(unsigned id);
/* Leaves the current stack for another one and calls fn, which must not return. */
_Noreturn void cpu_run_on(void *stack_top, void (*fn)(void));
/* Makes the block (percpu, TSS, GDT, interrupt stacks) of a CPU to be started; NULL: no memory. */
void *cpu_block_create(unsigned id);
