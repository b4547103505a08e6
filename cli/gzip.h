/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952) in memory, without name and time: equal bytes give equal bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "err.h"

/* Adds `size` bytes to `to`, packed. */
void gzip_pack(struct buf *to, const void *bytes, size_t size);

/* Adds what is packed in `from`, called `name` in messages, to `to`; bytes that are not gzip's are
 * taken as they are. Errors: damaged; more than `limit` bytes. */
bool gzip_unpack(struct buf *to, const struct buf *from, size_t limit, const char *name,
                 struct err *err);
