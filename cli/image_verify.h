/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is an image what was built? Its signature, a file beside it called FILE.minisig, vouches for
 * every byte of any format. A raw disk also holds digests of its parts (image_digest.h), which
 * find damage, but no forger who changes both.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "image_boot.h"

/* Can `key` sign? Asked before any work. */
bool image_sign_ready(const char *key, struct err *err);

/* Signs the finished `path` with the secret key in the file `key`; the trusted comment says name,
 * format and SHA-256. Prints nothing. */
bool image_sign(const char *path, const char *format, const char *key, struct err *err);

/* `key`: a public key or its file. Errors: there is no signature, or it does not hold. */
bool image_signature_verify(const char *path, const char *key, struct err *err);

/* What costs little, before a disk is run: sizes, tables, superblocks, and the digests of kernel
 * and manifest; prints nothing. `b` is filled, freed with image_boot_free(), also after a failure.
 */
bool image_sound(const char *path, struct image_boot *b, struct err *err);

/* Is there a signature? */
bool image_signed(const char *path);

/* Compares sizes, tables, superblocks and digests, and prints a line each. Errors: what is wrong
 * with the first. *disk: the file is one; of others nothing is known. */
bool image_parts_verify(const char *path, bool *disk, struct err *err);
