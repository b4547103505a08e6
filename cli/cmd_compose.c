/* SPDX-License-Identifier: Apache-2.0 */
/* `ops compose`: several instances that belong together, from one file (compose.h). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "cmd_run.h"
#include "command.h"
#include "compose.h"
#include "deploy.h"
#include "instance_end.h"
#include "instance_show.h"
#include "instance_store.h"
#include "lan_make.h"
#include "lines.h"
#include "ops/exit.h"
#include "settings.h"
#include "verbs.h"

#define FILE_ROW                                                                                   \
    {                                                                                              \
        .name = "file", .letter = 'c', .type = OPTION_TEXT,                                        \
        .offset = offsetof(struct verb_request, file), .argument = "FILE",                         \
        .help = "instead of ops-compose.yaml, .yml or .json here"                                  \
    }

static const struct option up_rows[] = {
    FILE_ROW,
    {.name = "force",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, force),
     .help = "also replace services that run as the file says"},
};
static const struct option down_rows[] = {
    FILE_ROW,
    {.name = "time",
     .letter = 't',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, time),
     .argument = "SECONDS",
     .help = "how long each program has to end (default 10)"},
};
static const struct option ps_rows[] = {
    FILE_ROW,
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, json),
     .help = "print JSON"},
};
static const struct option logs_rows[] = {
    FILE_ROW,
    {.name = "follow",
     .letter = 'f',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, follow),
     .help = "go on until the instances end"},
    {.name = "timestamps",
     .letter = 't',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, timestamps),
     .help = "begin each line with its time (UTC)"},
};

/* Says whose error it is. */
static bool service_error(const struct service *s, struct err *err)
{
    char *message = err->message, *hint = err->hint;
    int number = err->exit;
    *err = (struct err){0};
    err_set(err, number, hint, "%s: %s", s->name, message);
    free(message);
    free(hint);
    return false;
}

/* What `ops run` is told for the service: its own words behind ours. */
static void words_make(const struct compose *c, const struct service *s, struct strlist *words)
{
    strlist_add(words, "--name");
    strlist_add(words, s->instance);
    if (c->network) {
        strlist_add(words, "--hostname");
        strlist_add(words, s->name);
        strlist_add(words, "--net");
        strlist_add(words, c->network);
    }
    strlist_add_all(words, &s->run);
}

/* Does an instance run that was made of these words? */
static bool runs_as_said(const struct service *s, const struct strlist *words)
{
    struct stored stored;
    struct err none = {0};
    bool open = store_open(&stored, s->instance, &none);
    cJSON *config = open ? store_config(&stored, &none) : NULL;
    cJSON *state = open ? store_state(&stored) : NULL;
    const cJSON *said = cJSON_GetObjectItem(config, "words"), *word;
    bool same = open && store_alive(state) && (size_t)cJSON_GetArraySize(said) == words->count;
    size_t i = 0;
    cJSON_ArrayForEach(word, said)
    {
        const char *text = cJSON_GetStringValue(word);
        same = same && text && strcmp(text, words->items[i]) == 0;
        i += same;
    }
    cJSON_Delete(state);
    cJSON_Delete(config);
    store_close(&stored);
    err_free(&none);
    return same;
}

static bool service_start(const struct service *s, const struct strlist *words, struct err *err)
{
    struct request r;
    bool help;
    bool ok = run_request(&r, words->items, NULL, &help, err);
    if (ok && help)
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "a service cannot ask for --help");
    ok = ok && deploy_instance(&r, words->items, err);
    request_free(&r);
    return ok || service_error(s, err);
}

static bool service_up(const struct compose *c, const struct service *s, const struct lan *lan,
                       bool force, struct err *err)
{
    struct strlist words = {0};
    words_make(c, s, &words);
    bool there = !force && runs_as_said(s, &words);
    bool ok = there || service_start(s, &words, err);
    ok = ok && service_wait(s, lan, err);
    if (ok && !there)
        puts(s->name), fflush(stdout);
    strlist_free(&words);
    return ok;
}

/* The network of the services; the project's own is made if it is not there. */
static bool network_up(const struct compose *c, struct lan *l, struct err *err)
{
    struct err unknown = {0};
    bool there = lan_load(l, c->network, &unknown);
    const struct lan_wish wish = {.name = c->network, .nat = true};
    bool ok =
        there || (c->network_own ? lan_create(l, &wish, err)
                                 : err_set(err, unknown.exit, unknown.hint, "%s", unknown.message));
    err_free(&unknown);
    return ok;
}

