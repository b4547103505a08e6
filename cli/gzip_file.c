/* SPDX-License-Identifier: Apache-2.0 */
/* gzip into a file: see gzip_file.h. The packing is zlib's, header and trailer are written here. */
#include "gzip_file.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "alloc.h"
#include "buf.h"
#include "outfile.h"

#define RAW_WINDOW (-15) /* the largest; zlib writes no header and no sum */
#define LEVEL      6
#define CHUNK      ((size_t)64 << 10)

struct gzip_file {
    int fd;
    const char *shown;
    off_t at; /* where the next byte goes */
    z_stream z;
    uint32_t sum, length; /* of what is packed; the length modulo 2^32 (RFC 1952 2.3.1) */
    bool flushed;         /* whatever comes next refers to nothing before it */
    struct buf zeros;     /* GZIP_ZEROS of them, packed; empty: not needed yet */
    uint32_t zeros_sum;
    unsigned char chunk[CHUNK];
};

static bool packer_begin(z_stream *z)
{
    *z = (z_stream){0};
    return deflateInit2(z, LEVEL, Z_DEFLATED, RAW_WINDOW, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) ==
           Z_OK;
}

static bool bytes_put(struct gzip_file *g, const void *bytes, size_t n, struct err *err)
{
    if (!outfile_put(g->fd, g->shown, bytes, n, g->at, err))
        return false;
    g->at += (off_t)n;
    return true;
}

struct gzip_file *gzip_file_begin(int fd, const char *shown, struct err *err)
{
    /* deflate, no flags, no time, no word on the level, Unix */
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    struct gzip_file *g = alloc_zero(sizeof *g);
    g->fd = fd;
    g->shown = shown;
    g->flushed = true;
    if (!packer_begin(&g->z)) {
        errno = ENOMEM;
        err_errno(err, "write", shown);
    } else if (bytes_put(g, header, sizeof header, err)) {
        return g;
    } else {
        deflateEnd(&g->z);
    }
    free(g);
    return NULL;
}

/* Packs what the stream was given and writes what comes out. */
static bool pack(struct gzip_file *g, int flush, struct err *err)
{
    do {
        g->z.next_out = g->chunk;
        g->z.avail_out = CHUNK;
        deflate(&g->z, flush);
        if (!bytes_put(g, g->chunk, CHUNK - g->z.avail_out, err))
            return false;
    } while (g->z.avail_out == 0);
    return true;
}

bool gzip_file_put(struct gzip_file *g, const void *bytes, size_t n, struct err *err)
{
    g->z.next_in = (Bytef *)(uintptr_t)bytes;
    g->z.avail_in = (uInt)n;
    g->sum = (uint32_t)crc32_z(g->sum, bytes, n);
    g->length += (uint32_t)n;
    g->flushed = false;
    return pack(g, Z_NO_FLUSH, err);
}

static bool zeros_pack(struct gzip_file *g, struct err *err)
{
    z_stream z;
    if (!packer_begin(&z)) {
        errno = ENOMEM;
        return err_errno(err, "write", g->shown);
    }
    unsigned char *zeros = alloc_zero(GZIP_ZEROS);
    z.next_in = zeros;
    z.avail_in = GZIP_ZEROS;
    do {
        z.next_out = g->chunk;
        z.avail_out = CHUNK;
        deflate(&z, Z_FULL_FLUSH);
        buf_add(&g->zeros, g->chunk, CHUNK - z.avail_out);
    } while (z.avail_out == 0);
    g->zeros_sum = (uint32_t)crc32_z(0, zeros, GZIP_ZEROS);
    free(zeros);
    deflateEnd(&z);
    return true;
}

bool gzip_file_put_zeros(struct gzip_file *g, struct err *err)
{
    if ((!g->zeros.size && !zeros_pack(g, err)) || (!g->flushed && !pack(g, Z_FULL_FLUSH, err)))
        return false;
    g->flushed = true;
    g->sum = (uint32_t)crc32_combine(g->sum, g->zeros_sum, GZIP_ZEROS);
    g->length += (uint32_t)GZIP_ZEROS;
    return bytes_put(g, g->zeros.data, g->zeros.size, err);
}

bool gzip_file_end(struct gzip_file *g, bool ok, struct err *err)
{
    if (ok) {
        unsigned char trailer[8];
        for (int i = 0; i < 4; i++) {
            trailer[i] = (unsigned char)(g->sum >> 8 * i);
            trailer[4 + i] = (unsigned char)(g->length >> 8 * i);
        }
        ok = pack(g, Z_FINISH, err) && bytes_put(g, trailer, sizeof trailer, err);
    }
    deflateEnd(&g->z);
    buf_free(&g->zeros);
    free(g);
    return ok;
}
