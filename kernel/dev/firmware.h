/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for tables that a PC firmware leaves in low memory, by signature and checksum. */
#pragma once

#include "lib/types.h"

/* The bytes add up to 0 modulo 256. */
bool firmware_checksum_ok(const void *p, size_t n);
/*
 * Address of the first 16-byte aligned place in the BIOS areas (extended BIOS
 * data, last KiB of base memory, 0xf0000..0xfffff) that `match` accepts, with
 * `n` readable bytes; 0 if there is none.
 */
paddr_t firmware_scan(bool (*match)(const void *p), size_t n, paddr_t mapped_end);