static bool load(struct compose *c, const struct verb_request *r, struct err *err)
{
    return compose_load(c, r->file, err) && (chdir(c->dir) == 0 || err_errno(err, "enter", c->dir));
}

static bool up_run(const struct verb_request *r, char **operands, size_t count, int *status,
                   struct err *err)
{
    struct compose c;
    struct lan lan;
    (void)operands, (void)count, (void)status;
    bool ok = load(&c, r, err) && (!c.network || network_up(&c, &lan, err));
    for (size_t i = 0; ok && i < c.count; i++)
        ok = service_up(&c, &c.services[i], c.network ? &lan : NULL, r->force, err);
    compose_free(&c);
    return ok;
}

/* Ends and forgets the service's instance, if it is there. */
static bool service_down(const struct service *s, unsigned long seconds, struct err *err)
{
    struct stored stored;
    struct err none = {0};
    bool there = store_open(&stored, s->instance, &none), ok = true;
    if (there)
        ok = instance_end(s->instance, seconds, err) && store_lock(&stored, err) &&
             store_delete(&stored, err);
    store_close(&stored);
    err_free(&none);
    if (ok && there)
        puts(s->name), fflush(stdout);
    return ok || service_error(s, err);
}

static bool network_down(const struct compose *c, struct err *err)
{
    struct lan l;
    struct err unknown = {0};
    bool there = lan_load(&l, c->network, &unknown);
    err_free(&unknown);
    return !there || lan_delete(c->network, err);
}

static bool down_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct compose c;
    unsigned long seconds = INSTANCE_END;
    (void)operands, (void)count, (void)status;
    bool ok = load(&c, r, err) &&
              (!r->time || verb_number(r->time, "--time", INSTANCE_END_MOST, &seconds, err));
    for (size_t i = c.count; ok && i-- > 0;)
        ok = service_down(&c.services[i], seconds, err);
    ok = ok && (!c.network_own || network_down(&c, err));
    compose_free(&c);
    return ok;
}

static cJSON *service_describe(const struct service *s)
{
    struct stored stored;
    struct err none = {0};
    cJSON *o = cJSON_CreateObject();
    bool there = store_open(&stored, s->instance, &none);
    cJSON *state = there ? store_state(&stored) : NULL;
    const cJSON *word = cJSON_GetObjectItem(state, "state"),
                *number = cJSON_GetObjectItem(state, "exitStatus");
    cJSON_AddStringToObject(o, "service", s->name);
    cJSON_AddStringToObject(o, "instance", s->instance);
    cJSON_AddStringToObject(o, "state", word ? word->valuestring : "missing");
    if (number)
        cJSON_AddNumberToObject(o, "exitStatus", number->valuedouble);
    cJSON_Delete(state);
    store_close(&stored);
    err_free(&none);
    return o;
}

static void services_print(const cJSON *list)
{
    const cJSON *o;
    bool table = isatty(STDOUT_FILENO);
    if (table)
        printf("%-24s %-18s %s\n", "SERVICE", "STATE", "INSTANCE");
    cJSON_ArrayForEach(o, list)
    {
        const cJSON *number = cJSON_GetObjectItem(o, "exitStatus");
        const char *state = cJSON_GetObjectItem(o, "state")->valuestring;
        char *words =
            number ? alloc_printf("%s (%.0f)", state, number->valuedouble) : alloc_string(state);
        printf(table ? "%-24s %-18s %s\n" : "%s\t%s\t%s\n",
               cJSON_GetObjectItem(o, "service")->valuestring, words,
               cJSON_GetObjectItem(o, "instance")->valuestring);
        free(words);
    }
}

static bool ps_run(const struct verb_request *r, char **operands, size_t count, int *status,
                   struct err *err)
{
    struct compose c;
    cJSON *list = cJSON_CreateArray();
    (void)operands, (void)count, (void)status;
    bool ok = load(&c, r, err);
    for (size_t i = 0; ok && i < c.count; i++)
        cJSON_AddItemToArray(list, service_describe(&c.services[i]));
    if (ok && r->json)
        verb_print(r, list);
    else if (ok)
        services_print(list);
    cJSON_Delete(list);
    compose_free(&c);
    return ok;
}

/* ---- logs ---- */

struct tail {
    const struct service *service;
    pid_t pid;
    struct lines lines;
};

