/* SPDX-License-Identifier: Apache-2.0 */
/* GUID partition tables: see gpt_table.h. */
#include "gpt_table.h"

#include <string.h>

#define GPT_ENTRIES    128u
#define GPT_ENTRY_SIZE 128u
#define GPT_HEADER     92u

static const uint8_t gpt_types[][16] = {
    /* 21686148-6449-6E6F-744E-656564454649 */
    [GPT_BIOS_BOOT] = {0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64,
                       0x45, 0x46, 0x49},
    /* C12A7328-F81F-11D2-BA4B-00A0C93EC93B */
    [GPT_EFI] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e,
                 0xc9, 0x3b},
    /* 0FC63DAF-8483-4772-8E79-3D69D8477DE4 */
    [GPT_LINUX] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8,
                   0x47, 0x7d, 0xe4},
    /* 8DA63339-0007-60C0-C436-083AC8230908: reserved, no filesystem */
    [GPT_RESERVED] = {0x39, 0x33, 0xa6, 0x8d, 0x07, 0x00, 0xc0, 0x60, 0xc4, 0x36, 0x08, 0x3a, 0xc8,
                      0x23, 0x09, 0x08},
};

static void put32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static void put64(uint8_t *to, uint64_t v)
{
    put32(to, (uint32_t)v);
    put32(to + 4, (uint32_t)(v >> 32));
}

/* CRC-32 of IEEE 802.3, as GPT wants it. */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

void gpt_id_stamp(uint8_t id[16])
{
    id[7] = (uint8_t)((id[7] & 0x0f) | 0x40); /* the third field is little-endian */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static void entries_fill(uint8_t *to, const struct gpt_partition *parts, size_t count)
{
    memset(to, 0, GPT_ENTRIES * GPT_ENTRY_SIZE);
    for (size_t i = 0; i < count; i++) {
        uint8_t *e = to + i * GPT_ENTRY_SIZE;
        memcpy(e, gpt_types[parts[i].type], 16);
        memcpy(e + 16, parts[i].id, 16);
        put64(e + 32, parts[i].first);
        put64(e + 40, parts[i].last);
        for (size_t c = 0; c < 36 && parts[i].name[c]; c++)
            e[56 + 2 * c] = (uint8_t)parts[i].name[c];
    }
}

static void header_fill(uint8_t *to, uint64_t self, uint64_t other, uint64_t entries,
                        uint64_t sectors, const uint8_t disk_id[16], uint32_t entries_crc)
{
    memset(to, 0, GPT_SECTOR);
    memcpy(to, "EFI PART", 8);
    put32(to + 8, 0x10000); /* revision 1.0 */
    put32(to + 12, GPT_HEADER);
    put64(to + 24, self);
    put64(to + 32, other);
    put64(to + 40, GPT_HEAD_SECTORS);
    put64(to + 48, sectors - GPT_TAIL_SECTORS - 1);
    memcpy(to + 56, disk_id, 16);
    put64(to + 72, entries);
    put32(to + 80, GPT_ENTRIES);
    put32(to + 84, GPT_ENTRY_SIZE);
    put32(to + 88, entries_crc);
    put32(to + 16, crc32_of(to, GPT_HEADER));
}

/* One partition of type 0xEE over the whole disk, so that old tools leave it alone. */
static void protective_fill(uint8_t *mbr, uint64_t sectors)
{
    uint8_t *e = mbr + 446;
    memset(mbr + 440, 0, GPT_SECTOR - 440);
    e[2] = 2; /* starts at cylinder 0, head 0, sector 2 */
    e[4] = 0xee;
    memset(e + 5, 0xff, 3);
    put32(e + 8, 1);
    put32(e + 12, sectors - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(sectors - 1));
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
}

void gpt_fill(uint8_t *head, uint8_t *tail, uint64_t sectors, const uint8_t disk_id[16],
              const struct gpt_partition *parts, size_t count)
{
    const size_t size = (size_t)GPT_ENTRIES * GPT_ENTRY_SIZE;
    protective_fill(head, sectors);
    entries_fill(head + 2 * GPT_SECTOR, parts, count);
    memcpy(tail, head + 2 * GPT_SECTOR, size);
    uint32_t crc = crc32_of(tail, size);
    header_fill(head + GPT_SECTOR, 1, sectors - 1, 2, sectors, disk_id, crc);
    header_fill(tail + size, sectors - 1, 1, sectors - GPT_TAIL_SECTORS, sectors, disk_id, crc);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | from[i];
    return v;
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)(from[0] | from[1] << 8 | from[2] << 16) | (uint32_t)from[3] << 24;
}

