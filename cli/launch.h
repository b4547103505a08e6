/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `run` and `build` share: reading the common options and the questions
 * they answer without doing anything (--list-files, --print-manifest).
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "options.h"
#include "plan.h"

/* Rows for the option tables of both commands. */
#define LAUNCH_OPTIONS                                                                             \
    {.name = "config",                                                                             \
     .letter = 'c',                                                                                \
     .type = OPTION_TEXT,                                                                          \
     .offset = offsetof(struct request, config),                                                   \
     .argument = "FILE",                                                                           \
     .help = "configuration (JSON) instead of ./ops.json"},                                        \
        {.name = "entrypoint",                                                                     \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, entrypoint),                                           \
         .argument = "PATH",                                                                       \
         .help = "start this program of a package or image, not its own"},                         \
        {.name = "env",                                                                            \
         .letter = 'e',                                                                            \
         .type = OPTION_LIST,                                                                      \
         .offset = offsetof(struct request, env),                                                  \
         .argument = "NAME=VALUE",                                                                 \
         .help = "set a variable; NAME alone takes it from here"},                                 \
        {.name = "env-file",                                                                       \
         .type = OPTION_LIST,                                                                      \
         .offset = offsetof(struct request, env_files),                                            \
         .argument = "FILE",                                                                       \
         .help = "set variables: NAME=value or NAME, a line each"},                                \
        {.name = "exclude",                                                                        \
         .type = OPTION_LIST,                                                                      \
         .offset = offsetof(struct request, exclude),                                              \
         .argument = "PATTERN",                                                                    \
         .help = "do not add files by itself that match (/etc/*)"},                                \
        {.name = "hostname",                                                                       \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, hostname),                                             \
         .argument = "NAME",                                                                       \
         .help = "what the program takes for its host's name (ops)"},                              \
        {.name = "kernel",                                                                         \
         .type = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct request, kernel),                                               \
         .argument = "FILE",                                                                       \
         .help = "another kernel.elf than the tool's own"},                                        \
        {.name = "list-files",                                                                     \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct request, list_files),                                           \
         .help = "print what the image would hold, whence and why"},                               \
        {.name = "mounts",                                                                         \
         .type = OPTION_LIST,                                                                      \
         .offset = offsetof(struct request, mounts),                                               \
         .argument = "NAME:/path[:ro]",                                                            \
         .help = "mount a volume (`ops volume`) there"},                                           \
        {.name = "no-aslr",                                                                        \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct request, no_aslr),                                              \
         .help = "load everything at fixed addresses"},                                            \
        {.name = "no-config",                                                                      \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct request, no_config),                                            \
         .help = "read no configuration file (ops.json, the user's)"},                             \
        {.name = "no-system-files",                                                                \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct request, no_system_files),                                      \
         .help = "add only the program and its libraries"},                                        \
    {                                                                                              \
        .name = "print-manifest", .type = OPTION_FLAG,                                             \
        .offset = offsetof(struct request, print_manifest),                                        \
        .help = "print what the kernel is told"                                                    \
    }

/* Prints what --list-files or --print-manifest ask for; *done: something was asked. */
bool launch_answer(const struct plan *p, const struct request *r, bool *done, struct err *err);

/* The kernel file: --kernel, else beside the tool, else ../share/ops/ of it. Freed with free(). */
char *launch_kernel(const struct request *r, struct err *err);
