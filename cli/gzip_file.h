/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) into a file, as one member without name and time: equal bytes give equal bytes.
 * Long runs of zeros cost next to nothing: GZIP_ZEROS of them are packed once, so that nothing
 * before is needed to unpack them (a full flush stands on both sides), and then repeated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define GZIP_ZEROS ((size_t)1 << 20)

struct gzip_file;

/* From the start of the file; messages call it `shown`, which stays borrowed. NULL: see err. */
struct gzip_file *gzip_file_begin(int fd, const char *shown, struct err *err);

bool gzip_file_put(struct gzip_file *g, const void *bytes, size_t n, struct err *err);

/* Adds GZIP_ZEROS zeros. */
bool gzip_file_put_zeros(struct gzip_file *g, struct err *err);

/* Writes the end (`ok`) and frees. Returns `ok` and whether that went well. */
bool gzip_file_end(struct gzip_file *g, bool ok, struct err *err);
