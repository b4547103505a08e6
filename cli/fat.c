/* SPDX-License-Identifier: Apache-2.0 */
/* The EFI system partition: see fat.h. (Microsoft's FAT specification 1.03.) */
#include "fat.h"

#include <string.h>

#include "little.h"

#define SECTOR      512u
#define SECTORS     ((uint32_t)(FAT_BYTES / SECTOR))
#define RESERVED    4u
#define FAT_SECTORS 32u /* for 8192 clusters, one of which is a sector */
#define ROOT_SLOTS  512u
#define SLOT        32u
#define ROOT_START  (RESERVED + 2 * FAT_SECTORS)
#define DATA_START  (ROOT_START + ROOT_SLOTS * SLOT / SECTOR)
#define LAST        0xffffu
#define DATE        0x21 /* 1980-01-01 */

enum { ATTR_VOLUME = 0x08, ATTR_DIR = 0x10, ATTR_FILE = 0x20 };
enum { CLUSTER_EFI = 2, CLUSTER_BOOT, CLUSTER_PROGRAM };

static uint8_t *cluster_at(uint8_t *to, uint32_t cluster)
{
    return to + (size_t)(DATA_START + cluster - 2) * SECTOR;
}

/* `name`: eleven characters, padded with spaces. */
static void slot_fill(uint8_t *slot, const char *name, uint8_t attributes, uint32_t cluster,
                      uint32_t size)
{
    memcpy(slot, name, 11);
    slot[11] = attributes;
    put16(slot + 16, DATE); /* made, */
    put16(slot + 18, DATE); /* read */
    put16(slot + 24, DATE); /* and written */
    put16(slot + 26, cluster);
    put32(slot + 28, size);
}

/* A directory that holds itself, its parent (0: the root) and one more. */
static void dir_fill(uint8_t *to, uint32_t self, uint32_t parent)
{
    uint8_t *slots = cluster_at(to, self);
    slot_fill(slots, ".          ", ATTR_DIR, self, 0);
    slot_fill(slots + SLOT, "..         ", ATTR_DIR, parent, 0);
}

static void boot_fill(uint8_t *boot, uint64_t first, uint32_t serial)
{
    static const uint8_t jump[] = {0xeb, 0x3c, 0x90};
    memcpy(boot, jump, sizeof jump);
    memcpy(boot + 3, "ops     ", 8);
    put16(boot + 11, SECTOR);
    boot[13] = 1; /* sectors of a cluster */
    put16(boot + 14, RESERVED);
    boot[16] = 2; /* tables */
    put16(boot + 17, ROOT_SLOTS);
    put16(boot + 19, SECTORS);
    boot[21] = 0xf8; /* a fixed disk */
    put16(boot + 22, FAT_SECTORS);
    put16(boot + 24, 32); /* geometry: 32 sectors, 2 heads */
    put16(boot + 26, 2);
    put32(boot + 28, (uint32_t)first);
    boot[36] = 0x80;
    boot[38] = 0x29; /* serial number, label and kind follow */
    put32(boot + 39, serial);
    memcpy(boot + 43, FAT_LABEL "    ", 11);
    memcpy(boot + 54, "FAT16   ", 8);
    boot[62] = 0xeb; /* started by a BIOS it stays where it is */
    boot[63] = 0xfe;
    boot[510] = 0x55;
    boot[511] = 0xaa;
}

bool fat_fill(uint8_t *to, uint64_t first, uint32_t serial, const void *program, size_t size)
{
    uint32_t count = (uint32_t)((size + SECTOR - 1) / SECTOR);
    uint8_t *fat = to + (size_t)RESERVED * SECTOR;
    if (size == 0 || size > (size_t)(SECTORS - DATA_START - 2) * SECTOR)
        return false;
    boot_fill(to, first, serial);
    put16(fat, 0xfff8);
    put16(fat + 2, LAST);
    put16(fat + (size_t)2 * CLUSTER_EFI, LAST);
    put16(fat + (size_t)2 * CLUSTER_BOOT, LAST);
    for (uint32_t i = 0; i < count; i++)
        put16(fat + (size_t)2 * (CLUSTER_PROGRAM + i),
              i + 1 < count ? CLUSTER_PROGRAM + i + 1 : LAST);
    memcpy(fat + (size_t)FAT_SECTORS * SECTOR, fat, (size_t)FAT_SECTORS * SECTOR);
    uint8_t *root = to + (size_t)ROOT_START * SECTOR;
    slot_fill(root, FAT_LABEL "    ", ATTR_VOLUME, 0, 0);
    slot_fill(root + SLOT, "EFI        ", ATTR_DIR, CLUSTER_EFI, 0);
    dir_fill(to, CLUSTER_EFI, 0);
    slot_fill(cluster_at(to, CLUSTER_EFI) + (size_t)2 * SLOT, "BOOT       ", ATTR_DIR, CLUSTER_BOOT,
              0);
    dir_fill(to, CLUSTER_BOOT, CLUSTER_EFI);
    slot_fill(cluster_at(to, CLUSTER_BOOT) + (size_t)2 * SLOT, "BOOTX64 EFI", ATTR_FILE,
              CLUSTER_PROGRAM, (uint32_t)size);
    memcpy(cluster_at(to, CLUSTER_PROGRAM), program, size);
    return true;
}
