/* SPDX-License-Identifier: Apache-2.0 */
/* The one option parser: see options.h. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "nearest.h"
#include "ops/exit.h"
#include "strlist.h"

#define OPTIONS_MAX 64

static const struct option *option_named(const struct option_table *t, const char *name, size_t n)
{
    for (size_t i = 0; i < t->count; i++)
        if (strlen(t->rows[i].name) == n && strncmp(t->rows[i].name, name, n) == 0)
            return &t->rows[i];
    return NULL;
}

static const struct option *option_lettered(const struct option_table *t, char letter)
{
    for (size_t i = 0; i < t->count; i++)
        if (letter && t->rows[i].letter == letter)
            return &t->rows[i];
    return NULL;
}

static bool option_unknown(const struct option_table *t, const char *word, struct err *err)
{
    const char *names[OPTIONS_MAX];
    size_t count = t->count < OPTIONS_MAX - 1 ? t->count : OPTIONS_MAX - 1;
    size_t n = strcspn(word, "=");
    for (size_t i = 0; i < count; i++)
        names[i] = t->rows[i].name;
    names[count++] = "help";
    err_set(err, OPS_EXIT_USAGE, "--help lists the options", "unknown option %.*s", (int)n, word);
    if (word[1] != '-')
        return false;
    char *name = alloc_bytes(word + 2, n - 2);
    const char *near = nearest_word(name, names, count);
    free(name);
    if (near)
        err_hint(err, "did you mean --%s?", near);
    return false;
}

static void option_store(const struct option *o, void *out, const char *value)
{
    char *field = (char *)out + o->offset;
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)field = true;
        break;
    case OPTION_TEXT:
    case OPTION_MAYBE:
        *(const char **)field = value ? value : o->bare;
        break;
    case OPTION_LIST:
        strlist_add((struct strlist *)field, value);
        break;
    }
}

/* One `--name`, `--name=value` or `--name value`. */
static bool option_long(const struct option_table *t, void *out, char **argv, int *next,
                        struct err *err)
{
    const char *word = argv[*next], *name = word + 2;
    size_t n = strcspn(name, "=");
    const struct option *o = option_named(t, name, n);
    const char *value = name[n] ? name + n + 1 : NULL;
    if (!o)
        return option_unknown(t, word, err);
    if (o->type == OPTION_FLAG && value)
        return err_set(err, OPS_EXIT_USAGE, NULL, "option --%s takes no value", o->name);
    if ((o->type == OPTION_TEXT || o->type == OPTION_LIST) && !value) {
        if (!argv[*next + 1])
            return err_set(err, OPS_EXIT_USAGE, NULL, "option --%s needs a value: %s", o->name,
                           o->argument);
        value = argv[++*next];
    }
    option_store(o, out, value);
    return true;
}

/* A cluster of letters: -v, -vm 64M, -m64M. */
static bool option_short(const struct option_table *t, void *out, char **argv, int *next,
                         bool *help, struct err *err)
{
    const char *word = argv[*next];
    for (const char *p = word + 1; *p; p++) {
        const struct option *o = option_lettered(t, *p);
        if (!o && *p == 'h') {
            *help = true;
            return true;
        }
        if (!o)
            return option_unknown(t, word, err);
        if (o->type == OPTION_FLAG || o->type == OPTION_MAYBE) {
            option_store(o, out, NULL);
            continue;
        }
        const char *value = p[1] ? p + 1 : argv[*next + 1];
        if (!value)
            return err_set(err, OPS_EXIT_USAGE, NULL, "option -%c needs a value: %s", *p,
                           o->argument);
        if (!p[1])
            ++*next;
        option_store(o, out, value);
        return true;
    }
    return true;
}

bool options_take(const struct option_table *table, void *out, char **argv, int *next, bool *help,
                  struct err *err)
{
    const char *word = argv[*next];
    *help = strcmp(word, "--help") == 0;
    if (!*help && !(word[1] == '-' ? option_long(table, out, argv, next, err)
                                   : option_short(table, out, argv, next, help, err)))
        return false;
    ++*next;
    return true;
}

bool options_parse(const struct option_table *table, void *out, char **argv, int *next, bool *help,
                   struct err *err)
{
    *help = false;
    while (argv[*next] && argv[*next][0] == '-' && argv[*next][1] && !*help) {
        if (strcmp(argv[*next], "--") == 0) {
            ++*next;
            break;
        }
        if (!options_take(table, out, argv, next, help, err))
            return false;
    }
    return true;
}

void options_print(const struct option_table *table, FILE *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->rows[i];
        char left[128], letter[8] = "";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        const char *before = !o->argument ? "" : o->type == OPTION_MAYBE ? "[=" : " ";
        snprintf(left, sizeof left, "%-4s--%s%s%s%s", letter, o->name, before,
                 o->argument ? o->argument : "", o->type == OPTION_MAYBE ? "]" : "");
        fprintf(to, "  %-28s %s\n", left, o->help);
    }
    fprintf(to, "  %-28s %s\n", "-h, --help", "this text");
}
