/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could stand where the cursor is, from the tables that parse the command line. The
 * shells' scripts only ask for it (`ops completion words`). What an option's value or a verb's
 * operand is, its name in the help says: FILE, DIR, VOLUME, INSTANCE, PROGRAM, a|b|c.
 */
#pragma once

#include "strlist.h"

enum complete_more { COMPLETE_NOTHING, COMPLETE_FILES, COMPLETE_DIRS };

/* Adds pairs (word, description) for the last of `words`, which is what is there so far. Returns
 * what of the filesystem could stand there too. */
enum complete_more complete_words(char **words, size_t count, struct strlist *pairs);
