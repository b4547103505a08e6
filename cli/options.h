/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one option parser. A command declares its options in a table; parsing and
 * the text of `--help` both come from it. Options end at the first word that is
 * not one (the program) or at `--`; what follows belongs to the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "err.h"

enum option_type {
    OPTION_FLAG,  /* bool: becomes true */
    OPTION_TEXT,  /* const char *: the last one given wins; points into argv */
    OPTION_LIST,  /* struct strlist: every one given, in order */
    OPTION_MAYBE, /* const char *: --name=TEXT, or --name for the `bare` text */
};

struct option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_type type;
    size_t offset;        /* of the field in the command's struct */
    const char *argument; /* what the help calls the value; NULL for a flag */
    const char *help;     /* one line */
    const char *bare;     /* OPTION_MAYBE: the value of the bare option */
};

struct option_table {
    const struct option *rows;
    size_t count;
};

/*
 * Reads argv[*next...] into the fields of `out` and leaves *next at the first
 * word that is not an option. `--help` and `-h` end it with *help set.
 * Errors (OPS_EXIT_USAGE): unknown option with the nearest one, missing value.
 */
bool options_parse(const struct option_table *table, void *out, char **argv, int *next, bool *help,
                   struct err *err);

/* Reads the one option at argv[*next], which starts with a dash, and moves *next behind it. */
bool options_take(const struct option_table *table, void *out, char **argv, int *next, bool *help,
                  struct err *err);

/* The option list of a command's help, one line each, aligned. */
void options_print(const struct option_table *table, FILE *to);
