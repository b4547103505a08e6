/* SPDX-License-Identifier: Apache-2.0 */
/* The boot partition of a disk made by `ops build`: kernel and manifest. */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "image_digest.h"
#include "strlist.h"

struct image_boot {
    struct buf manifest; /* its text */
    char *kernel;        /* the kernel's version; NULL: unknown */
    unsigned char kernel_digest[DIGEST_SIZE], manifest_digest[DIGEST_SIZE]; /* as they are now */
    struct image_digests built; /* as they were when it was built */
    bool recorded;              /* that is known */
};

/* Reads both. *disk: it is a disk; a bare filesystem has neither, which is no error. */
bool image_boot_read(const char *file, struct image_boot *b, bool *disk, struct err *err);
void image_boot_free(struct image_boot *b);

/* A manifest as it stands on a disk: with its seal (include/ops/manifest.h). */
void image_boot_seal(struct buf *to, const struct buf *manifest);

/* The values of a key, escapes resolved, in order. */
void image_boot_values(const struct image_boot *b, const char *key, struct strlist *values);

/* Replaces the values of a LIST key, the other lines stay, and writes manifest and digests. Errors:
 * UEFI machines load another copy, which is signed. */
bool image_boot_replace(const char *file, struct image_boot *b, const char *key,
                        const struct strlist *values, struct err *err);
