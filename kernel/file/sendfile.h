/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendfile(2): bytes of one file to another. Where the one keeps them in pages of a cache and the
 * other can point to those, nothing is copied; else they go through a buffer.
 */
#pragma once

#include "file/file.h"

#define FILE_PAGES 16

/* Bytes in pages of a page cache that somebody wants to have sent. */
struct file_pages {
    struct page *page[FILE_PAGES]; /* referenced by whoever filled this in */
    unsigned count;
    unsigned next; /* the first page with bytes to send, */
    size_t from;   /* which begin here */
    size_t left;   /* bytes */
    bool end;      /* they are the file's last */
    bool more;     /* the sender has more */
};

/*
 * Sends up to `count` bytes from *pos of `in`, and moves *pos; to *to of `out`, or (NULL) to its
 * own position. Blocks as `out` says. Bytes, 0 at the end, or the error of either file.
 */
ssize_t file_send(struct file *out, uint64_t *to, struct file *in, uint64_t *pos, size_t count);
