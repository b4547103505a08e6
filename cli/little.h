/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in the little-endian order of PC disks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline void put_le(void *to, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = (uint8_t)(v >> 8 * i);
}

static inline void put16(void *to, uint32_t v)
{
    put_le(to, v, 2);
}

static inline void put32(void *to, uint32_t v)
{
    put_le(to, v, 4);
}
