/* SPDX-License-Identifier: Apache-2.0 */
/* What a cloud's metadata service answers, on any bytes: HTTP, and the texts in it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"
#include "proc/metadata_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void texts(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), out[20], *rest;
    unsigned bad = 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (metadata_value(text, "hostname", out, sizeof out) && strlen(out) >= sizeof out)
        abort();
    metadata_is_foreign(text);
    metadata_hostname(text);
    memcpy(text, data, size);
    rest = text;
    for (char *v; (v = metadata_variable(&rest, &bad)) != NULL;)
        if (!strchr(v, '=') || *v == '=')
            abort();
    memcpy(text, data, size);
    if (metadata_base64(text, size) > (ssize_t)size)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_reply r;
    size_t len;
    for (int closed = 0; closed < 2; closed++) {
        char *reply = malloc(size); /* exactly: what is read behind it is found */
        if (size)
            memcpy(reply, data, size);
        int err = http_reply_parse(reply, size, closed, &r);
        if (err && err != -EPROTO && (err != -EAGAIN || closed))
            abort();
        if (!err && (r.body < reply || r.len > (size_t)(reply + size - r.body)))
            abort();
        const char *v = err ? NULL : http_reply_header(&r, "Metadata-Flavor", &len);
        if (v && (v < r.head || v + len > r.head + r.head_len))
            abort();
        free(reply);
    }
    texts(data, size);
    return 0;
}
