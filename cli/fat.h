/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EFI system partition of a disk: a FAT16 filesystem with one file,
 * \EFI\BOOT\BOOTX64.EFI, which UEFI machines start by themselves. Only bytes in memory; all
 * times are FAT's first, 1980-01-01.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAT_BYTES ((size_t)4 << 20) /* least of what all readers take for FAT16, and some */
#define FAT_LABEL "OPS-EFI"

/* Fills `to`, FAT_BYTES zeroes; `first` is the sector of the disk where it will stand. False: the
 * program does not fit. */
bool fat_fill(uint8_t *to, uint64_t first, uint32_t serial, const void *program, size_t size);