/* `ops instance logs` of the service, into a pipe. */
static bool tail_start(struct tail *t, const struct verb_request *r, struct err *err)
{
    int ends[2];
    const char *argv[] = {"ops", "instance", "logs", t->service->instance, NULL, NULL, NULL};
    size_t n = 4;
    if (r->follow)
        argv[n++] = "--follow";
    if (r->timestamps)
        argv[n++] = "--timestamps";
    if (pipe(ends) < 0)
        return err_errno(err, "make", "a pipe");
    fflush(stdout);
    t->pid = fork();
    if (t->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv("/proc/self/exe", (char **)(uintptr_t)argv);
        _exit(OPS_EXIT_FAILED);
    }
    close(ends[1]);
    t->lines = (struct lines){.fd = ends[0], .whom = t->service->name, .endless = true};
    return t->pid > 0 || err_errno(err, "start", "a process");
}

/* Prints the next line; false: there is none any more. */
static bool tail_show(struct tail *t, int width)
{
    struct err end = {0};
    char *line = lines_next(&t->lines, &end);
    if (line)
        printf("%-*s | %s\n", width, t->service->name, line);
    err_free(&end);
    free(line);
    return line;
}

static void tails_follow(struct tail *tails, size_t count, int width)
{
    struct pollfd *polls = alloc_array(NULL, count, sizeof *polls);
    size_t open = count;
    for (size_t i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = tails[i].lines.fd, .events = POLLIN};
    while (open && poll(polls, count, -1) > 0)
        for (size_t i = 0; i < count; i++)
            while (polls[i].fd >= 0 && (polls[i].revents || lines_pending(&tails[i].lines))) {
                polls[i].revents = 0;
                if (!tail_show(&tails[i], width)) {
                    polls[i].fd = -1;
                    open--;
                }
                fflush(stdout);
            }
    free(polls);
}

static void tail_end(struct tail *t)
{
    lines_close(&t->lines);
    if (t->pid > 0)
        waitpid(t->pid, NULL, 0);
}

static bool services_choose(const struct compose *c, char **names, size_t count, struct tail *tails,
                            size_t *chosen, struct err *err)
{
    *chosen = count ? count : c->count;
    for (size_t i = 0; i < *chosen; i++) {
        tails[i] = (struct tail){.lines.fd = -1, .service = &c->services[i]};
        if (count && !(tails[i].service = compose_find(c, names[i], err)))
            return false;
    }
    return true;
}

static bool logs_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct compose c;
    size_t chosen = 0, started = 0;
    int width = 0;
    (void)status;
    bool ok = load(&c, r, err);
    struct tail *tails = alloc_array(NULL, c.count + count + 1, sizeof *tails);
    ok = ok && services_choose(&c, operands, count, tails, &chosen, err);
    for (size_t i = 0; ok && i < chosen; i++)
        width = strlen(tails[i].service->name) > (size_t)width ? (int)strlen(tails[i].service->name)
                                                               : width;
    for (; ok && started < chosen; started += ok) {
        ok = tail_start(&tails[started], r, err);
        while (ok && !r->follow && tail_show(&tails[started], width))
            ;
    }
    if (ok && r->follow)
        tails_follow(tails, chosen, width);
    for (size_t i = 0; i < started; i++)
        tail_end(&tails[i]);
    free(tails);
    compose_free(&c);
    return ok;
}

static const struct verb compose_verbs[] = {
    {"up", "up [-c FILE] [--force]", "start the services, each when those before it are ready",
     up_rows, 2, 0, 0, up_run},
    {"down", "down [-c FILE] [-t SECONDS]", "end and forget them, in reverse", down_rows, 2, 0, 0,
     down_run},
    {"ps", "ps [-c FILE] [--json]", "list them", ps_rows, 2, 0, 0, ps_run},
    {"logs", "logs [-c FILE] [-f] [-t] [SERVICE...]", "print what they wrote", logs_rows, 3, 0,
     SIZE_MAX, logs_run},
};

static const struct verb_family family = {
    .verbs = compose_verbs,
    .count = sizeof compose_verbs / sizeof compose_verbs[0],
};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_compose = {
    .name = "compose",
    .usage = "compose VERB ...",
    .summary = "several instances that belong together, from one file",
    .text = "The file is YAML or JSON:\n\n"
            "  name: shop\n"
            "  network: yes      # one of its own; they find each other by name (needs root)\n"
            "  services:\n"
            "    db:\n"
            "      run: [-m, 128M, /usr/bin/redis-server]     # the words of `ops run`\n"
            "      ready: {port: 6379, within: 30}            # seconds\n"
            "    web:\n"
            "      run: [-p, \"8080\", ./web]\n"
            "      after: [db]\n"
            "      ready: {url: \"http://127.0.0.1:8080/\"}\n",
    .verbs = &family,
    .run = run,
};
