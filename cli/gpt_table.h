/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GUID partition tables (UEFI 2.10 §5) for disks of 512-byte sectors, with the
 * protective MBR. Only bytes in memory: the caller writes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPT_SECTOR       512u
#define GPT_HEAD_SECTORS 34u   /* MBR, header, 128 entries */
#define GPT_TAIL_SECTORS 33u   /* 128 entries, header */
#define GPT_ALIGN        2048u /* sectors: partitions start at whole MiB */

enum gpt_type { GPT_BIOS_BOOT, GPT_EFI, GPT_LINUX, GPT_RESERVED, GPT_OTHER };

struct gpt_partition {
    enum gpt_type type;
    uint8_t id[16];
    uint64_t first, last; /* sectors, inclusive */
    const char *name;     /* ASCII, at most 36 characters */
};

/*
 * Fills the tables of a disk of `sectors` sectors. `head` is its first
 * GPT_HEAD_SECTORS; of its first sector only what follows byte 440 is written,
 * so that boot code can stand before. `tail` is its last GPT_TAIL_SECTORS.
 */
void gpt_fill(uint8_t *head, uint8_t *tail, uint64_t sectors, const uint8_t disk_id[16],
              const struct gpt_partition *parts, size_t count);

/* Makes 16 bytes look like a version 4 GUID in GPT's byte order. */
void gpt_id_stamp(uint8_t id[16]);

/* Does the head of a disk hold a GPT whose checksums are right? */
bool gpt_present(const uint8_t *head);

/* Has it the mark of one, damaged or not? */
bool gpt_marked(const uint8_t *head);

/* How many sectors its disk has, by the place of the second table. */
uint64_t gpt_sectors(const uint8_t *head);

/* Does the tail of a disk of `sectors` sectors hold the second table, with right checksums? */
bool gpt_backup_present(const uint8_t *tail, uint64_t sectors);

/* The partitions of a disk of `sectors` sectors; at most `limit`. Names are put into `names`.
 * Returns how many there are. */
size_t gpt_read(const uint8_t *head, uint64_t sectors, struct gpt_partition *parts,
                char (*names)[37], size_t limit, uint8_t disk_id[16]);

/* The one named `name`, without its name; false: none, or it does not lie within the disk. */
bool gpt_find(const uint8_t *head, uint64_t sectors, const char *name, struct gpt_partition *part);
