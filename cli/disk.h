/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw disk of `ops build` (include/ops/image.h): GPT, GRUB for BIOS and UEFI, a boot
 * partition with kernel and manifest, the root partition. Equal inputs give equal
 * bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "tree.h"

struct disk_content {
    const struct tree *root;
    uint64_t root_size; /* bytes; 0: by need */
    uint64_t align;     /* the disk's size is a multiple of it, whole MiB; 0: one */
    const char *kernel; /* host file */
    const struct buf *manifest;
    bool cd; /* the disk is a bootable CD-ROM as well (iso.h) */
    /* Files in PEM, to sign for Secure Boot what UEFI machines start; NULL: it is not signed. */
    const char *efi_key, *efi_certificate;
};

/* Writes the disk into an empty file, which messages call `shown`. */
bool disk_write(int fd, const char *shown, const struct disk_content *content, struct err *err);
