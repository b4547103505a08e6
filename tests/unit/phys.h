/* SPDX-License-Identifier: Apache-2.0 */
/* "Physical" memory for tests of the page allocator: filled with garbage, as after a warm reset. */
#pragma once

#include <stdlib.h>

#include "arch/x86_64/layout.h"
#include "mem/page.h"

#define PHYS_SIZE (32ul << 20)

static inline void phys_create(void)
{
    fake_phys_base = aligned_alloc(4ul << 20, PHYS_SIZE);
    for (size_t i = 0; i < PHYS_SIZE; i++)
        fake_phys_base[i] = (char)(i * 31 + 0xff);
    page_add_range(0x3000, 0x9f000); /* odd borders */
    page_add_range(1ul << 20, PHYS_SIZE);
}
