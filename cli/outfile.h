/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that appears whole or not at all: it is written beside its place under a fixed
 * name (a killed build's is reused; a lock says whether somebody still writes it), and
 * renamed when all of it is on the medium. What is there already stays until then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

struct outfile {
    const char *path; /* where it goes; borrowed */
    char *dir, *temp;
    int fd;
};

/* Errors: the place cannot be written, is not a regular file, or another process writes it. */
bool outfile_begin(struct outfile *o, const char *path, struct err *err);

/* `ok`: everything is written: puts it in place. False (of `ok`, or with err): nothing is left. */
bool outfile_end(struct outfile *o, bool ok, struct err *err);

/* An empty file without a name, in the same directory: gone with its descriptor. -1: see err. */
int outfile_scratch(const struct outfile *o, struct err *err);

/* The whole of a small text file, likewise. */
bool outfile_text(const char *path, const char *text, struct err *err);

/* All bytes at `offset`. Errors name the file `shown`; one that is cut short is a full disk. */
bool outfile_put(int fd, const char *shown, const void *bytes, size_t n, off_t offset,
                 struct err *err);
