/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files from nowhere: parsing, the search for places, the messages. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct err err = {0};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    if (!config_parse(&c, "fuzz.json", "/conf", text, size, &err) && !err.message)
        abort(); /* a failure without a reason */
    config_free(&c);
    err_free(&err);
    free(text);
    return 0;
}
