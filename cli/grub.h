/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB: for BIOS machines its boot sector and a core image with the modules and
 * commands that load our kernel, both ready for the disk; for UEFI machines the same as one
 * program. grub-mkimage makes the
 * core; nothing is installed and nothing runs as root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define GRUB_SECTOR 512u

struct grub {
    uint8_t boot[GRUB_SECTOR]; /* bytes 0 to 439 are code, the rest is the partition table's */
    struct buf core;           /* whole sectors */
    struct buf cd;             /* for a CD-ROM's BIOS */
    struct buf efi;            /* x86-64 */
};

struct grub_request {
    uint64_t first;     /* the sector of the core image */
    unsigned partition; /* whose files are loaded (1, 2, ...), of the disk it is booted from */
    bool cd;            /* make `cd`, too */
    /* For Secure Boot: files in PEM that sign the program for UEFI machines (NULL: it is not
     * signed), and the archive (tar) with kernel and manifest that it then carries within itself.
     */
    const char *key, *certificate;
    const struct buf *carried;
};

/* Freed with grub_free(), also after a failure. Errors: GRUB or sbsign is not installed. */
bool grub_make(struct grub *g, const struct grub_request *r, struct err *err);
void grub_free(struct grub *g);
