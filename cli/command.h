/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the tool, one file each (cmd_*.c). A command gets its words
 * after its name and returns the exit status through *status, or false with err.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "options.h"

struct command {
    const char *name;
    const char *usage;   /* the words after `ops` */
    const char *summary; /* one line */
    const char *text;    /* more for `--help`; may be NULL */
    const struct option_table *options;
    bool (*run)(const struct command *self, char **words, int *status, struct err *err);
};

extern const struct command cmd_build, cmd_config, cmd_image, cmd_instance, cmd_profile, cmd_run,
    cmd_version, cmd_volume;

/* Prints the help of one command on stdout. */
void command_help(const struct command *c);