/* Is the header `h` sound, that says its entries stand at sector `at`, and so are they? */
static bool table_sound(const uint8_t *h, const uint8_t *entries, uint64_t at)
{
    uint8_t copy[GPT_HEADER];
    if (memcmp(h, "EFI PART", 8) != 0 || get32(h + 12) != GPT_HEADER || get64(h + 72) != at ||
        get32(h + 80) != GPT_ENTRIES || get32(h + 84) != GPT_ENTRY_SIZE)
        return false;
    memcpy(copy, h, sizeof copy);
    put32(copy + 16, 0);
    return crc32_of(copy, sizeof copy) == get32(h + 16) &&
           crc32_of(entries, GPT_ENTRIES * GPT_ENTRY_SIZE) == get32(h + 88);
}

bool gpt_present(const uint8_t *head)
{
    return table_sound(head + GPT_SECTOR, head + 2 * GPT_SECTOR, 2);
}

bool gpt_marked(const uint8_t *head)
{
    return memcmp(head + GPT_SECTOR, "EFI PART", 8) == 0 || head[450] == 0xee;
}

uint64_t gpt_sectors(const uint8_t *head)
{
    return get64(head + GPT_SECTOR + 32) + 1;
}

bool gpt_backup_present(const uint8_t *tail, uint64_t sectors)
{
    return table_sound(tail + (size_t)GPT_ENTRIES * GPT_ENTRY_SIZE, tail,
                       sectors - GPT_TAIL_SECTORS);
}

static enum gpt_type type_of(const uint8_t id[16])
{
    for (int t = 0; t < GPT_OTHER; t++)
        if (memcmp(id, gpt_types[t], 16) == 0)
            return (enum gpt_type)t;
    return GPT_OTHER;
}

/* One entry; false: it is empty, or not within the disk. */
static bool entry_read(const uint8_t *e, uint64_t sectors, struct gpt_partition *part,
                       char name[37])
{
    static const uint8_t none[16];
    *part = (struct gpt_partition){
        .type = type_of(e), .first = get64(e + 32), .last = get64(e + 40), .name = name};
    if (memcmp(e, none, 16) == 0 || part->first > part->last || part->first < GPT_HEAD_SECTORS ||
        part->last >= sectors)
        return false;
    memcpy(part->id, e + 16, 16);
    memset(name, 0, 37);
    for (size_t c = 0; c < 36; c++)
        name[c] = (char)(e[57 + 2 * c] || e[56 + 2 * c] > 126 ? '?' : e[56 + 2 * c]);
    return true;
}

size_t gpt_read(const uint8_t *head, uint64_t sectors, struct gpt_partition *parts,
                char (*names)[37], size_t limit, uint8_t disk_id[16])
{
    size_t count = 0;
    memcpy(disk_id, head + GPT_SECTOR + 56, 16);
    for (size_t i = 0; i < GPT_ENTRIES && count < limit; i++)
        count += entry_read(head + 2 * GPT_SECTOR + i * GPT_ENTRY_SIZE, sectors, &parts[count],
                            names[count]);
    return count;
}

bool gpt_find(const uint8_t *head, uint64_t sectors, const char *name, struct gpt_partition *part)
{
    char found[37];
    for (size_t i = 0; i < GPT_ENTRIES; i++) {
        if (entry_read(head + 2 * GPT_SECTOR + i * GPT_ENTRY_SIZE, sectors, part, found) &&
            strcmp(found, name) == 0) {
            part->name = NULL;
            return true;
        }
    }
    return false;
}
