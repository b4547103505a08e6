/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's CSPRNG: ChaCha20 with fast key erasure, seeded before the program starts. */
#pragma once

#include "lib/types.h"

/* Mixes bytes in; `bits` of them count as entropy (0: stirred in, not counted). */
void random_seed(const void *data, size_t n, unsigned bits);
/* True once 256 bits of entropy have come in. */
bool random_ready(void);
/* Never fails after random_ready(); any context. */
void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);
