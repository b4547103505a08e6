/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in: "physical" memory is what the test says it is. */
#pragma once

#include "lib/types.h"

#define USER_END 0x00007ffffffff000

extern char *fake_phys_base; /* host address of physical address 0 */
static inline void *phys_to_virt(paddr_t p)
{
    return fake_phys_base + p;
}
static inline paddr_t virt_to_phys(const void *v)
{
    return (paddr_t)((const char *)v - fake_phys_base);
}
