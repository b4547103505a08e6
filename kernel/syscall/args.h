/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding that adapters of several families share: paths, descriptors, vectors, times. */
#pragma once

#include "file/file.h"
#include "fs/path.h"

#define RW_MAX    0x7ffff000ul /* most bytes of one transfer */
#define IOV_LIMIT 1024
#define IOV_STACK 8

/* The (dirfd, path) of an *at() call. */
struct at {
    char *name;         /* kmalloc'ed */
    struct file *file;  /* dirfd's, referenced; NULL: the working directory, or name is absolute */
    struct path *start; /* of it; not referenced of its own; NULL likewise */
};

/*
 * Copies the path and looks dirfd up. With `empty` "" stands for dirfd itself,
 * which then may be a file without path: at->start is NULL and at->file not.
 * -EFAULT, -ENAMETOOLONG, -ENOENT, -EBADF, -ENOTDIR, -ENOMEM.
 */
int at_get(struct at *at, int dirfd, struct uptr name, bool empty);
/* The same for a name whose leading slashes mean dirfd, too (openat2: RESOLVE_IN_ROOT). */
int at_get_in_root(struct at *at, int dirfd, struct uptr name);
void at_put(struct at *at);
/* True: the name is "" and at->file is meant. */
bool at_is_file(const struct at *at);
/* What it names, referenced; `flags`: AT_* (AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH). */
int at_walk(const struct at *at, unsigned flags, struct path **out);

/* The process's file of a descriptor; pair with file_put(). */
int file_of(int fd, struct file **out);
int file_of_any(int fd, struct file **out);
/* A descriptor for a file whose reference it takes over, also on failure. */
int file_install(struct file *f, bool cloexec);
/* The same for both ends of a pipe or a pair of sockets; the descriptors go to int fds[2]. */
int file_install_pair(struct file *end[2], struct uptr fds, bool cloexec);

/* A user's iovec array as a uio. */
struct iov {
    struct uio uio;
    struct uio_vec *vec; /* small, or kmalloc'ed */
    struct uio_vec small[IOV_STACK];
};
int iov_get(struct iov *v, struct uptr vec, unsigned long count);
void iov_put(struct iov *v);
/* One buffer; -EFAULT outside user space. */
int buffer_get(struct uio *u, struct uio_vec *vec, struct uptr buf, unsigned long count);

/* A struct timespec (NULL: CLOCK_NEVER) as a deadline; -EINVAL, -EFAULT. */
int deadline_get(struct uptr timespec, uint64_t *deadline);
/* Milliseconds, negative: for ever. */
uint64_t deadline_ms(int ms);
