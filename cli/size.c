/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them: see size.h. */
#include "size.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool size_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "bkmgt";
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    uint64_t n = strtoull(text, &end, 10);
    unsigned shift = 20;
    if (*end) {
        const char *unit = strchr(units, tolower((unsigned char)*end));
        if (!unit)
            return false;
        shift = 10 * (unsigned)(unit - units);
        end++;
        if (tolower((unsigned char)end[0]) == 'i' && tolower((unsigned char)end[1]) == 'b')
            end += 2;
    }
    if (*end || n == 0 || n > (UINT64_C(1) << 62) >> shift)
        return false;
    *bytes = n << shift;
    return true;
}
