/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that the loader has left in memory, for machines without a disk that the kernel knows. */
#pragma once

#include "lib/types.h"

/*
 * Registers `size` bytes at `start` as ram0, ram1, ...: whole sectors of 512 bytes, writable, kept
 * until the power goes. Nothing if there is no sector. Sleeps. 0 or -errno.
 */
int ramdisk_register(paddr_t start, size_t size);
