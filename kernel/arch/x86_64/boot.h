/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the boot loader told us, the same for PVH and multiboot2. Filled by
 * boot.c before the kernel's own page tables are up; addresses are physical.
 */
#pragma once

#include "lib/types.h"

enum boot_loader { BOOT_PVH, BOOT_MULTIBOOT2 };

struct boot_range {
    paddr_t start, end; /* [start, end) */
};

/* A screen in text mode: two bytes for each character, `pitch` for a row. */
struct boot_screen {
    paddr_t address; /* 0: there is none */
    uint32_t pitch, columns, rows;
};

#define BOOT_RANGES  64
#define BOOT_MODULES 4

struct boot_info {
    enum boot_loader loader;
    unsigned range_count; /* usable RAM, the kernel and modules not yet taken out */
    struct boot_range range[BOOT_RANGES];
    unsigned module_count;
    struct boot_range module[BOOT_MODULES]; /* module 0 is the manifest */
    paddr_t rsdp;                           /* ACPI root pointer, 0 if none */
    struct boot_screen screen;
    char cmdline[1024]; /* terminated; cut if longer */
};

extern struct boot_info boot_info;

/* The value after `name=` on the command line, terminated in buf; false if it is not there. */
bool boot_option(const char *name, char *buf, size_t n);
/*
 * The n-th (from 0) occurrence, for options that repeat
 * (`virtio_mmio.device=512@0xfeb00e00:12`).
 */
bool boot_option_nth(const char *name, unsigned nth, char *buf, size_t n);
