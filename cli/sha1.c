/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1: see sha1.h. */
#include "sha1.h"

#include <string.h>

static uint32_t turn(uint32_t v, int n)
{
    return v << n | v >> (32 - n);
}

static void block_add(uint32_t state[5], const unsigned char *block)
{
    static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        uint32_t next = turn(a, 5) + f + e + w[i] + constants[i / 20];
        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_begin(struct sha1 *s)
{
    *s = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha1_add(struct sha1 *s, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    while (n) {
        size_t used = s->size % 64, piece = 64 - used < n ? 64 - used : n;
        memcpy(s->block + used, at, piece);
        s->size += piece;
        at += piece;
        n -= piece;
        if (s->size % 64 == 0)
            block_add(s->state, s->block);
    }
}

void sha1_end(struct sha1 *s, unsigned char digest[SHA1_SIZE])
{
    static const unsigned char padding[64] = {0x80};
    uint64_t bits = s->size * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha1_add(s, padding, (119 - s->size % 64) % 64 + 1);
    sha1_add(s, length, sizeof length);
    for (int i = 0; i < SHA1_SIZE; i++)
        digest[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}
