/* SPDX-License-Identifier: Apache-2.0 */
/* `ops manual`: manual pages and the table of all commands, from the tables that parse them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cmd_run.h"
#include "command.h"
#include "compare.h"
#include "hostpath.h"
#include "ops/exit.h"
#include "settings.h"
#include "verbs.h"

/* An option as the help writes it: "-m, --memory SIZE". */
static char *option_text(const struct option *o)
{
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    bool maybe = o->type == OPTION_MAYBE;
    return alloc_printf("%s--%s%s%s%s", letter, o->name,
                        !o->argument ? ""
                        : maybe      ? "[="
                                     : " ",
                        o->argument ? o->argument : "", maybe ? "]" : "");
}

/* A table's cell: bars would end it. */
static void cell_print(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

static void row_print(const char *command, const char *words, const char *summary)
{
    printf("| `");
    cell_print(command);
    if (*words)
        putchar(' ');
    cell_print(words);
    printf("` | ");
    cell_print(summary);
    puts(" |");
}

static void options_rows(const struct option_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        char *text = option_text(&t->rows[i]);
        row_print(text, "", t->rows[i].help);
        free(text);
    }
}

static void command_rows(const struct command *c)
{
    printf("\n## ops %s\n\n%c%s.\n\n| | |\n|---|---|\n", c->name, toupper(c->summary[0]),
           c->summary + 1);
    if (!c->verbs) {
        row_print("ops", c->usage, c->summary);
        options_rows(c->options);
        return;
    }
    for (size_t i = 0; i < c->verbs->count; i++) {
        const struct verb *v = &c->verbs->verbs[i];
        char *name = alloc_printf("ops %s", c->name);
        row_print(name, v->usage, v->summary);
        const struct option_table t = {v->options, v->option_count};
        if (v->run)
            options_rows(&t);
        else if (c->verbs->program != &run_options) /* those stand with `ops run` */
            options_rows(c->verbs->program);
        free(name);
    }
}

static const char *const marks[] = {
    [MARK_YES] = "yes", [MARK_BETTER] = "better", [MARK_NOT] = "not", [MARK_OURS] = "only here"};

/* "yes" with a reason stands alone where there is none. */
static void compared_rows(const struct compared *all)
{
    puts("| OPS | here | | |\n|---|---|---|---|");
    for (const struct compared *c = all; c->theirs; c++)
        printf("| `%s` | %s%s%s | %s | %s |\n", c->theirs, *c->ours ? "`ops " : "", c->ours,
               *c->ours ? "`" : "", marks[c->mark], c->why ? c->why : "");
}

static const char *key_effect(const struct key *k)
{
    return k->type == KEY_REFUSED || k->type == KEY_KLIBS ? "refused"
           : k->type == KEY_NOTED                         ? "no effect"
                                                          : key_expected(k);
}

static void keys_rows(const struct key *table, const char *prefix)
{
    for (const struct key *k = table; k->name; k++) {
        char *variable = key_is_setting(k) ? key_variable(k) : NULL;
        printf("| `%s%s` | %s | %s%s%s | %s | %s |\n", prefix, k->name, key_effect(k),
               variable ? "`" : "", variable ? variable : "", variable ? "`" : "", marks[k->mark],
               k->why ? k->why : "");
        free(variable);
    }
    for (const struct key *k = table; k->name; k++) {
        char *longer = k->table ? alloc_printf("%s%s.", prefix, k->name) : NULL;
        if (longer)
            keys_rows(k->table, longer);
        free(longer);
    }
}

static bool table_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    (void)r, (void)operands, (void)count, (void)status, (void)err;
    puts("# Commands, options and keys\n\nMade by `ops manual table`; `make lint` says when it is"
         " old. OPS is the tool of the Nanos\nunikernel, whose configurations and habits are taken"
         " over where they make sense.");
    for (size_t i = 0; command_at(i); i++)
        command_rows(command_at(i));
    puts("\n## OPS' commands\n");
    compared_rows(compared_commands);
    puts("\n## OPS' flags\n");
    compared_rows(compared_flags);
    puts(
        "\n## Configuration keys\n\nLowest first: defaults; `~/.opsrc`; `~/.config/ops/config.json`"
        "; `ops.json` in the current directory or the\nfile of `-c`; the variables below; flags."
        " The last column but one says how a key stands to OPS'.\n\n"
        "| Key | Value | Variable | | |\n|---|---|---|---|---|");
    keys_rows(config_keys, "");
    return true;
}

