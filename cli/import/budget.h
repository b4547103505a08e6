/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an unpacking may cost, over all its archives together. Every limit is an option of
 * ops-import, which the error names.
 */
#pragma once

#include <stdint.h>

#define BUDGET_BYTES   (UINT64_C(16) << 30)
#define BUDGET_ENTRIES UINT64_C(1000000)
#define BUDGET_RATIO   UINT64_C(500)
#define BUDGET_FLOOR   (UINT64_C(64) << 20) /* so much may come from anything, however small */

struct budget {
    uint64_t bytes, entries, ratio;      /* the limits */
    uint64_t unpacked, content, members; /* used: of archives, of files (with holes), of names */
};
