/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression: see stream.h. gzip is zlib's, since libarchive does not verify its checksum;
 * the others are libarchive's, as an archive without a format.
 */
#include "stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "alloc.h"
#include "ops/exit.h"

#define STREAM_CHUNK 65536

enum stream_kind { STREAM_NEW, STREAM_PLAIN, STREAM_GZIP, STREAM_OTHER };

struct stream {
    const char *name;
    int fd;
    uint64_t left;         /* of the input, not read yet; UINT64_MAX: unknown */
    uint64_t taken, given; /* bytes in and out */
    struct budget *budget;
    enum stream_kind kind;
    bool ended, hashed;
    struct err *err; /* of the running call */
    struct archive *raw;
    z_stream z;
    crypto_hash_sha256_state digest;
    size_t at, size; /* in `in` */
    unsigned char in[STREAM_CHUNK], out[STREAM_CHUNK];
};

struct stream *stream_open(const char *name, int fd, uint64_t size, struct budget *budget)
{
    struct stream *s = alloc_zero(sizeof *s);
    s->name = name;
    s->fd = fd;
    s->left = size;
    s->budget = budget;
    return s;
}

void stream_hash(struct stream *s)
{
    s->hashed = true;
    crypto_hash_sha256_init(&s->digest);
}

const char *stream_name(const struct stream *s)
{
    return s->name;
}

void stream_digest(const struct stream *s, unsigned char digest[DIGEST_SIZE])
{
    crypto_hash_sha256_state copy = s->digest;
    crypto_hash_sha256_final(&copy, digest);
}

static bool damaged(struct stream *s, const char *how)
{
    return err_set(s->err, OPS_EXIT_FAILED, "fetch it again; it is damaged or was changed",
                   "cannot unpack %s: %s", s->name, how);
}

static ssize_t damaged_read(struct stream *s, const char *how)
{
    damaged(s, how);
    return -1;
}

/* More input behind what is in `in`. False: see err; s->size stays at the input's end. */
static bool input_more(struct stream *s)
{
    memmove(s->in, s->in + s->at, s->size - s->at);
    s->size -= s->at;
    s->at = 0;
    size_t room = sizeof s->in - s->size;
    if (room > s->left)
        room = (size_t)s->left;
    ssize_t n;
    do
        n = room ? read(s->fd, s->in + s->size, room) : 0;
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(s->err, "read", s->name);
    if (n == 0 && s->left != UINT64_MAX && s->left)
        return damaged(s, "it ends too early");
    s->size += (size_t)n;
    s->taken += (uint64_t)n;
    if (s->left != UINT64_MAX)
        s->left -= (uint64_t)n;
    return true;
}

/* At least `n` bytes in `in`, or all that are left. */
static bool input_fill(struct stream *s, size_t n)
{
    for (size_t before = SIZE_MAX; s->size - s->at < n && s->size - s->at != before;) {
        before = s->size - s->at;
        if (!input_more(s))
            return false;
    }
    return true;
}

static la_ssize_t raw_read(struct archive *a, void *context, const void **bytes)
{
    struct stream *s = context;
    if (!input_fill(s, 1)) {
        archive_set_error(a, EIO, "%s", s->err->message);
        return -1;
    }
    *bytes = s->in + s->at;
    size_t n = s->size - s->at;
    s->at = s->size;
    return (la_ssize_t)n;
}

static bool raw_failed(struct stream *s)
{
    const char *text = archive_error_string(s->raw);
    return !s->err->message && damaged(s, text ? text : "its data is wrong");
}

static bool raw_begin(struct stream *s)
{
    struct archive_entry *entry;
    s->raw = archive_read_new();
    if (!s->raw)
        return err_errno(s->err, "unpack", s->name);
    archive_read_support_filter_bzip2(s->raw);
    archive_read_support_filter_xz(s->raw);
    archive_read_support_filter_zstd(s->raw);
    archive_read_support_format_raw(s->raw);
    return (archive_read_open(s->raw, s, NULL, raw_read, NULL) == ARCHIVE_OK &&
            archive_read_next_header(s->raw, &entry) == ARCHIVE_OK) ||
           raw_failed(s);
}

