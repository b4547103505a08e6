/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C by the instruction of SSE4.2, which works on general registers. */
#pragma once

#include "arch/x86_64/features.h"

/* Continues *crc over n bytes (crc.h's convention); false where the CPU cannot. */
static inline bool cpu_crc32c(uint32_t *crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t c = *crc;
    if (!cpu_has(CPU_CRC32))
        return false;
    for (; n >= 8; n -= 8, p += 8)
        __asm__("crc32q %1, %0" : "+r"(c) : "m"(*(const uint64_t *)p));
    for (; n; n--, p++)
        __asm__("crc32b %1, %0" : "+r"(c) : "m"(*p));
    *crc = (uint32_t)c;
    return true;
}
