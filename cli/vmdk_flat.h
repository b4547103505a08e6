/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as VMware's monolithicFlat: the descriptor, a text, and beside it the raw disk. */
#pragma once

#include <stdbool.h>

#include "err.h"

/* The file of the raw disk: NAME-flat.vmdk for NAME.vmdk. Freed with free(). */
char *vmdk_flat_extent(const char *path);

/* Writes the descriptor `path` of the raw disk that stands in the other file. */
bool vmdk_flat_describe(const char *path, const char *extent, struct err *err);
