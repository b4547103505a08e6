/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the tool, one file each (cmd_*.c). A command gets its words
 * after its name and returns the exit status through *status, or false with err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "options.h"

struct verb_family;

struct command {
    const char *name;
    const char *usage;                  /* the words after `ops` */
    const char *summary;                /* one line */
    const char *text;                   /* more for `--help`; may be NULL */
    const struct option_table *options; /* NULL: it has verbs */
    const struct verb_family *verbs;
    bool (*run)(const struct command *self, char **words, int *status, struct err *err);
};

extern const struct command cmd_build, cmd_check, cmd_completion, cmd_compose, cmd_config,
    cmd_deploy, cmd_image, cmd_instance, cmd_manual, cmd_network, cmd_pkg, cmd_profile, cmd_run,
    cmd_version, cmd_volume;

/* The command, NULL behind the last one. */
const struct command *command_at(size_t i);

/* The command of that name; NULL: none. */
const struct command *command_find(const char *name);

/* Prints the help of one command on stdout. */
void command_help(const struct command *c);
