/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the file side share: cmocka, and files by path as the kernel sees them. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fs/fs.h"
#include "fs/mount.h"

extern struct fs_context ctx; /* the test's own */

static inline int t_open(const char *path, uint32_t flags, struct file **f)
{
    return fs_open(&ctx, NULL, path, flags, 0644, 0, f);
}

static inline ssize_t t_read(struct file *f, void *buf, size_t n)
{
    struct uio_vec v;
    struct uio u;
    uio_init_user(&u, &v, (struct uptr){(uint64_t)buf}, n);
    return file_read(f, &u, NULL);
}

static inline ssize_t t_write(struct file *f, const void *buf, size_t n)
{
    struct uio_vec v;
    struct uio u;
    uio_init_user(&u, &v, (struct uptr){(uint64_t)buf}, n);
    return file_write(f, &u, NULL);
}

/* Names of a directory in order, each behind a space. */
static inline int t_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned type,
                         uint64_t next)
{
    char *out = arg;
    (void)ino, (void)type, (void)next;
    size_t n = strlen(out);
    if (n + len + 2 < 4096)
        snprintf(out + n, 4096 - n, " %.*s", (int)len, name);
    return 0;
}

static inline int t_list(const char *path, char out[4096])
{
    struct file *f;
    int err = t_open(path, 0, &f);
    out[0] = 0;
    if (err)
        return err;
    err = f->ops->readdir ? f->ops->readdir(f, t_name, out) : -ENOTDIR;
    file_put(f);
    return err;
}
