/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and bytes of a cloud's disk: see seed.h. The formats are beside it. */
#include "fs/seed/seed.h"

#include <errno.h>

#include "lib/string.h"
#include "mem/kmalloc.h"

#define SECTOR 512u

int seed_bytes(struct seed *s, uint64_t off, void *to, size_t n)
{
    uint64_t end = s->dev->sectors * SECTOR;
    if (off > end || n > end - off)
        return -EIO;
    for (char *out = to; n;) {
        uint64_t at = off - off % SEED_BLOCK;
        if (!s->block_len || s->block_at != at) {
            s->block_len = 0;
            int err = blkdev_read(s->dev, at, s->block, MIN((uint64_t)SEED_BLOCK, end - at));
            if (err)
                return err;
            s->block_at = at;
            s->block_len = MIN((uint64_t)SEED_BLOCK, end - at);
        }
        size_t from = off - at, part = MIN(n, s->block_len - from);
        memcpy(out, s->block + from, part);
        out += part;
        off += part;
        n -= part;
    }
    return 0;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool seed_name_is(const char *a, size_t a_len, const char *b, size_t b_len)
{
    bool same = a_len == b_len;
    for (size_t i = 0; same && i < a_len; i++)
        same = lower(a[i]) == lower(b[i]);
    return same;
}

int seed_open(struct blkdev *dev, struct seed *s)
{
    *s = (struct seed){.dev = dev};
    if (dev->block_size > SEED_BLOCK)
        return -EINVAL;
    s->block = kmalloc(SEED_BLOCK);
    if (!s->block)
        return -ENOMEM;
    int err = seed_iso_open(s);
    if (err == -EINVAL)
        err = seed_fat_open(s);
    if (err)
        seed_close(s);
    return err;
}

void seed_close(struct seed *s)
{
    kfree(s->block);
    s->block = NULL;
}

ssize_t seed_read(struct seed *s, const char *path, char *buf, size_t size)
{
    struct seed_file f, dir;
    const struct seed_file *in = NULL;
    for (;;) {
        const char *slash = strchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : strlen(path);
        int err = s->ops->find(s, in, path, len, &f);
        if (err)
            return err;
        if (f.directory != !!slash)
            return -ENOENT;
        if (!slash)
            break;
        dir = f;
        in = &dir;
        path = slash + 1;
    }
    if (f.size >= size)
        return -EFBIG;
    int err = s->ops->read(s, &f, buf, f.size);
    buf[f.size] = '\0';
    return err ? err : (ssize_t)f.size;
}
