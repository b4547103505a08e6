/* SPDX-License-Identifier: Apache-2.0 */
/* Edit distance with swaps of neighbours (optimal string alignment) over three rows. */
#include "nearest.h"

#include <ctype.h>
#include <string.h>

#define NEAREST_LENGTH 40

static unsigned minimum(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned word_distance(const char *a, const char *b)
{
    unsigned rows[3][NEAREST_LENGTH + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > NEAREST_LENGTH || nb > NEAREST_LENGTH)
        return NEAREST_LENGTH;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            row[j] = minimum(above[j - 1] + (ca != cb), minimum(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]))
                row[j] = minimum(row[j], above2[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    unsigned limit = (unsigned)strlen(word) / 3 + 1, least = limit + 1;
    for (size_t i = 0; i < count; i++) {
        unsigned d = words[i] ? word_distance(word, words[i]) : least;
        if (d < least) {
            least = d;
            best = words[i];
        }
    }
    return best;
}
