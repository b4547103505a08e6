/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CD-ROM in front of a disk: ISO 9660 (ECMA-119) and El Torito records in the gap between a
 * GPT and the first partition, so that one file is a disk and a bootable CD. Its directory
 * shows what firmware starts: the image for BIOS machines, which stands in the gap too, and the
 * EFI system partition. Only bytes in memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define ISO_START  ((size_t)32 << 10) /* where the records begin on the disk */
#define ISO_END    ((size_t)1 << 20)  /* where the first partition begins */
#define ISO_VOLUME "OPS"

struct iso {
    const struct buf *core; /* GRUB for a CD-ROM's BIOS, as grub-mkimage makes it */
    uint64_t efi, efi_size; /* of the EFI system partition; bytes, whole sectors of 2048 */
    uint64_t size;          /* of the disk; bytes */
};

/* Fills `to`, ISO_END - ISO_START zeroes. False: the core does not fit. */
bool iso_fill(uint8_t *to, const struct iso *iso);
