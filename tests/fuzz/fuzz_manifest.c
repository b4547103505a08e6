/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's manifest parser on any bytes: no crash, no leak, no endless loop. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/manifest.h"

static void *blocks[64];
static unsigned count;

static void *alloc(size_t n)
{
    return count < 64 ? (blocks[count++] = malloc(n)) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest m;
    unsigned line;
    const char *why;
    const size_t head = sizeof OPS_MANIFEST_MAGIC;
    char *text = malloc(head + size);
    memcpy(text, OPS_MANIFEST_MAGIC "\n", head);
    memcpy(text + head, data, size);
    if (!manifest_parse(&m, text, head + size, alloc, &line, &why)) {
        size_t sum = 0;
        for (unsigned i = 0; i < m.arg.count; i++)
            sum += strlen(m.arg.item[i]);
        if (sum > size) /* no text can be longer than what it came from */
            abort();
    }
    while (count)
        free(blocks[--count]);
    free(text);
    return 0;
}
