/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: the hashes of directory names: "legacy", half MD4 (the usual one) and
 * TEA, each with names taken as signed or unsigned characters as the superblock
 * says. See the ext4 on-disk format, "hash tree directories".
 */
#include "fs/ext4/ext4_fs.h"

#define HASH_END 0x7fffffffu /* reserved: "behind the last entry" */

static uint32_t rotate(uint32_t x, unsigned s)
{
    return x << s | x >> (32 - s);
}

static uint32_t character(const struct ext4_fs *fs, char c)
{
    return fs->hash_unsigned ? (uint32_t)(uint8_t)c : (uint32_t)(int32_t)(signed char)c;
}

static uint32_t hash_legacy(const struct ext4_fs *fs, const char *name, size_t len)
{
    uint32_t h0 = 0x12a3fe2d, h1 = 0x37abe8f9;
    while (len--) {
        uint32_t h = h1 + (h0 ^ (character(fs, *name++) * 7152373u));
        if (h & 0x80000000u)
            h -= 0x7fffffff;
        h1 = h0;
        h0 = h;
    }
    return h0 << 1;
}

/* Packs up to 4 * words characters, padded with the length. */
static void pack(const struct ext4_fs *fs, const char *name, size_t len, uint32_t *out,
                 size_t words)
{
    uint32_t pad = (uint32_t)(len | len << 8), value;
    pad |= pad << 16;
    size_t n = MIN(len, words * 4);
    for (size_t w = 0; w < words; w++) {
        value = pad;
        for (size_t i = w * 4; i < MIN(n, w * 4 + 4); i++)
            value = character(fs, name[i]) + (value << 8);
        out[w] = value;
    }
}

static uint32_t md4_f(uint32_t x, uint32_t y, uint32_t z)
{
    return z ^ (x & (y ^ z));
}
static uint32_t md4_g(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) + ((x ^ y) & z);
}
static uint32_t md4_h(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static void half_md4(uint32_t state[4], const uint32_t in[8])
{
    static const struct {
        uint32_t (*mix)(uint32_t x, uint32_t y, uint32_t z);
        uint32_t add;
        uint8_t order[8], shift[4];
    } round[3] = {
        {md4_f, 0, {0, 1, 2, 3, 4, 5, 6, 7}, {3, 7, 11, 19}},
        {md4_g, 0x5a827999, {1, 3, 5, 7, 0, 2, 4, 6}, {3, 5, 9, 13}},
        {md4_h, 0x6ed9eba1, {3, 7, 2, 6, 1, 5, 0, 4}, {3, 9, 11, 15}},
    };
    uint32_t s[4] = {state[0], state[1], state[2], state[3]};
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < 8; i++) {
            /* The roles a, b, c, d go round: a, d, c, b. */
            uint32_t *a = &s[(4 - i) & 3];
            uint32_t b = s[(5 - i) & 3], c = s[(6 - i) & 3], d = s[(7 - i) & 3];
            *a += round[r].mix(b, c, d) + in[round[r].order[i]] + round[r].add;
            *a = rotate(*a, round[r].shift[i & 3]);
        }
    for (unsigned i = 0; i < 4; i++)
        state[i] += s[i];
}

static void tea(uint32_t state[4], const uint32_t in[4])
{
    uint32_t sum = 0, x = state[0], y = state[1];
    for (int i = 0; i < 16; i++) {
        sum += 0x9e3779b9;
        x += ((y << 4) + in[0]) ^ (y + sum) ^ ((y >> 5) + in[1]);
        y += ((x << 4) + in[2]) ^ (x + sum) ^ ((x >> 5) + in[3]);
    }
    state[0] += x;
    state[1] += y;
}

uint32_t ext4_hash(const struct ext4_fs *fs, unsigned version, const char *name, size_t len)
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}, in[8], hash;
    const uint32_t *seed = fs->hash_seed;
    if (seed[0] | seed[1] | seed[2] | seed[3])
        memcpy(state, seed, sizeof state);
    if (version == EXT4_HASH_LEGACY) {
        hash = hash_legacy(fs, name, len);
    } else {
        size_t step = version == EXT4_HASH_TEA ? 16 : 32;
        for (size_t at = 0; at < len; at += step) {
            pack(fs, name + at, len - at, in, step / 4);
            if (version == EXT4_HASH_TEA)
                tea(state, in);
            else
                half_md4(state, in);
        }
        hash = version == EXT4_HASH_TEA ? state[0] : state[1];
    }
    hash &= ~1u;
    return hash == HASH_END << 1 ? (HASH_END - 1) << 1 : hash;
}
