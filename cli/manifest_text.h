/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest as text (include/ops/manifest.h): its fields come from that
 * header's key table, so tool and kernel cannot disagree about the names.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "ops/manifest.h"
#include "strlist.h"

#define MANIFEST_STR  const char *
#define MANIFEST_LIST struct strlist
#define MANIFEST_NUM  uint64_t
#define MANIFEST_BOOL bool

#define MANIFEST_FIELD(type, name, initial) MANIFEST_##type name;
struct manifest {
    OPS_MANIFEST_KEYS(MANIFEST_FIELD)
};
#undef MANIFEST_FIELD

/* All keys at their defaults. The strings are borrowed, the lists owned. */
void manifest_init(struct manifest *m);
void manifest_free(struct manifest *m);

/* Adds the text to `out`; keys at their default are left out. Errors: larger than
 * OPS_MANIFEST_MAX. */
bool manifest_write(const struct manifest *m, struct buf *out, struct err *err);

/* The escape of values, also used on the control channel: adds `s` escaped to `out`. */
void manifest_escape(struct buf *out, const char *s);

/* The reverse, in place. Anything that is not an escape stays as it is. */
void manifest_unescape(char *s);
