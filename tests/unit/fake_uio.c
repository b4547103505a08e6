/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-ins for vm/: user memory is the test's own; fake_bad_user makes one address fault. */
#include <errno.h>
#include <string.h>

#include "vm/uio.h"

uint64_t fake_bad_user; /* bytes at and above it give -EFAULT; 0: none do */

static bool bad(uint64_t addr, size_t n)
{
    return fake_bad_user && addr + n > fake_bad_user;
}

int copy_from_user(void *dst, struct uptr src, size_t n)
{
    if (bad(src.addr, n))
        return -EFAULT;
    memcpy(dst, (void *)src.addr, n);
    return 0;
}

int copy_to_user(struct uptr dst, const void *src, size_t n)
{
    if (bad(dst.addr, n))
        return -EFAULT;
    memcpy((void *)dst.addr, src, n);
    return 0;
}

void uio_init(struct uio *u, const struct uio_vec *vec, size_t count)
{
    *u = (struct uio){.vec = vec, .count = count};
    for (size_t i = 0; i < count; i++)
        u->left += vec[i].len;
}

void uio_init_user(struct uio *u, struct uio_vec *vec, struct uptr base, size_t len)
{
    *vec = (struct uio_vec){base.addr, len};
    uio_init(u, vec, 1);
}

void uio_init_kernel(struct uio *u, struct uio_vec *vec, void *base, size_t len)
{
    *vec = (struct uio_vec){(uint64_t)base, len};
    uio_init(u, vec, 1);
    u->kernel = true;
}

/* Moves n bytes piece by piece; data NULL: zeroes to the pieces. */
static int uio_move(struct uio *u, char *data, size_t n, bool out)
{
    while (n) {
        if (!u->count)
            return 0;
        size_t room = u->vec->len - u->offset, step = n < room ? n : room;
        uint64_t at = u->vec->base + u->offset;
        if (!u->kernel && bad(at, step))
            return -EFAULT;
        if (!data)
            memset((void *)at, 0, step);
        else if (out)
            memcpy((void *)at, data, step);
        else
            memcpy(data, (void *)at, step);
        data = data ? data + step : NULL;
        n -= step;
        u->offset += step;
        u->left -= step;
        u->done += step;
        if (u->offset == u->vec->len) {
            u->vec++;
            u->count--;
            u->offset = 0;
        }
    }
    return 0;
}

int uio_copy_out(struct uio *u, const void *src, size_t n)
{
    return uio_move(u, (char *)src, n, true);
}

int uio_zero_out(struct uio *u, size_t n)
{
    return uio_move(u, NULL, n, true);
}

int uio_copy_in(struct uio *u, void *dst, size_t n)
{
    return uio_move(u, dst, n, false);
}

void uio_revert(struct uio *u, size_t n, const struct uio *start)
{
    size_t keep = u->done - start->done - n;
    *u = *start;
    char skip[256];
    while (keep) {
        size_t step = keep < sizeof skip ? keep : sizeof skip;
        uio_move(u, skip, step, false);
        keep -= step;
    }
}
