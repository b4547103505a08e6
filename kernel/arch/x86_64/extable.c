/* SPDX-License-Identifier: Apache-2.0 */
/* The fix-up table that usercopy.S fills: a handful of entries, searched in order. */
#include "arch/x86_64/extable.h"

struct extable_entry {
    uint64_t from, to;
};

extern const struct extable_entry extable_start[], extable_end[];

uint64_t extable_find(uint64_t rip)
{
    for (const struct extable_entry *e = extable_start; e < extable_end; e++)
        if (e->from == rip)
            return e->to;
    return 0;
}