static bool begin(struct stream *s)
{
    static const unsigned char gzip[] = {0x1f, 0x8b}, xz[] = {0xfd, '7', 'z', 'X', 'Z', 0},
                               zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, bzip2[] = {'B', 'Z', 'h'};
    if (!input_fill(s, sizeof xz))
        return false;
    const unsigned char *p = s->in + s->at;
    size_t n = s->size - s->at;
    if (n >= sizeof gzip && memcmp(p, gzip, sizeof gzip) == 0) {
        s->kind = STREAM_GZIP;
        return inflateInit2(&s->z, 15 + 16) == Z_OK || damaged(s, "zlib cannot start");
    }
    if ((n >= sizeof xz && memcmp(p, xz, sizeof xz) == 0) ||
        (n >= sizeof zstd && memcmp(p, zstd, sizeof zstd) == 0) ||
        (n >= sizeof bzip2 && memcmp(p, bzip2, sizeof bzip2) == 0)) {
        s->kind = STREAM_OTHER;
        return raw_begin(s);
    }
    s->kind = STREAM_PLAIN;
    return true;
}

/* Behind a member of gzip: another one, zeros to a block's end, or nothing. */
static bool gzip_between(struct stream *s)
{
    for (;;) {
        if (!input_fill(s, 2))
            return false;
        if (s->at == s->size) {
            s->ended = true;
            return true;
        }
        if (s->in[s->at])
            break;
        s->at++;
    }
    if (s->size - s->at < 2 || s->in[s->at] != 0x1f || s->in[s->at + 1] != 0x8b)
        return damaged(s, "something else stands behind its end");
    return inflateReset(&s->z) == Z_OK || damaged(s, "zlib cannot start");
}

static ssize_t gzip_next(struct stream *s)
{
    int status = Z_OK;
    s->z.next_out = s->out;
    s->z.avail_out = sizeof s->out;
    while (!s->ended && s->z.avail_out == sizeof s->out) {
        if (!input_fill(s, 1))
            return -1;
        if (s->at == s->size)
            return damaged_read(s, "it ends too early");
        s->z.next_in = s->in + s->at;
        s->z.avail_in = (uInt)(s->size - s->at);
        status = inflate(&s->z, Z_NO_FLUSH);
        s->at = s->size - s->z.avail_in;
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return damaged_read(s, s->z.msg ? s->z.msg : "its gzip data is wrong");
        if (status == Z_STREAM_END && !gzip_between(s))
            return -1;
    }
    return (ssize_t)(sizeof s->out - s->z.avail_out);
}

static ssize_t kind_next(struct stream *s, const void **bytes)
{
    ssize_t n;
    *bytes = s->out;
    if (s->kind == STREAM_GZIP)
        return gzip_next(s);
    if (s->kind == STREAM_OTHER) {
        n = archive_read_data(s->raw, s->out, sizeof s->out);
        if (n < 0)
            raw_failed(s);
        return n < 0 ? -1 : n;
    }
    if (!input_fill(s, 1))
        return -1;
    *bytes = s->in + s->at;
    n = (ssize_t)(s->size - s->at);
    s->at = s->size;
    return n;
}

static bool budget_take(struct stream *s, size_t n)
{
    struct budget *b = s->budget;
    s->given += n;
    b->unpacked += n;
    if (b->unpacked > b->bytes)
        return err_set(s->err, OPS_EXIT_FAILED, "--max-bytes sets the limit",
                       "%s unpacks to more than %llu bytes", s->name, (unsigned long long)b->bytes);
    if (s->given > BUDGET_FLOOR && s->given / b->ratio > s->taken)
        return err_set(s->err, OPS_EXIT_FAILED, "--max-ratio sets the limit",
                       "%s unpacks to more than %llu times its own size", s->name,
                       (unsigned long long)b->ratio);
    return true;
}

ssize_t stream_next(struct stream *s, const void **bytes, struct err *err)
{
    s->err = err;
    if (s->kind == STREAM_NEW && !begin(s))
        return -1;
    ssize_t n = s->ended ? 0 : kind_next(s, bytes);
    if (n > 0 && !budget_take(s, (size_t)n))
        return -1;
    if (n > 0 && s->hashed)
        crypto_hash_sha256_update(&s->digest, *bytes, (unsigned long long)n);
    s->ended = s->ended || n <= 0;
    return n;
}

bool stream_drain(struct stream *s, struct err *err)
{
    const void *bytes;
    ssize_t n;
    while ((n = stream_next(s, &bytes, err)) > 0)
        ;
    return n == 0;
}

void stream_close(struct stream *s)
{
    if (s && s->kind == STREAM_GZIP)
        inflateEnd(&s->z);
    if (s && s->raw)
        archive_read_free(s->raw);
    free(s);
}
