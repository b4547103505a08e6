/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660 and El Torito records: see iso.h. (ECMA-119; El Torito 1.0; UEFI 2.10 §13.3.2.) */
#include "iso.h"

#include <string.h>

#include "little.h"

#define SECTOR    2048u
#define LOAD_SIZE 4 /* sectors of 512 bytes that a BIOS loads: cdboot.img, which loads the rest */

/* Where things stand: sectors of the disk. */
enum {
    AT_PRIMARY = ISO_START / SECTOR,
    AT_BOOT,
    AT_END,
    AT_PATHS,
    AT_PATHS_BE,
    AT_ROOT,
    AT_CATALOG,
    AT_CORE
};

enum { PLATFORM_BIOS = 0, PLATFORM_EFI = 0xef };
enum { CATALOG_HEADER = 1, CATALOG_BOOTABLE = 0x88, CATALOG_LAST_SECTION = 0x91 };
enum { RECORD_DIR = 2 };

static void put32_be(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Both byte orders, one behind the other. */
static void put16_both(uint8_t *to, uint32_t v)
{
    put16(to, v);
    to[2] = (uint8_t)(v >> 8);
    to[3] = (uint8_t)v;
}

static void put32_both(uint8_t *to, uint32_t v)
{
    put32(to, v);
    put32_be(to + 4, v);
}

static uint8_t *sector_at(uint8_t *to, uint32_t sector)
{
    return to + (size_t)(sector - AT_PRIMARY) * SECTOR;
}

/* One record of a directory; its length. Dated 1980-01-01, as the EFI system partition is. */
static size_t record_put(uint8_t *to, const char *name, size_t length, uint32_t at, uint32_t size,
                         uint8_t flags)
{
    static const uint8_t date[] = {80, 1, 1};
    size_t n = (33 + length + 1) & ~(size_t)1;
    to[0] = (uint8_t)n;
    put32_both(to + 2, at);
    put32_both(to + 10, size);
    memcpy(to + 18, date, sizeof date);
    to[25] = flags;
    put16_both(to + 28, 1);
    to[32] = (uint8_t)length;
    memcpy(to + 33, name, length);
    return n;
}

static void descriptor_begin(uint8_t *to, uint8_t type)
{
    to[0] = type;
    memcpy(to + 1, "CD001", 5);
    to[6] = 1;
}

static void primary_put(uint8_t *to, const struct iso *iso)
{
    descriptor_begin(to, 1);
    memset(to + 8, ' ', 64);
    memcpy(to + 40, ISO_VOLUME, strlen(ISO_VOLUME));
    put32_both(to + 80, (uint32_t)(iso->size / SECTOR));
    put16_both(to + 120, 1);
    put16_both(to + 124, 1);
    put16_both(to + 128, SECTOR);
    put32_both(to + 132, 10); /* size of a path table */
    put32(to + 140, AT_PATHS);
    put32_be(to + 148, AT_PATHS_BE);
    record_put(to + 156, "", 1, AT_ROOT, SECTOR, RECORD_DIR);
    memset(to + 190, ' ', 813 - 190); /* who made it, and files that say more */
    for (int i = 0; i < 4; i++)
        memset(to + 813 + 17 * i, '0', 16); /* no dates */
    to[881] = 1;
}

/* Tells the boot image where it stands, as cdboot.img wants it. */
static void core_put(uint8_t *to, const struct buf *core)
{
    uint32_t sum = 0;
    memcpy(to, core->data, core->size);
    for (size_t i = 64; i < core->size; i++)
        sum += (uint32_t)to[i] << 8 * (i % 4);
    put32(to + 8, AT_PRIMARY);
    put32(to + 12, AT_CORE);
    put32(to + 16, (uint32_t)core->size);
    put32(to + 20, sum);
    memset(to + 24, 0, 40);
}

static void entry_put(uint8_t *to, uint64_t sectors, uint32_t at)
{
    to[0] = CATALOG_BOOTABLE;
    put16(to + 6, (uint32_t)sectors); /* of 512 bytes */
    put32(to + 8, at);
}

static void catalog_put(uint8_t *to, const struct iso *iso)
{
    uint32_t sum = 0;
    to[0] = CATALOG_HEADER;
    to[1] = PLATFORM_BIOS;
    memcpy(to + 4, "ops", 3);
    to[30] = 0x55;
    to[31] = 0xaa;
    for (int i = 0; i < 32; i += 2)
        sum += (uint32_t)(to[i] | to[i + 1] << 8);
    put16(to + 28, 0x10000 - (sum & 0xffff)); /* the words' sum becomes 0 */
    entry_put(to + 32, LOAD_SIZE, AT_CORE);
    to[64] = CATALOG_LAST_SECTION;
    to[65] = PLATFORM_EFI;
    put16(to + 66, 1);
    entry_put(to + 96, iso->efi_size / 512, (uint32_t)(iso->efi / SECTOR));
}

static void root_put(uint8_t *to, const struct iso *iso)
{
    const struct {
        const char *name;
        size_t length;
        uint32_t at;
        uint64_t size;
    } files[] = {{"", 1, AT_ROOT, SECTOR},   /* itself */
                 {"\1", 1, AT_ROOT, SECTOR}, /* and what is above */
                 {"BIOS.IMG;1", 10, AT_CORE, iso->core->size},
                 {"BOOT.CAT;1", 10, AT_CATALOG, SECTOR},
                 {"EFI.IMG;1", 9, (uint32_t)(iso->efi / SECTOR), iso->efi_size}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        to += record_put(to, files[i].name, files[i].length, files[i].at, (uint32_t)files[i].size,
                         i < 2 ? RECORD_DIR : 0);
}

bool iso_fill(uint8_t *to, const struct iso *iso)
{
    if (iso->core->size < 64 || iso->core->size > ISO_END - (size_t)AT_CORE * SECTOR)
        return false;
    primary_put(to, iso);
    uint8_t *boot = sector_at(to, AT_BOOT);
    descriptor_begin(boot, 0);
    memcpy(boot + 7, "EL TORITO SPECIFICATION", 23);
    put32(boot + 71, AT_CATALOG);
    descriptor_begin(sector_at(to, AT_END), 255);
    uint8_t *paths = sector_at(to, AT_PATHS), *paths_be = sector_at(to, AT_PATHS_BE);
    paths[0] = paths_be[0] = 1; /* length of the root's name, which is a zero */
    put32(paths + 2, AT_ROOT);
    put32_be(paths_be + 2, AT_ROOT);
    paths[6] = paths_be[7] = 1; /* its parent is itself */
    root_put(sector_at(to, AT_ROOT), iso);
    catalog_put(sector_at(to, AT_CATALOG), iso);
    core_put(sector_at(to, AT_CORE), iso->core);
    return true;
}
