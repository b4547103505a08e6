/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address space. One page table for kernel and program:
 *
 *   0000000000001000..00007fffffffefff  the program
 *   ffff800000000000..                  direct map of physical memory (rw, nx)
 *   ffffc00000000000..                  kernel stacks with guard pages, device registers
 *   ffffffff80000000..                  the kernel image (linked at KERNEL_BASE + physical)
 */
#pragma once

#define KERNEL_BASE    0xffffffff80000000
#define DIRECT_MAP     0xffff800000000000
#define KERNEL_MAP     0xffffc00000000000
#define KERNEL_MAP_END 0xffffd00000000000
#define USER_END       0x00007ffffffff000 /* first address the program cannot have */

#ifndef __ASSEMBLER__
#include "lib/types.h"

static inline void *phys_to_virt(paddr_t p)
{
    return (void *)(p + DIRECT_MAP);
}

/* For addresses of the direct map and of the kernel image. */
static inline paddr_t virt_to_phys(const void *v)
{
    uint64_t a = (uint64_t)v;
    return a >= KERNEL_BASE ? a - KERNEL_BASE : a - DIRECT_MAP;
}
#endif
