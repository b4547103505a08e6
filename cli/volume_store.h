/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes by name: one ext4 file each, NAME.ext4 in $XDG_DATA_HOME/ops/volumes (else
 * ~/.local/share/ops/volumes), labelled with the name. A volume appears whole, by
 * rename; what a killed ops left is swept by the next `create`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

#define VOLUME_NAME_MAX 16 /* an ext4 label has no more bytes */

/* Letters, digits, `.`, `_` and `-`, the first a letter or digit, not a name that ops uses. */
bool volume_name_check(const char *name, struct err *err);

/* The directory, freed with free(). NULL: see err. */
char *volume_dir(struct err *err);

/* The names there are, sorted. A store that does not exist is empty. */
bool volume_names(struct strlist *names, struct err *err);

/* The file of a volume, freed with free(): a name of the store, a UUID of one there, or, with a
 * slash in it, a file. NULL: see err, with the nearest name. */
char *volume_path(const char *name, struct err *err);

struct volume_wish {
    uint64_t size;     /* bytes; 0: by need */
    const char *dir;   /* what is copied into it; NULL: nothing */
    uint32_t uid, gid; /* who owns all of it */
};

bool volume_create(const char *name, const struct volume_wish *wish, struct err *err);

bool volume_delete(const char *name, struct err *err);

/* The UUID of the filesystem in a bare file, also while somebody uses it. */
bool volume_uuid(const char *path, char text[37], struct err *err);
