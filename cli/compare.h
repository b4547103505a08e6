/* SPDX-License-Identifier: Apache-2.0 */
/* OPS' commands and flags, and how ours stand to them: for docs/commands.md. Its configuration
 * keys are in config_keys.c. */
#pragma once

#include "config_keys.h"

struct compared {
    const char *theirs; /* as OPS' help writes it */
    const char *ours;   /* a command line's beginning, "" for none */
    enum key_mark mark;
    const char *why; /* NULL: the same */
};

extern const struct compared compared_commands[], compared_flags[]; /* ended by a NULL name */
