/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ops instance`: machines that run by themselves. This file changes them; looking at
 * them is instance_show.c's, what stays of them instance_store.c's, and who runs them
 * the supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cmd_run.h"
#include "instance_end.h"
#include "instance_show.h"
#include "instance_store.h"
#include "ops/exit.h"
#include "settings.h"
#include "supervisor.h"
#include "verbs.h"

static const struct option time_row = {
    .name = "time",
    .letter = 't',
    .type = OPTION_TEXT,
    .offset = offsetof(struct verb_request, time),
    .argument = "SECONDS",
    .help = "how long the program has to end (default 10)",
};

static const struct option delete_row = {
    .name = "force",
    .letter = 'f',
    .type = OPTION_FLAG,
    .offset = offsetof(struct verb_request, force),
    .help = "end it first if it runs",
};

static const struct option logs_rows[] = {
    {.name = "follow",
     .letter = 'f',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, follow),
     .help = "go on until the instance ends"},
    {.name = "lines",
     .letter = 'n',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, lines),
     .argument = "N",
     .help = "only the last N lines"},
    {.name = "timestamps",
     .letter = 't',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, timestamps),
     .help = "begin each line with its time (UTC)"},
};

static const struct option stats_rows[] = {
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, json),
     .help = "print JSON, an object a line"},
    {.name = "syscalls",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, syscalls),
     .help = "also how often each system call was made since its start"},
    {.name = "watch",
     .letter = 'w',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, watch),
     .help = "again every second until the instance ends"},
};

static const struct option top_row = {
    .name = "json",
    .type = OPTION_FLAG,
    .offset = offsetof(struct verb_request, json),
    .help = "print JSON, an array a line",
};

static const struct option trace_rows[] = {
    {.name = "calls",
     .letter = 'e',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, calls),
     .argument = "NAME,...",
     .help = "only these system calls"},
    {.name = "count",
     .letter = 'c',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, count),
     .help = "only count them; the table comes at the end"},
    {.name = "time",
     .letter = 't',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, time),
     .argument = "SECONDS",
     .help = "so long, instead of until Ctrl-C"},
};

/* `ops instance create` takes the words of `ops run`. */
static const struct command cmd_create = {
    .name = "create",
    .usage = "instance create [OPTION...] PROGRAM [ARGUMENT...]",
    .summary = "keep what `ops run -d` would start",
    .text = "The words are those of `ops run`. Prints the instance's name.\n",
    .options = &run_options,
};

static bool create(char **words, struct err *err)
{
    struct request r;
    bool help;
    bool ok = run_request(&r, words, NULL, &help, err);
    if (ok && help) {
        command_help(&cmd_create);
    } else if (ok && (r.chart || r.dry_run || r.explain || r.list_files || r.print_manifest ||
                      r.settings.debug)) {
        ok = err_set(err, OPS_EXIT_USAGE, "say that to `ops run`", "an instance cannot have --%s",
                     r.chart            ? "boot-chart"
                     : r.dry_run        ? "dry-run"
                     : r.explain        ? "explain"
                     : r.list_files     ? "list-files"
                     : r.print_manifest ? "print-manifest"
                                        : "debug");
    } else if (ok) {
        char *name = run_check(&r, err) ? supervisor_create(&r, words, err) : NULL;
        ok = name != NULL;
        if (ok)
            puts(name);
        free(name);
    }
    request_free(&r);
    return ok;
}

static bool seconds_take(const struct verb_request *r, unsigned long *seconds, struct err *err)
{
    *seconds = INSTANCE_END;
    return !r->time || verb_number(r->time, "--time", INSTANCE_END_MOST, seconds, err);
}

/* Runs a verb's work for each operand, up to the first that fails. */
static bool stop_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    unsigned long seconds;
    (void)status;
    bool ok = seconds_take(r, &seconds, err);
    for (size_t i = 0; ok && i < count; i++) {
        struct stored s;
        ok = store_open(&s, operands[i], err) && instance_end(operands[i], seconds, err);
        store_close(&s);
    }
    return ok;
}

static bool start_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    bool ok = true;
    (void)r, (void)status;
    for (size_t i = 0; ok && i < count; i++)
        ok = supervisor_start(operands[i], err);
    return ok;
}

static bool restart_run(const struct verb_request *r, char **operands, size_t count, int *status,
                        struct err *err)
{
    return stop_run(r, operands, count, status, err) && start_run(r, operands, count, status, err);
}

static bool monitor_run(const char *command, char **operands, size_t count, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct live l;
        ok = live_open(&l, operands[i], err) && qmp_run(&l.qmp, command, NULL, -1, NULL, err);
        live_close(&l);
    }
    return ok;
}

static bool pause_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    (void)r, (void)status;
    return monitor_run("stop", operands, count, err);
}

static bool resume_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    (void)r, (void)status;
    return monitor_run("cont", operands, count, err);
}

static bool delete_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool ok = true;
    (void)status;
    for (size_t i = 0; ok && i < count; i++) {
        struct stored s;
        ok = store_open(&s, operands[i], err) && (!r->force || instance_end(operands[i], 0, err)) &&
             store_lock(&s, err);
        if (ok)
            ok = store_delete(&s, err);
        store_close(&s);
    }
    return ok;
}

static bool rename_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    struct stored s;
    (void)r, (void)count, (void)status;
    bool ok = store_open(&s, operands[0], err) && store_lock(&s, err) &&
              store_rename(&s, operands[1], err);
    store_close(&s);
    return ok;
}

/* The last end of one that nobody runs. */
static bool status_read(const struct stored *s, int *status, struct err *err)
{
    cJSON *state = store_state(s);
    const cJSON *number = cJSON_GetObjectItem(state, "exitStatus");
    bool ok = cJSON_IsNumber(number);
    if (ok)
        *status = (int)cJSON_GetNumberValue(number);
    else
        err_set(err, OPS_EXIT_FAILED, NULL, "%s has never run", s->name);
    cJSON_Delete(state);
    return ok;
}

static bool wait_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct stored s;
    (void)r, (void)count;
    bool ok = store_open(&s, operands[0], err);
    int fd = ok ? supervisor_ask(s.name, "wait\n", err) : -1;
    ok = ok && ((fd >= 0 && supervisor_answer(fd, status)) || status_read(&s, status, err));
    if (ok)
        printf("%d\n", *status);
    store_close(&s);
    return ok;
}

static const struct verb instance_verbs[] = {
    {"list", "list [--json]", "list the instances", &verb_json_row, 1, 0, 0, instance_list},
    {"create", "create [OPTION...] PROGRAM...", "keep what `ops run -d` would start", NULL, 0, 0,
     SIZE_MAX, NULL},
    {"start", "start NAME...", "start them", NULL, 0, 1, SIZE_MAX, start_run},
    {"stop", "stop [-t SECONDS] NAME...", "end them: SIGTERM, later the power", &time_row, 1, 1,
     SIZE_MAX, stop_run},
    {"restart", "restart [-t SECONDS] NAME...", "stop and start them", &time_row, 1, 1, SIZE_MAX,
     restart_run},
    {"pause", "pause NAME...", "let their CPUs stand still", NULL, 0, 1, SIZE_MAX, pause_run},
    {"resume", "resume NAME...", "let them go on", NULL, 0, 1, SIZE_MAX, resume_run},
    {"logs", "logs [-f] [-t] [-n N] NAME", "print what the program wrote", logs_rows, 3, 1, 1,
     instance_logs},
    {"wait", "wait NAME", "wait for its end: its status", NULL, 0, 1, 1, wait_run},
    {"stats", "stats [-w] [--json] [--syscalls] NAME", "show what it uses", stats_rows, 3, 1, 1,
     instance_stats},
    {"ps", "ps [--json] NAME", "list its threads", &verb_json_row, 1, 1, 1, instance_ps},
    {"top", "top [--json] NAME", "show every second what its threads do", &top_row, 1, 1, 1,
     instance_top},
    {"dmesg", "dmesg NAME", "print the kernel's last lines", NULL, 0, 1, 1, instance_dmesg},
    {"trace", "trace [-c] [-e NAME,...] [-t SECONDS] NAME", "show its system calls", trace_rows, 3,
     1, 1, instance_trace},
    {"inspect", "inspect NAME", "print all that is known, as JSON", NULL, 0, 1, 1,
     instance_inspect},
    {"rename", "rename NAME NEW", "give it another name", NULL, 0, 2, 2, rename_run},
    {"delete", "delete [-f] NAME...", "forget them with their logs", &delete_row, 1, 1, SIZE_MAX,
     delete_run},
};

static const struct verb_family family = {.verbs = instance_verbs,
                                          .count = sizeof instance_verbs / sizeof instance_verbs[0],
                                          .names = NAMES_INSTANCES,
                                          .program = &run_options};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    if (words[0] && strcmp(words[0], "create") == 0)
        return create(words + 1, err);
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_instance = {
    .name = "instance",
    .usage = "instance VERB ...",
    .summary = "machines that run by themselves (`ops run -d`)",
    .text = "An instance is what `ops run -d` or `ops instance create` made: its words, its state\n"
            "and its log stay in $XDG_STATE_HOME/ops/instances until it is deleted.\n",
    .verbs = &family,
    .run = run,
};
