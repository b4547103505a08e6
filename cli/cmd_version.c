/* SPDX-License-Identifier: Apache-2.0 */
/* `ops version`: one line, asks nobody. */
#include <stdio.h>

#include "command.h"
#include "ops/exit.h"

static const struct option version_row = {
    .name = "json", .type = OPTION_FLAG, .offset = 0, .help = "print JSON"};
static const struct option_table version_options = {&version_row, 1};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    bool help, json = false;
    int next = 0;
    (void)status;
    if (!options_parse(self->options, &json, words, &next, &help, err))
        return false;
    if (help)
        command_help(self);
    else if (words[next])
        return err_set(err, OPS_EXIT_USAGE, NULL, "version takes no argument");
    else
        puts(json ? "{\"ops\": \"" OPS_VERSION "\"}" : "ops " OPS_VERSION);
    return true;
}

const struct command cmd_version = {
    .name = "version",
    .usage = "version [--json]",
    .summary = "print the tool's version",
    .options = &version_options,
    .run = run,
};
