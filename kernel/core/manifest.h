/* SPDX-License-Identifier: Apache-2.0 */
/* The parsed manifest: one field a key of include/ops/manifest.h. */
#pragma once

#include "lib/types.h"
#include "ops/manifest.h"

struct manifest_list {
    unsigned count;
    const char **item; /* terminated strings, in order */
};

#define MANIFEST_TYPE_STR               const char *
#define MANIFEST_TYPE_LIST              struct manifest_list
#define MANIFEST_TYPE_NUM               uint64_t
#define MANIFEST_TYPE_BOOL              bool
#define MANIFEST_FIELD(type, name, def) MANIFEST_TYPE_##type name;

struct manifest {
    OPS_MANIFEST_KEYS(MANIFEST_FIELD)
};

/*
 * Parses `n` bytes in place: `text` is changed and must outlive `m`; list
 * arrays come from `alloc` (bytes; NULL when out of memory). 0; -EINVAL for a
 * malformed text, with *line its line from 1 and *why a static reason; -ENOMEM.
 */
int manifest_parse(struct manifest *m, char *text, size_t n, void *(*alloc)(size_t), unsigned *line,
                   const char **why);
