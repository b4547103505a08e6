/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables in the strings of a configuration, after it was parsed, so that no value can
 * change what it means: $NAME, ${NAME}, ${NAME:-instead}; `$$` is a dollar sign, and a dollar
 * sign before anything else is one too.
 */
#pragma once

#include "strlist.h"

/* The text with its variables' values, freed with free(); NULL: *missing (freed with free()) is a
 * variable that is not set, or a text with an open brace, "${". `used` gets the variables' names.
 */
char *interpolate(const char *text, struct strlist *used, char **missing);
