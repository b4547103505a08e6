/* SPDX-License-Identifier: Apache-2.0 */
/* Names of functions from an ELF file's symbol tables. */
#pragma once

#include <stdint.h>

/*
 * The function that holds the byte at `offset` of the file, and how far into it that
 * is. Freed with free(); NULL when the file cannot be read or names none.
 */
char *symbols_find(const char *path, uint64_t offset, uint64_t *into);
