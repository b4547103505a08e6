/* SPDX-License-Identifier: Apache-2.0 */
/* `ops config`: shows what is set and where, checks files, and brings them to one form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cmd_run.h"
#include "config_write.h"
#include "hostpath.h"
#include "json.h"
#include "ops/exit.h"
#include "settings.h"
#include "verbs.h"

#define FILE_MAX (1 << 20)

static const struct option show_rows[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, json),
     .help = "print a configuration file; with --origin a list"},
    {.name = "origin",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, origin),
     .help = "say where each entry comes from"},
};

static void entries_print(const cJSON *entries, bool origin)
{
    const cJSON *e;
    cJSON_ArrayForEach(e, entries)
    {
        char *value = cJSON_PrintUnformatted(cJSON_GetObjectItem(e, "value"));
        printf(origin ? "%-24s %-32s %s\n" : "%-24s %s\n",
               cJSON_GetStringValue(cJSON_GetObjectItem(e, "key")), value,
               cJSON_GetStringValue(cJSON_GetObjectItem(e, "origin")));
        free(value);
    }
}

/* The operands are the words that `ops run` would have. */
static bool show_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct request request;
    struct verb_request json = *r;
    bool help;
    (void)count, (void)status;
    bool ok = run_request(&request, operands, NULL, &help, err);
    if (ok && help)
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "--help belongs before the options of `ops run`");
    if (ok) {
        bool list = r->origin || !r->json;
        cJSON *o = list ? config_entries(&request.settings) : config_object(&request.settings);
        if (r->json)
            verb_print(&json, o);
        else
            entries_print(o, r->origin);
        cJSON_Delete(o);
    }
    request_free(&request);
    return ok;
}

static void faults_print(const struct config_faults *f)
{
    for (size_t i = 0; i < f->count; i++) {
        fprintf(stderr, "ops: %s\n", f->items[i].message);
        if (f->items[i].hint)
            fprintf(stderr, "hint: %s\n", f->items[i].hint);
    }
}

static const char *file_of(char **operands, size_t count)
{
    return count ? operands[0] : SETTINGS_PROJECT;
}

static bool check_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    struct config c = {0};
    struct config_faults faults = {0};
    const char *file = file_of(operands, count);
    const struct config_source s = {.name = file, .faults = &faults};
    (void)r;
    bool good = config_load(&c, file, &s, err), opened = good || faults.count;
    for (size_t i = 0; i < c.notes.count; i++)
        printf("%s\n", c.notes.items[i]);
    faults_print(&faults);
    if (good)
        printf("%s: no errors\n", file);
    else if (opened)
        *status = OPS_EXIT_USAGE;
    config_faults_free(&faults);
    config_free(&c);
    return opened;
}

static bool convert_run(const struct verb_request *r, char **operands, size_t count, int *status,
                        struct err *err)
{
    struct config c = {0};
    const struct config_source s = {.name = operands[0], .literal = true};
    struct strlist left = {0};
    size_t size;
    (void)r, (void)count, (void)status;
    char *text =
        config_load(&c, operands[0], &s, err) ? path_read(operands[0], FILE_MAX, &size, err) : NULL;
    const struct json_text t = {operands[0], text, text ? size : 0};
    cJSON *file = text ? json_parse(&t, err) : NULL;
    if (file) {
        cJSON *made = config_canonical(file, &left);
        char *printed = cJSON_Print(made);
        puts(printed);
        for (size_t i = 0; i < left.count; i++)
            fprintf(stderr, "ops: left out %s\n", left.items[i]);
        free(printed);
        cJSON_Delete(made);
    }
    bool ok = file != NULL;
    cJSON_Delete(file);
    free(text);
    strlist_free(&left);
    config_free(&c);
    return ok;
}

static const struct verb config_verbs[] = {
    {"show", "show [--origin] [--json] [-- OPTION... PROGRAM...]", "what `ops run` would use",
     show_rows, 2, 0, SIZE_MAX, show_run},
    {"check", "check [FILE]", "print all errors (ops.json)", NULL, 0, 0, 1, check_run},
    {"convert", "convert FILE", "print it in the canonical form", NULL, 0, 1, 1, convert_run},
};

static const struct verb_family family = {.verbs = config_verbs,
                                          .count = sizeof config_verbs / sizeof config_verbs[0],
                                          .names = NAMES_FILES};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_config = {
    .name = "config",
    .usage = "config VERB ...",
    .summary = "show, check and convert configurations",
    .text = "What is set where, lowest first: defaults; ~/.opsrc; ~/.config/ops/config.json;\n"
            "ops.json in the current directory, or the file of -c; variables OPS_KEY; flags.\n"
            "A single value replaces one from below, as Args and NameServers do; Env is\n"
            "replaced by name; other lists grow. FILE is JSON, OPS' own or the canonical form.\n",
    .verbs = &family,
    .run = run,
};
