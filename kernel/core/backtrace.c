/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols come from scripts/symbols, linked in by the second link (weak in the first). */
#include "core/backtrace.h"

#include "arch/x86_64/layout.h"
#include "lib/string.h"

#define STACK_SPAN 16384 /* no frame is farther up than a kernel stack is long */

extern const uint32_t symbol_count __attribute__((weak));
extern const uint32_t symbol_offsets[] __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));
extern const uint8_t kernel_start[], kernel_text_end[];

const char *symbol_find(uint64_t addr, uint64_t *offset)
{
    uint64_t start = (uint64_t)kernel_start;
    if (!&symbol_count || addr < start || addr >= (uint64_t)kernel_text_end)
        return NULL;
    const char *name = symbol_names, *found = NULL;
    for (uint32_t i = 0; i < symbol_count && start + symbol_offsets[i] <= addr; i++) {
        found = name;
        *offset = addr - start - symbol_offsets[i];
        name += strlen(name) + 1;
    }
    return found;
}

unsigned backtrace(uint64_t rbp, uint64_t *out, unsigned max)
{
    unsigned n = 0;
    uint64_t last = 0;
    const uint64_t end = rbp + STACK_SPAN;
    while (n < max && rbp >= DIRECT_MAP && !(rbp & 7) && rbp > last && rbp < end) {
        const uint64_t *frame = (const uint64_t *)rbp;
        if (!frame[1])
            break;
        out[n++] = frame[1];
        last = rbp;
        rbp = frame[0];
    }
    return n;
}
