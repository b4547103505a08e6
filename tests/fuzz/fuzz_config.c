/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files from nowhere: parsing, the search for places, the messages. What can be
 * read has a canonical form that can be read too, and is its own canonical form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_write.h"

static bool read_text(const char *text, size_t size, struct config_faults *faults)
{
    struct config c = {0};
    struct err err = {0};
    const struct config_source s = {
        .name = "fuzz.json", .dir = "/conf", .faults = faults, .literal = true};
    bool ok = config_read(&c, &s, text, size, &err);
    if (!ok && !err.message && !(faults && faults->count))
        abort(); /* a failure without a reason */
    config_free(&c);
    err_free(&err);
    return ok;
}

static char *canonical(const char *text)
{
    struct strlist left = {0};
    cJSON *file = cJSON_Parse(text), *made = config_canonical(file, &left);
    char *out = cJSON_PrintUnformatted(made);
    cJSON_Delete(made);
    cJSON_Delete(file);
    strlist_free(&left);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_faults faults = {0};
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    bool ok = read_text(text, size, NULL);
    if (read_text(text, size, &faults) && !ok)
        abort(); /* errors are errors, however many are asked for */
    if (ok) {
        char *once = canonical(text), *twice = canonical(once);
        if (!read_text(once, strlen(once), NULL) || strcmp(once, twice) != 0)
            abort();
        free(once);
        free(twice);
    }
    config_faults_free(&faults);
    free(text);
    return 0;
}
