/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: see command.h. */
#include <string.h>

#include "command.h"

static const struct command *const commands[] = {
    &cmd_run,    &cmd_instance,   &cmd_build,  &cmd_check,   &cmd_deploy,
    &cmd_image,  &cmd_volume,     &cmd_pkg,    &cmd_network, &cmd_compose,
    &cmd_config, &cmd_completion, &cmd_manual, &cmd_profile, &cmd_version};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

const struct command *command_at(size_t i)
{
    return i < COMMAND_COUNT ? commands[i] : NULL;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}
