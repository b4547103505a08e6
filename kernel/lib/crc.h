/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of ext4 and GPT. No locking; the tables are built at first use. */
#pragma once

#include "lib/types.h"

/* CRC-32C (Castagnoli), reflected, no final inversion: crc = crc32c(crc, ...). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* CRC-16 (ANSI, polynomial 0x8005 reflected). */
uint16_t crc16(uint16_t crc, const void *data, size_t n);
