/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that may be compressed (gzip, xz, zstd, bzip2; told by their first bytes), read in one
 * pass and within a budget. Checksums of the compression are verified.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "budget.h"
#include "digest.h"
#include "err.h"

struct stream;

/* Reads `size` bytes of the descriptor from where it stands (UINT64_MAX: all there are; less is an
 * error otherwise). `name` is for messages; it, the budget and the descriptor must outlive the
 * stream. Never NULL. */
struct stream *stream_open(const char *name, int fd, uint64_t size, struct budget *budget);

/* The next bytes, which are valid until the next call; 0: the end. -1: see err. */
ssize_t stream_next(struct stream *s, const void **bytes, struct err *err);

/* Reads what is left, so that all checksums are verified. */
bool stream_drain(struct stream *s, struct err *err);

/* Before the first byte: stream_digest() will be asked. */
void stream_hash(struct stream *s);

/* SHA-256 of all that stream_next() gave. */
void stream_digest(const struct stream *s, unsigned char digest[DIGEST_SIZE]);

const char *stream_name(const struct stream *s);
void stream_close(struct stream *s);
