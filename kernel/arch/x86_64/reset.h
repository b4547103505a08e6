/* SPDX-License-Identifier: Apache-2.0 */
/* The last resort to restart or end the machine: a fault that cannot be delivered. */
#pragma once

#include "lib/types.h"

/* Triple fault: the machine resets (QEMU with -no-reboot ends). */
static inline void cpu_triple_fault(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}
