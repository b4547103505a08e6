/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPT parsing. Nothing on the disk is believed before its CRC32 and bounds hold;
 * the size of what is read is limited whatever the header says. Main struct:
 * gpt_header, as on disk. No lock: called once per disk at boot.
 */
#include "dev/gpt.h"

#include <errno.h>

#include "core/log.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define TABLE_BYTES_MAX (128u << 10)
#define ENTRY_BYTES_MIN 128u
#define ENTRY_BYTES_MAX 4096u
#define HEADER_BYTES    92u
#define MBR_TYPE        (446 + 4) /* of the first partition entry */
#define MBR_PROTECTIVE  0xee
#define SECTOR          512u

struct gpt_header {
    uint8_t signature[8];
    uint32_t revision, header_bytes, header_crc, reserved;
    uint64_t my_lba, other_lba, first_usable, last_usable;
    uint8_t disk_guid[16];
    uint64_t entries_lba;
    uint32_t entry_count, entry_bytes, entries_crc;
} __attribute__((packed));

struct gpt_entry {
    uint8_t type[16], guid[16];
    uint64_t first, last; /* blocks, inclusive */
    uint64_t attributes;
    uint16_t name[36];
} __attribute__((packed));

/* CRC-32 of IEEE 802.3, reflected, a nibble at a time. */
static uint32_t crc32(const uint8_t *p, size_t n)
{
    uint32_t table[16], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (unsigned bit = 0; bit < 4; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
    }
    while (n--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static bool signature_ok(const struct gpt_header *h)
{
    return !memcmp(h->signature, "EFI PART", 8);
}

/* Checks a header block in place; `lba` is where it was read. */
static bool header_ok(const struct blkdev *disk, struct gpt_header *h, uint64_t lba)
{
    uint64_t blocks = disk->sectors / (disk->block_size / SECTOR);
    if (!signature_ok(h) || h->header_bytes < HEADER_BYTES || h->header_bytes > disk->block_size)
        return false;
    uint32_t crc = h->header_crc;
    h->header_crc = 0;
    bool ok = crc32((const uint8_t *)h, h->header_bytes) == crc;
    h->header_crc = crc;
    if (!ok || h->my_lba != lba || h->first_usable > h->last_usable || h->last_usable >= blocks)
        return false;
    if (h->entry_bytes < ENTRY_BYTES_MIN || h->entry_bytes > ENTRY_BYTES_MAX || h->entry_bytes % 8)
        return false;
    uint64_t bytes = (uint64_t)h->entry_count * h->entry_bytes;
    uint64_t table_blocks = (bytes + disk->block_size - 1) / disk->block_size;
    return bytes && bytes <= TABLE_BYTES_MAX && h->entries_lba > 0 && h->entries_lba < blocks &&
           table_blocks <= blocks - h->entries_lba;
}

static void label_copy(char *label, const struct gpt_entry *e)
{
    unsigned i;
    for (i = 0; i < ARRAY_SIZE(e->name) && e->name[i]; i++)
        label[i] = e->name[i] >= 0x20 && e->name[i] < 0x7f ? (char)e->name[i] : '?';
    label[i] = '\0';
}

static bool entry_used(const struct gpt_header *h, const struct gpt_entry *e)
{
    static const uint8_t none[16];
    return memcmp(e->type, none, 16) && e->first >= h->first_usable && e->first <= e->last &&
           e->last <= h->last_usable;
}

static int entries_parse(const struct blkdev *disk, const struct gpt_header *h,
                         const uint8_t *table, struct gpt_partition **out, unsigned *count)
{
    unsigned n = 0, scale = disk->block_size / SECTOR;
    struct gpt_partition *p = kmalloc(GPT_PARTITIONS_MAX * sizeof *p);
    if (!p)
        return -ENOMEM;
    for (unsigned i = 0; i < h->entry_count && n < GPT_PARTITIONS_MAX; i++) {
        struct gpt_entry e;
        memcpy(&e, table + (size_t)i * h->entry_bytes, sizeof e);
        if (!entry_used(h, &e))
            continue;
        p[n].number = i + 1;
        p[n].start = e.first * scale;
        p[n].sectors = (e.last - e.first + 1) * scale;
        label_copy(p[n++].label, &e);
    }
    *out = p;
    *count = n;
    return 0;
}

/* Parses the copy whose header stands in `block`. -EIO if it is not sound. */
static int copy_parse(struct blkdev *disk, void *block, uint64_t lba, struct gpt_partition **out,
                      unsigned *count)
{
    struct gpt_header h;
    if (!header_ok(disk, block, lba))
        return -EIO;
    memcpy(&h, block, sizeof h);
    size_t bytes = (size_t)h.entry_count * h.entry_bytes;
    size_t rounded = ALIGN_UP(bytes, (size_t)disk->block_size);
    uint8_t *table = kmalloc(rounded);
    if (!table)
        return -ENOMEM;
    int err = blkdev_read(disk, h.entries_lba * disk->block_size, table, rounded);
    if (!err)
        err = crc32(table, bytes) == h.entries_crc ? entries_parse(disk, &h, table, out, count)
                                                   : -EIO;
    kfree(table);
    return err;
}

int gpt_read(struct blkdev *disk, struct gpt_partition **out, unsigned *count)
{
    uint32_t bs = disk->block_size;
    uint64_t blocks = disk->sectors / (bs / SECTOR);
    *out = NULL;
    *count = 0;
    if (blocks < 4)
        return 0;
    uint8_t *head = kmalloc(2 * bs); /* protective MBR and primary header */
    if (!head)
        return -ENOMEM;
    int err = blkdev_read(disk, 0, head, 2 * bs);
    bool has_table = head[MBR_TYPE] == MBR_PROTECTIVE && head[510] == 0x55 && head[511] == 0xaa;
    if (err || (!has_table && !signature_ok((void *)(head + bs))))
        goto out;
    err = copy_parse(disk, head + bs, 1, out, count);
    if (err == -EIO) {
        log_warn("%s: primary partition table is damaged, trying the backup", disk->name);
        err = blkdev_read(disk, (blocks - 1) * bs, head, bs);
        if (!err)
            err = copy_parse(disk, head, blocks - 1, out, count);
    }
out:
    kfree(head);
    return err;
}
