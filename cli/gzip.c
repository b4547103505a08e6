/* SPDX-License-Identifier: Apache-2.0 */
/* gzip in memory: see gzip.h. The work is zlib's. */
#include "gzip.h"

#include <stdint.h>
#include <zlib.h>

#include "alloc.h"
#include "ops/exit.h"

#define GZIP_WINDOW (15 + 16) /* the largest, and gzip's header and sum */
#define GZIP_CHUNK  65536

void gzip_pack(struct buf *to, const void *bytes, size_t size)
{
    unsigned char chunk[GZIP_CHUNK];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size};
    int state =
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY);
    while (state == Z_OK) {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        state = deflate(&z, Z_FINISH);
        buf_add(to, chunk, sizeof chunk - z.avail_out);
    }
    deflateEnd(&z);
}

static bool damaged(const char *name, struct err *err)
{
    return err_set(err, OPS_EXIT_FAILED, "build the image again", "%s is damaged", name);
}

bool gzip_unpack(struct buf *to, const struct buf *from, size_t limit, const char *name,
                 struct err *err)
{
    const unsigned char *head = (const unsigned char *)from->data;
    if (from->size < 2 || head[0] != 0x1f || head[1] != 0x8b) {
        buf_add(to, from->data, from->size);
        return true;
    }
    unsigned char chunk[GZIP_CHUNK];
    z_stream z = {.next_in = (Bytef *)from->data, .avail_in = (uInt)from->size};
    int state = inflateInit2(&z, GZIP_WINDOW);
    while (state == Z_OK && to->size <= limit) {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        state = inflate(&z, Z_NO_FLUSH);
        buf_add(to, chunk, sizeof chunk - z.avail_out);
    }
    inflateEnd(&z);
    if (to->size > limit)
        return err_set(err, OPS_EXIT_FAILED, NULL, "%s is too large", name);
    return state == Z_STREAM_END || damaged(name, err);
}
