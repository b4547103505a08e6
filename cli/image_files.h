/* SPDX-License-Identifier: Apache-2.0 */
/* All files of an image, in order: of its filesystem, or of the plan it is built of. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "err.h"
#include "ext4file.h"
#include "sha1.h"
#include "tree.h"

struct image_file {
    char *path;   /* in the guest */
    char *source; /* where it was on this host, or could have been; NULL: ops made it */
    uint64_t size;
    unsigned char sha1[SHA1_SIZE], sha256[DIGEST_SIZE]; /* where they were asked for */
};

struct image_files {
    struct image_file *items;
    size_t count;
};

/* Regular files only. Freed with image_files_free(), also after a failure. */
bool image_files_of_root(struct image_files *l, struct ext4file *f, bool digests, struct err *err);
bool image_files_of_tree(struct image_files *l, const struct tree *t, struct err *err);
void image_files_free(struct image_files *l);
