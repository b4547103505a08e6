/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of firmware tables and the scan of the BIOS areas. No state, no lock. */
#include "dev/firmware.h"

#include "arch/x86_64/layout.h"
#include "lib/string.h"

#define EBDA_SEGMENT  0x40e /* the BIOS data area's word: segment of the extended one */
#define EBDA_BYTES    1024
#define BASE_LAST_KIB 0x9fc00
#define ROM_START     0xf0000
#define ROM_END       0x100000

bool firmware_checksum_ok(const void *p, size_t n)
{
    uint8_t sum = 0;
    for (const uint8_t *b = p; n--; b++)
        sum = (uint8_t)(sum + *b);
    return sum == 0;
}

static paddr_t area_scan(paddr_t start, paddr_t end, bool (*match)(const void *p), size_t n)
{
    for (paddr_t pa = ALIGN_UP(start, 16); pa + n <= end; pa += 16)
        if (match(phys_to_virt(pa)))
            return pa;
    return 0;
}

paddr_t firmware_scan(bool (*match)(const void *p), size_t n, paddr_t mapped_end)
{
    uint16_t segment;
    if (mapped_end < ROM_END)
        return 0;
    memcpy(&segment, phys_to_virt(EBDA_SEGMENT), sizeof segment);
    paddr_t ebda = (paddr_t)segment << 4, found = 0;
    if (ebda >= PAGE_SIZE && ebda + EBDA_BYTES <= 0xa0000)
        found = area_scan(ebda, ebda + EBDA_BYTES, match, n);
    if (!found)
        found = area_scan(BASE_LAST_KIB, BASE_LAST_KIB + 1024, match, n);
    return found ? found : area_scan(ROM_START, ROM_END, match, n);
}
