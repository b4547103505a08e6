/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSPRNG: ChaCha20 (RFC 8439) with fast key erasure: each request's first block
 * replaces the key, so earlier output cannot be recomputed from a later state.
 * Lock: random_lock for the key.
 */
#include "core/random.h"

#include "core/spinlock.h"
#include "lib/string.h"

#define ENTROPY_WANTED 256

static uint32_t key[8];
static uint64_t counter;
static unsigned entropy;
static struct spinlock random_lock;

static uint32_t rotl(uint32_t v, int n)
{
    return v << n | v >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 7);
}

static void chacha_block(const uint32_t k[8], uint64_t n, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, k, 32);
    in[12] = (uint32_t)n;
    in[13] = (uint32_t)(n >> 32);
    in[14] = in[15] = 0;
    memcpy(out, in, sizeof in);
    for (int i = 0; i < 10; i++) {
        quarter(out, 0, 4, 8, 12);
        quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14);
        quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15);
        quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13);
        quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

void random_seed(const void *data, size_t n, unsigned bits)
{
    const uint8_t *p = data;
    irqflags_t flags = spin_lock_irq(&random_lock);
    while (n) {
        uint32_t block[16];
        size_t part = MIN(n, sizeof key);
        for (size_t i = 0; i < part; i++)
            ((uint8_t *)key)[i] ^= p[i];
        chacha_block(key, counter++, block);
        memcpy(key, block, sizeof key);
        p += part;
        n -= part;
    }
    entropy = MIN(entropy + bits, ENTROPY_WANTED);
    spin_unlock_irq(&random_lock, flags);
}

bool random_ready(void)
{
    return entropy >= ENTROPY_WANTED;
}

void random_bytes(void *buf, size_t n)
{
    uint8_t *p = buf;
    uint32_t block[16], own[8];
    irqflags_t flags = spin_lock_irq(&random_lock);
    chacha_block(key, counter++, block);
    memcpy(key, block, sizeof key);
    memcpy(own, block + 8, sizeof own);
    spin_unlock_irq(&random_lock, flags);
    if (n <= sizeof own / 2) { /* short requests need no second block */
        memcpy(p, own, n);
        return;
    }
    for (uint64_t i = 0; n; i++) {
        size_t part = MIN(n, sizeof block);
        chacha_block(own, i, block);
        memcpy(p, block, part);
        p += part;
        n -= part;
    }
    memset(own, 0, sizeof own);
    memset(block, 0, sizeof block);
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}
