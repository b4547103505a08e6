/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image is made of, as SPDX 2.3 in JSON: every file with SHA-1 and SHA-256, and the
 * packages they came from. Of files of this host dpkg says which; of a package of `ops pkg` its
 * package.origin. Licences are not looked at: NOASSERTION. Dated by SOURCE_DATE_EPOCH, else
 * 1970; equal images on equal hosts give equal bytes.
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "image_files.h"
#include "image_digest.h"

/* Adds the document of the image called `name`. `package`: the directory of a package (NULL: none).
 * `verify`: a file counts as this host's only if its content is the same. */
bool sbom_make(struct buf *to, const char *name, const struct image_files *files,
               const char *package, bool verify, struct err *err);
