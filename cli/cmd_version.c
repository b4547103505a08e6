/* SPDX-License-Identifier: Apache-2.0 */
/* `ops version`: one line, asks nobody. */
#include <stdio.h>

#include "command.h"
#include "ops/exit.h"

static const struct option_table version_options = {0};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    bool help;
    int next = 0;
    (void)status;
    if (!options_parse(self->options, NULL, words, &next, &help, err))
        return false;
    if (help)
        command_help(self);
    else if (words[next])
        return err_set(err, OPS_EXIT_USAGE, NULL, "version takes no argument");
    else
        puts("ops " OPS_VERSION);
    return true;
}

const struct command cmd_version = {
    .name = "version",
    .usage = "version",
    .summary = "print the tool's version",
    .options = &version_options,
    .run = run,
};
