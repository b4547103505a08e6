/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root filesystem images of `ops run`, kept in $XDG_CACHE_HOME/ops (else
 * ~/.cache/ops) under a digest of what they are made from: the file list with
 * the identity and times of every source, and the tool's version. Arguments and
 * environment are not part of an image. Safe with many runs at once and with
 * SIGKILL: an image appears whole, by rename, under a lock; what a killed run
 * left is swept by the next one that builds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "tree.h"

struct cache_image {
    char *path; /* what QEMU opens; freed with free() */
    int fd;     /* keeps a temporary image alive, inherited by QEMU; -1: not needed */
    bool built; /* false: it was there */
    char *note; /* why it could not be kept (one sentence), NULL: it was; freed with free() */
};

/* The image of `t` with `size` bytes (0: by need). Errors: a source that cannot be read, disk
 * full. A cache that cannot be written is no error: the image is then temporary. */
bool cache_root_image(const struct tree *t, uint64_t size, struct cache_image *image,
                      struct err *err);
