/* SPDX-License-Identifier: Apache-2.0 */
/* GUID partition table (UEFI 2.10 §5.3): primary, and the backup if that one is damaged. */
#pragma once

#include "dev/blkdev.h"

#define GPT_PARTITIONS_MAX 128

struct gpt_partition {
    unsigned number;         /* from 1: its place in the table */
    uint64_t start, sectors; /* in units of 512 bytes */
    char label[37];          /* ASCII; what is not becomes '?' */
};

/*
 * The disk's partitions in a kmalloc'ed array; none (0, no array) when it has
 * no table. The table may count in 512 bytes on a disk of larger blocks. Both checksums and all
 * bounds are verified. -EIO when it has a table and neither copy is sound, -ENOMEM. Sleeps.
 */
int gpt_read(struct blkdev *disk, struct gpt_partition **out, unsigned *count);
