/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives: see tarball.h. The format is GNU's old one, which all readers know. */
#include "tarball.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "alloc.h"
#include "outfile.h"

#define TAR_BLOCK     512u
#define TAR_OCTAL_MAX ((UINT64_C(1) << 33) - 1) /* eleven octal digits */
#define TAR_CHUNK     ((size_t)256 << 10)

enum { KIND_FILE = '0', KIND_DIR = '5' };

bool tarball_begin(struct tarball *a, int fd, const char *shown, bool gzip, struct err *err)
{
    *a = (struct tarball){.fd = fd, .shown = shown};
    int copy = gzip ? dup(fd) : -1; /* zlib closes its own */
    if (gzip && (copy < 0 || !(a->gz = gzdopen(copy, "wb6")))) {
        if (copy >= 0)
            close(copy);
        return err_errno(err, "write", shown);
    }
    return true;
}

static bool put(struct tarball *a, const void *bytes, size_t n, struct err *err)
{
    if (!a->gz) {
        if (!outfile_put(a->fd, a->shown, bytes, n, a->at, err))
            return false;
        a->at += (off_t)n;
        return true;
    }
    errno = 0;
    if (gzwrite(a->gz, bytes, (unsigned)n) == (int)n)
        return true;
    errno = errno ? errno : ENOSPC;
    return err_errno(err, "write", a->shown);
}

static void size_put(char field[12], uint64_t size)
{
    if (size <= TAR_OCTAL_MAX) {
        snprintf(field, 12, "%011llo", (unsigned long long)size);
        return;
    }
    memset(field, 0, 12);
    field[0] = (char)0x80; /* big-endian binary follows */
    for (int i = 0; i < 8; i++)
        field[11 - i] = (char)(size >> 8 * i);
}

static bool header_put(struct tarball *a, const char *name, uint64_t size, char kind,
                       struct err *err)
{
    char h[TAR_BLOCK] = {0};
    unsigned sum = 0;
    snprintf(h, 100, "%s", name);
    memcpy(h + 100, kind == KIND_DIR ? "0000755" : "0000644", 8);
    snprintf(h + 108, 8, "%07o", a->owner);
    snprintf(h + 116, 8, "%07o", a->owner);
    size_put(h + 124, size);
    memcpy(h + 136, "00000000000", 12);
    memset(h + 148, ' ', 8);
    h[156] = kind;
    memcpy(h + 257, "ustar  ", 8);
    if (!a->owner) {
        memcpy(h + 265, "root", 5);
        memcpy(h + 297, "root", 5);
    }
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    return put(a, h, sizeof h, err);
}

static bool content_put(struct tarball *a, uint64_t size, int from, struct err *err)
{
    char *chunk = alloc_array(NULL, TAR_CHUNK, 1);
    bool ok = true;
    for (uint64_t at = 0; ok && at < size;) {
        size_t n = size - at < TAR_CHUNK ? (size_t)(size - at) : TAR_CHUNK;
        ssize_t got = pread(from, chunk, n, (off_t)at);
        if (got == 0)
            errno = EIO;
        ok = got > 0 ? put(a, chunk, (size_t)got, err) : err_errno(err, "write", a->shown);
        at += got > 0 ? (uint64_t)got : 0;
    }
    free(chunk);
    return ok;
}

bool tarball_add(struct tarball *a, const char *name, uint64_t size, const void *bytes, int from,
                 struct err *err)
{
    static const char zeros[TAR_BLOCK];
    size_t pad = (size_t)(-size % TAR_BLOCK);
    return header_put(a, name, size, KIND_FILE, err) &&
           (bytes ? put(a, bytes, (size_t)size, err) : content_put(a, size, from, err)) &&
           (!pad || put(a, zeros, pad, err));
}

bool tarball_add_dir(struct tarball *a, const char *name, struct err *err)
{
    return header_put(a, name, 0, KIND_DIR, err);
}

bool tarball_end(struct tarball *a, bool ok, struct err *err)
{
    static const char zeros[2 * TAR_BLOCK];
    ok = ok && put(a, zeros, sizeof zeros, err);
    if (!a->gz)
        return ok;
    errno = 0;
    bool closed = gzclose(a->gz) == Z_OK;
    if (ok && !closed) {
        errno = errno ? errno : ENOSPC;
        ok = err_errno(err, "write", a->shown);
    }
    return ok;
}
