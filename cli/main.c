/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool: a table of commands, and the one place that prints errors. stdout is
 * data, stderr is talk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootchart.h"
#include "command.h"
#include "nearest.h"
#include "ops/exit.h"

#define COMMANDS_MAX 64

void command_help(const struct command *c)
{
    printf("usage: ops %s\n\n%s.\n", c->usage, c->summary);
    if (c->text)
        printf("\n%s", c->text);
    printf("\noptions:\n");
    options_print(c->options, stdout);
}

static void help(FILE *to)
{
    fprintf(to, "usage: ops COMMAND ...\n\nRuns unmodified Linux programs as unikernels.\n\n");
    for (size_t i = 0; command_at(i); i++)
        fprintf(to, "  %-10s %s\n", command_at(i)->name, command_at(i)->summary);
    fprintf(to, "  %-10s %s\n\n`ops COMMAND --help` says more.\n", "help", "this text");
}

static bool command_unknown(const char *name, struct err *err)
{
    const char *names[COMMANDS_MAX] = {"help"};
    size_t count = 1;
    for (; count < COMMANDS_MAX && command_at(count - 1); count++)
        names[count] = command_at(count - 1)->name;
    const char *near = nearest_word(name, names, count);
    err_set(err, OPS_EXIT_USAGE, "`ops help` lists the commands", "unknown command %s", name);
    if (near)
        err_hint(err, "did you mean `ops %s`?", near);
    else if (access(name, F_OK) == 0)
        err_hint(err, "write `ops run %s` to run that program", name);
    return false;
}

static bool help_command(char **words, struct err *err)
{
    const struct command *c = words[0] ? command_find(words[0]) : NULL;
    if (words[0] && !c)
        return command_unknown(words[0], err);
    char *ask[] = {"--help", NULL};
    int status;
    if (c && !c->options) /* it has verbs */
        return c->run(c, ask, &status, err);
    if (c)
        command_help(c);
    else
        help(stdout);
    return true;
}

static bool dispatch(char **argv, int *status, struct err *err)
{
    const char *name = argv[1];
    if (!name) {
        help(stderr);
        *status = OPS_EXIT_USAGE;
        return true;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help_command(argv + 2, err);
    const struct command *c = command_find(strcmp(name, "--version") == 0 ? "version" : name);
    return c ? c->run(c, argv + 2, status, err) : command_unknown(name, err);
}

/* Standard streams that the caller closed must not become our files. */
static void streams_open(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            exit(OPS_EXIT_FAILED);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    int status = OPS_EXIT_OK;
    (void)argc;
    chart_begin();
    streams_open();
    bool ok = dispatch(argv, &status, &err);
    if (ok && (fflush(stdout) != 0 || ferror(stdout)))
        ok = err_errno(&err, "write", "standard output");
    if (!ok) {
        fprintf(stderr, "ops: %s\n", err.message);
        if (err.hint)
            fprintf(stderr, "hint: %s\n", err.hint);
        status = err.exit;
    }
    err_free(&err);
    return status;
}