/* Text of a page: roff takes a backslash, a leading dot or quote, and dashes for its own. */
static void roff_print(FILE *to, const char *text)
{
    for (bool start = true; *text; start = *text++ == '\n') {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
    }
}

static void roff_options(FILE *to, const struct option_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        char *text = option_text(&t->rows[i]);
        fputs(".TP\n.B ", to);
        roff_print(to, text);
        fputc('\n', to);
        roff_print(to, t->rows[i].help);
        fputc('\n', to);
        free(text);
    }
}

static void roff_head(FILE *to, const char *name, const char *summary)
{
    fprintf(to, ".TH \"%s\" 1 \"\" \"ops " OPS_VERSION "\" \"User Commands\"\n.SH NAME\n", name);
    roff_print(to, name);
    fputs(" \\- ", to);
    roff_print(to, summary);
    fputs("\n.SH SYNOPSIS\n", to);
}

static void roff_text(FILE *to, const char *text)
{
    if (!text)
        return;
    fputs(".SH DESCRIPTION\n", to);
    roff_print(to, text);
}

static void roff_verbs(FILE *to, const struct command *c)
{
    for (size_t i = 0; i < c->verbs->count; i++) {
        const struct verb *v = &c->verbs->verbs[i];
        fputs(".SS ", to);
        roff_print(to, v->usage);
        fputc('\n', to);
        roff_print(to, v->summary);
        fputs(".\n", to);
        const struct option_table t = {v->options, v->option_count};
        if (!v->run && c->verbs->program == &run_options)
            fputs("The words are those of\n.BR ops\\-run (1).\n", to);
        else
            roff_options(to, v->run ? &t : c->verbs->program);
    }
}

static void page_command(FILE *to, const struct command *c)
{
    char *name = alloc_printf("ops-%s", c->name);
    roff_head(to, name, c->summary);
    fputs(".B ops ", to);
    roff_print(to, c->usage);
    fputc('\n', to);
    roff_text(to, c->text);
    fputs(c->verbs ? ".SH VERBS\n" : ".SH OPTIONS\n", to);
    if (c->verbs)
        roff_verbs(to, c);
    else
        roff_options(to, c->options);
    fputs(".SH SEE ALSO\n.BR ops (1)\n", to);
    free(name);
}

static void page_ops(FILE *to, const struct command *none)
{
    (void)none;
    roff_head(to, "ops", "runs unmodified Linux programs as unikernels");
    fputs(".B ops COMMAND ...\n.SH COMMANDS\n", to);
    for (size_t i = 0; command_at(i); i++) {
        fputs(".TP\n.BR ops\\-", to);
        roff_print(to, command_at(i)->name);
        fputs(" (1)\n", to);
        roff_print(to, command_at(i)->summary);
        fputc('\n', to);
    }
    fputs(
        ".SH EXIT STATUS\n0: done; 1: it could not be done; 2: the command line or a configuration"
        " is wrong.\n.B ops run\npasses on the program's own; 124 after \\-\\-timeout, 125 when the"
        " machine failed.\n",
        to);
}

static bool page_write(const char *dir, const char *name,
                       void (*page)(FILE *to, const struct command *c), const struct command *c,
                       struct err *err)
{
    char *path = path_join(dir, name);
    FILE *to = fopen(path, "we");
    bool ok = to != NULL;
    if (ok) {
        page(to, c);
        ok = fflush(to) == 0 && !ferror(to);
        fclose(to);
    }
    if (!ok)
        err_errno(err, "write", path);
    free(path);
    return ok;
}

static bool pages_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    (void)r, (void)count, (void)status;
    bool ok = page_write(operands[0], "ops.1", page_ops, NULL, err);
    for (size_t i = 0; ok && command_at(i); i++) {
        char *name = alloc_printf("ops-%s.1", command_at(i)->name);
        ok = page_write(operands[0], name, page_command, command_at(i), err);
        free(name);
    }
    return ok;
}

static const struct verb manual_verbs[] = {
    {"pages", "pages DIR", "write the manual pages there", NULL, 0, 1, 1, pages_run},
    {"table", "table", "print all commands, options and keys (Markdown)", NULL, 0, 0, 0, table_run},
};

static const struct verb_family family = {.verbs = manual_verbs,
                                          .count = sizeof manual_verbs / sizeof manual_verbs[0],
                                          .names = NAMES_FILES};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_manual = {
    .name = "manual",
    .usage = "manual VERB ...",
    .summary = "manual pages and the table of all options",
    .text = "Both come from the tables that read the command line. `make man` and\n"
            "`make install` write the pages; docs/commands.md is the table.\n",
    .verbs = &family,
    .run = run,
};
