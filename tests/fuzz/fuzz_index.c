/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of repositories and signatures from nowhere: what is taken is safe to use as a file's
 * name, and no signature is good by chance. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "minisign.h"
#include "repo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const cJSON *index)
{
    const cJSON *e;
    cJSON_ArrayForEach(e, cJSON_GetObjectItem(index, "Packages"))
    {
        const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(e, "file"));
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(e, "name"));
        if (strchr(file, '/') || file[0] == '.' || !file[0] || strchr(name, '/'))
            abort();
        if (!repo_find(index, name, NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct minisign_key key = {.id = "fuzz"};
    struct err err = {0};
    struct minisign_key other;
    char *text = alloc_bytes((const char *)data, size);
    cJSON *index = repo_index_parse(text, size, "index", &err);
    if (index)
        check(index);
    cJSON_Delete(index);
    if (minisign_verify(&key, text, data, size, "index", &err))
        abort();
    minisign_key_parse(&other, text, &err);
    err_free(&err);
    free(text);
    return 0;
}
