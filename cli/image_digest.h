/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk held when it was built: the file OPS_DIGESTS_PATH of its boot partition.
 * Text, a line each:
 *   kernel=SHA-256    of the kernel
 *   manifest=SHA-256  of the manifest
 *   loader=SHA-256    of what stands between partition table and boot partition
 *   root=SHA-256      of the root partition; both as image_digest_range() computes it
 *   efi=signed        what UEFI machines load is in the program with the signature
 * The kernel does not read it: GRUB compares the checksums of the packed files, the manifest
 * has its seal, ext4 its own checksums.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "digest.h"
#include "err.h"

#define IMAGE_LOADER                                                                               \
    ((uint64_t)32 << 10) /* where the loader begins: behind the partition table                    \
                          */

struct image_digests {
    unsigned char kernel[DIGEST_SIZE], manifest[DIGEST_SIZE], loader[DIGEST_SIZE],
        root[DIGEST_SIZE];
    bool efi_signed;
};

void image_digests_write(const struct image_digests *d, struct buf *to);

/* False: a line is missing or none of these. */
bool image_digests_read(struct image_digests *d, const char *text);

/* SHA-256 of the range's size and of all its 64 KiB blocks that are not zero, each behind its
 * offset (both 64 bits, little-endian): holes cost nothing. False: errno says why. */
bool image_digest_range(int fd, uint64_t offset, uint64_t size, unsigned char digest[DIGEST_SIZE]);
