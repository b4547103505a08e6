/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory side of a read or write: a list of pieces, in user or in kernel
 * memory, consumed from the front. `done` counts what has been transferred.
 */
#pragma once

#include "vm/uaccess.h"

struct uio_vec {
    uint64_t base; /* user address, or kernel pointer */
    uint64_t len;
};

struct uio {
    const struct uio_vec *vec; /* current piece */
    size_t count;              /* pieces left, the current one included */
    size_t offset;             /* into the current piece */
    size_t left;               /* bytes still to transfer */
    size_t done;               /* bytes transferred */
    bool kernel;               /* the pieces are kernel memory */
    uint8_t flags;             /* UIO_*: this transfer only */
};

#define UIO_APPEND 1 /* to the end of the file */
#define UIO_DSYNC  2 /* as if the file were open with O_DSYNC, */
#define UIO_SYNC   4 /* or O_SYNC */
#define UIO_CACHED 8 /* -EAGAIN rather than waiting for a disk */

/* `vec` must outlive `u`. */
void uio_init(struct uio *u, const struct uio_vec *vec, size_t count);
/* One piece; `vec` is storage of the caller's for it. */
static inline void uio_init_user(struct uio *u, struct uio_vec *vec, struct uptr base, size_t len)
{
    *vec = (struct uio_vec){base.addr, len};
    *u = (struct uio){.vec = vec, .count = 1, .left = len};
}
void uio_init_kernel(struct uio *u, struct uio_vec *vec, void *base, size_t len);
/* Data to the pieces (a read): 0 or -EFAULT; `done` tells how far it came. */
int uio_copy_out(struct uio *u, const void *src, size_t n);
int uio_zero_out(struct uio *u, size_t n);
/* Data from the pieces (a write). */
int uio_copy_in(struct uio *u, void *dst, size_t n);
/* Steps back by n bytes that were transferred but could not be used. */
void uio_revert(struct uio *u, size_t n, const struct uio *start);
