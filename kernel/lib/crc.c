/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C by the CPU's instruction, else by slicing 4 bytes at a time; CRC-16 by bytes. The tables
 * are computed at first use; two CPUs doing so at once write the same values.
 */
#include "lib/crc.h"

#include "arch/x86_64/crc32.h"
#include "lib/string.h"

#define CRC32C_POLY 0x82f63b78u
#define CRC16_POLY  0xa001u

static uint32_t crc32c_table[4][256];
static uint16_t crc16_table[256];
static volatile bool crc_ready;

static void crc_build(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;
        uint16_t d = (uint16_t)i;
        for (int bit = 0; bit < 8; bit++) {
            c = (c >> 1) ^ (c & 1 ? CRC32C_POLY : 0);
            d = (uint16_t)((d >> 1) ^ (d & 1 ? CRC16_POLY : 0));
        }
        crc32c_table[0][i] = c;
        crc16_table[i] = d;
    }
    for (unsigned t = 1; t < 4; t++)
        for (unsigned i = 0; i < 256; i++) {
            uint32_t c = crc32c_table[t - 1][i];
            crc32c_table[t][i] = (c >> 8) ^ crc32c_table[0][c & 0xff];
        }
    __atomic_store_n(&crc_ready, true, __ATOMIC_RELEASE);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    if (cpu_crc32c(&crc, data, n))
        return crc;
    if (!__atomic_load_n(&crc_ready, __ATOMIC_ACQUIRE))
        crc_build();
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        crc ^= word;
        crc = crc32c_table[3][crc & 0xff] ^ crc32c_table[2][(crc >> 8) & 0xff] ^
              crc32c_table[1][(crc >> 16) & 0xff] ^ crc32c_table[0][crc >> 24];
    }
    while (n--)
        crc = (crc >> 8) ^ crc32c_table[0][(crc ^ *p++) & 0xff];
    return crc;
}

uint16_t crc16(uint16_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    if (!__atomic_load_n(&crc_ready, __ATOMIC_ACQUIRE))
        crc_build();
    while (n--)
        crc = (uint16_t)((crc >> 8) ^ crc16_table[(crc ^ *p++) & 0xff]);
    return crc;
}
