/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (FIPS 180-4): only for lists of files that must hold it, never to trust anything. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

struct sha1 {
    uint32_t state[5];
    uint64_t size;
    unsigned char block[64];
};

void sha1_begin(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *bytes, size_t n);
void sha1_end(struct sha1 *s, unsigned char digest[SHA1_SIZE]);
