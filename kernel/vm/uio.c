/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers through a list of pieces: see uio.h. */
#include "vm/uio.h"

#include <linux/errno.h>

#include "lib/string.h"

void uio_init(struct uio *u, const struct uio_vec *vec, size_t count)
{
    *u = (struct uio){.vec = vec, .count = count};
    for (size_t i = 0; i < count; i++)
        u->left += vec[i].len;
}

void uio_init_kernel(struct uio *u, struct uio_vec *vec, void *base, size_t len)
{
    *vec = (struct uio_vec){(uint64_t)base, len};
    *u = (struct uio){.vec = vec, .count = 1, .left = len, .kernel = true};
}

enum direction { OUT, IN, ZERO };

static inline int piece_copy(const struct uio *u, uint64_t addr, void *buf, size_t n,
                             enum direction dir)
{
    if (u->kernel) {
        if (dir == OUT)
            memcpy((void *)addr, buf, n);
        else if (dir == IN)
            memcpy(buf, (void *)addr, n);
        else
            memset((void *)addr, 0, n);
        return 0;
    }
    struct uptr p = {addr};
    return dir == OUT  ? copy_to_user(p, buf, n)
           : dir == IN ? copy_from_user(buf, p, n)
                       : zero_user(p, n);
}

/* `n` bytes of the current piece are done. */
static void uio_advance(struct uio *u, size_t n)
{
    u->offset += n;
    u->left -= n;
    u->done += n;
    if (u->offset == u->vec->len && u->count > 1) {
        u->vec++;
        u->count--;
        u->offset = 0;
    }
}

/* Inlined three times: the direction is then known. */
static inline __attribute__((always_inline)) int uio_move(struct uio *u, void *buf, size_t n,
                                                          enum direction dir)
{
    while (n && u->left) {
        size_t part = MIN(n, u->vec->len - u->offset);
        int err = piece_copy(u, u->vec->base + u->offset, buf, part, dir);
        if (err)
            return err;
        if (buf)
            buf = (char *)buf + part;
        n -= part;
        uio_advance(u, part);
    }
    return n ? -EFAULT : 0;
}

int uio_copy_out(struct uio *u, const void *src, size_t n)
{
    return uio_move(u, (void *)src, n, OUT);
}

int uio_zero_out(struct uio *u, size_t n)
{
    return uio_move(u, NULL, n, ZERO);
}

int uio_copy_in(struct uio *u, void *dst, size_t n)
{
    return uio_move(u, dst, n, IN);
}

void uio_revert(struct uio *u, size_t n, const struct uio *start)
{
    size_t keep = u->done - start->done - n;
    *u = *start;
    while (keep) {
        size_t part = MIN(keep, u->vec->len - u->offset);
        keep -= part;
        uio_advance(u, part);
    }
}
