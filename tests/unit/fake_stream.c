/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in for dev/stream.c: one stream a test can fill and read. */
#include "fake_stream.h"

#include <string.h>

char fake_stream_in[4096], fake_stream_out[4096];
size_t fake_stream_in_len, fake_stream_out_len, fake_stream_room = sizeof fake_stream_out;

static size_t in_read(struct stream *s, void *buf, size_t n)
{
    (void)s;
    n = n < fake_stream_in_len ? n : fake_stream_in_len;
    memcpy(buf, fake_stream_in, n);
    fake_stream_in_len -= n;
    memmove(fake_stream_in, fake_stream_in + n, fake_stream_in_len);
    return n;
}

static size_t out_write(struct stream *s, const void *buf, size_t n)
{
    (void)s;
    n = n < fake_stream_room ? n : fake_stream_room;
    memcpy(fake_stream_out + fake_stream_out_len, buf, n);
    fake_stream_out_len += n;
    fake_stream_room -= n;
    return n;
}

static bool in_ready(struct stream *s)
{
    (void)s;
    return fake_stream_in_len > 0;
}

static bool out_ready(struct stream *s)
{
    (void)s;
    return fake_stream_room > 0;
}

static const struct stream_ops ops = {
    .read = in_read, .write = out_write, .can_read = in_ready, .can_write = out_ready};

struct stream fake_stream = {.ops = &ops,
                             .readable = WAITQ_INIT(fake_stream.readable),
                             .writable = WAITQ_INIT(fake_stream.writable)};

struct stream *stream_find(const char *name)
{
    (void)name;
    return &fake_stream;
}
