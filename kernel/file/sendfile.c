/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile(2): see sendfile.h. Main struct: file_pages. No lock of its own. */
#include "file/sendfile.h"

#include <linux/errno.h>

#include "file/wait.h"
#include "mem/kmalloc.h"
#include "mem/page.h"
#include "sched/thread.h"

#define CHUNK 65536u

/* Moves one chunk through `buf`; bytes that reached `out`, 0 at the end of `in`. */
static ssize_t chunk_copy(struct file *out, uint64_t *to, struct file *in, uint64_t *pos, char *buf,
                          size_t n)
{
    struct uio_vec vec;
    struct uio u;
    uint64_t at = *pos;
    uio_init_kernel(&u, &vec, buf, n);
    ssize_t got = file_read(in, &u, &at);
    if (got <= 0)
        return got;
    uio_init_kernel(&u, &vec, buf, (size_t)got);
    ssize_t put = file_write(out, &u, to);
    if (put > 0)
        *pos += (uint64_t)put;
    return put;
}

static ssize_t copy_all(struct file *out, uint64_t *to, struct file *in, uint64_t *pos,
                        size_t count)
{
    size_t size = MIN(count, (size_t)CHUNK), done = 0;
    ssize_t r = 0;
    char *buf = kmalloc(MAX(size, (size_t)1));
    if (!buf)
        return -ENOMEM;
    while (done < count) {
        r = chunk_copy(out, to, in, pos, buf, MIN(count - done, size));
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    kfree(buf);
    return done ? (ssize_t)done : r;
}

static ssize_t pages_op(struct file *out, void *arg)
{
    return out->ops->send_pages(out, arg);
}

/* One set of pages: as with chunk_copy(), and -EOPNOTSUPP if that has to do it. */
static ssize_t pages_send(struct file *out, struct file *in, uint64_t *pos, size_t n, size_t wanted)
{
    struct file_pages p = {0};
    struct io_count *io = &thread_current()->io;
    ssize_t got = in->ops->pages(in, *pos, n, &p), r = got;
    size_t put = 0;
    p.more = !p.end && p.left < wanted;
    while (p.left && r > 0) {
        size_t before = p.left;
        r = file_wait(out, true, pages_op, &p);
        put += before - p.left;
    }
    for (unsigned i = 0; i < p.count; i++)
        page_put(p.page[i]);
    *pos += put;
    io->reads += got > 0;
    io->writes += got > 0;
    io->bytes_read += put;
    io->bytes_written += put;
    return put ? (ssize_t)put : r;
}

ssize_t file_send(struct file *out, uint64_t *to, struct file *in, uint64_t *pos, size_t count)
{
    size_t done = 0;
    ssize_t r = -EOPNOTSUPP;
    bool pages = in->ops->pages && out->ops->send_pages && !to;
    while (pages && done < count) {
        r = pages_send(out, in, pos, MIN(count - done, (size_t)CHUNK), count - done);
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    if (r == -EOPNOTSUPP) { /* also: a hole in a file in memory, a device that computes no sums */
        r = copy_all(out, to, in, pos, count - done);
        done += (size_t)MAX(r, (ssize_t)0);
    } else {
        file_written(out, r);
    }
    return done ? (ssize_t)done : count ? r : 0;
}
