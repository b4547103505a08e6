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

/* A table on a disk. Its blocks may be smaller than the disk's: an image for disks, on a CD. */
struct gpt {
    struct blkdev *disk;
    uint32_t unit; /* bytes of its blocks */
    uint64_t blocks;
};

static struct gpt gpt_of(struct blkdev *disk, uint32_t unit)
{
    return (struct gpt){disk, unit, disk->sectors / (unit / SECTOR)};
}

/* Reads any bytes: whole blocks of the disk around them go through memory of their own. */
static int bytes_read(struct blkdev *disk, uint64_t off, void *to, size_t n)
{
    uint64_t block = disk->block_size, start = ALIGN_DOWN(off, block);
    size_t whole = ALIGN_UP(off + n, block) - start;
    uint8_t *buf = kmalloc(whole);
    int err = buf ? blkdev_read(disk, start, buf, whole) : -ENOMEM;
    if (!err)
        memcpy(to, buf + (off - start), n);
    kfree(buf);
    return err;
}

/* Checks a header block in place; `lba` is where it was read. */
static bool header_ok(const struct gpt *t, struct gpt_header *h, uint64_t lba)
{
    if (!signature_ok(h) || h->header_bytes < HEADER_BYTES || h->header_bytes > t->unit)
        return false;
    uint32_t crc = h->header_crc;
    h->header_crc = 0;
    bool ok = crc32((const uint8_t *)h, h->header_bytes) == crc;
    h->header_crc = crc;
    if (!ok || h->my_lba != lba || h->first_usable > h->last_usable || h->last_usable >= t->blocks)
        return false;
    if (h->entry_bytes < ENTRY_BYTES_MIN || h->entry_bytes > ENTRY_BYTES_MAX || h->entry_bytes % 8)
        return false;
    uint64_t bytes = (uint64_t)h->entry_count * h->entry_bytes;
    uint64_t table_blocks = (bytes + t->unit - 1) / t->unit;
    return bytes && bytes <= TABLE_BYTES_MAX && h->entries_lba > 0 && h->entries_lba < t->blocks &&
           table_blocks <= t->blocks - h->entries_lba;
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

/* A partition of whole blocks of the disk. */
static bool partition_fill(const struct gpt *t, struct gpt_partition *p, const struct gpt_entry *e)
{
    uint64_t scale = t->unit / SECTOR, per_block = t->disk->block_size / SECTOR;
    p->start = e->first * scale;
    p->sectors = ALIGN_DOWN((e->last - e->first + 1) * scale, per_block);
    label_copy(p->label, e);
    if (p->start % per_block == 0 && p->sectors)
        return true;
    log_warn("%s: partition \"%s\" does not begin with a block", t->disk->name, p->label);
    return false;
}

static int entries_parse(const struct gpt *t, const struct gpt_header *h, const uint8_t *table,
                         struct gpt_partition **out, unsigned *count)
{
    unsigned n = 0;
    struct gpt_partition *p = kmalloc(GPT_PARTITIONS_MAX * sizeof *p);
    if (!p)
        return -ENOMEM;
    for (unsigned i = 0; i < h->entry_count && n < GPT_PARTITIONS_MAX; i++) {
        struct gpt_entry e;
        memcpy(&e, table + (size_t)i * h->entry_bytes, sizeof e);
        p[n].number = i + 1;
        if (entry_used(h, &e) && partition_fill(t, &p[n], &e))
            n++;
    }
    *out = p;
    *count = n;
    return 0;
}

/* Parses the copy whose header stands in `block`. -EIO if it is not sound. */
static int copy_parse(const struct gpt *t, void *block, uint64_t lba, struct gpt_partition **out,
                      unsigned *count)
{
    struct gpt_header h;
    if (!header_ok(t, block, lba))
        return -EIO;
    memcpy(&h, block, sizeof h);
    size_t bytes = (size_t)h.entry_count * h.entry_bytes;
    uint8_t *table = kmalloc(bytes);
    if (!table)
        return -ENOMEM;
    int err = bytes_read(t->disk, h.entries_lba * t->unit, table, bytes);
    if (!err)
        err = crc32(table, bytes) == h.entries_crc ? entries_parse(t, &h, table, out, count) : -EIO;
    kfree(table);
    return err;
}

static int backup_parse(const struct gpt *t, uint8_t *block, struct gpt_partition **out,
                        unsigned *count)
{
    int err = bytes_read(t->disk, (t->blocks - 1) * t->unit, block, t->unit);
    return err ? err : copy_parse(t, block, t->blocks - 1, out, count);
}

int gpt_read(struct blkdev *disk, struct gpt_partition **out, unsigned *count)
{
    uint32_t bs = disk->block_size;
    struct gpt t = gpt_of(disk, bs);
    *out = NULL;
    *count = 0;
    if (t.blocks < 4)
        return 0;
    uint8_t *head = kmalloc(2 * bs); /* protective MBR and primary header */
    if (!head)
        return -ENOMEM;
    int err = blkdev_read(disk, 0, head, 2 * bs);
    bool has_table = head[MBR_TYPE] == MBR_PROTECTIVE && head[510] == 0x55 && head[511] == 0xaa;
    if (!err && bs != SECTOR && !signature_ok((void *)(head + bs)) &&
        signature_ok((void *)(head + SECTOR)))
        t = gpt_of(disk, SECTOR);
    if (err || (!has_table && !signature_ok((void *)(head + t.unit))))
        goto out;
    err = copy_parse(&t, head + t.unit, 1, out, count);
    if (err == -EIO) {
        log_warn("%s: primary partition table is damaged, trying the backup", disk->name);
        err = backup_parse(&t, head, out, count);
        t = gpt_of(disk, SECTOR);
        if (err == -EIO && bs != SECTOR)
            err = backup_parse(&t, head, out, count);
    }
out:
    kfree(head);
    return err;
}
