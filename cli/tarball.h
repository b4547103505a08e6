/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar archives of single files as clouds want them, with all times and owners zero. Written
 * to the end of a file, plain or through gzip.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct tarball {
    int fd;
    void *gz; /* of zlib; NULL: plain */
    off_t at; /* where the next plain byte goes */
    const char *shown;
    unsigned owner; /* user and group of what is added; 0: root */
};

/* `shown`: what messages call the file; stays borrowed. */
bool tarball_begin(struct tarball *a, int fd, const char *shown, bool gzip, struct err *err);

/* Adds a file of `size` bytes: `bytes`, or (NULL) what the descriptor `from` starts with. */
bool tarball_add(struct tarball *a, const char *name, uint64_t size, const void *bytes, int from,
                 struct err *err);

/* Adds a directory; its name ends in a slash. */
bool tarball_add_dir(struct tarball *a, const char *name, struct err *err);

/* Writes the end (`ok`) and frees. Returns `ok` and whether that went well. */
bool tarball_end(struct tarball *a, bool ok, struct err *err);
