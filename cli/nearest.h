/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean ...": the known word nearest to a mistyped one. */
#pragma once

#include <stddef.h>

/*
 * Among `count` words (NULL ones are skipped) the one with the smallest edit
 * distance to `word`, ignoring case; NULL when none is near enough to be meant.
 */
const char *nearest_word(const char *word, const char *const *words, size_t count);
