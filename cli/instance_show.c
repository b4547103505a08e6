/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at instances: see instance_show.h. What is listed is in instance_store.h. */
#include "instance_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "instance_log.h"
#include "instance_store.h"
#include "ops/exit.h"
#include "supervisor.h"

bool verb_number(const char *text, const char *what, unsigned long most, unsigned long *number,
                 struct err *err)
{
    char *end;
    *number = strtoul(text, &end, 10);
    if (*text && !*end && text[strspn(text, "0123456789")] == 0 && *number <= most)
        return true;
    return err_set(err, OPS_EXIT_USAGE, NULL, "%s must be a number from 0 to %lu, not %s", what,
                   most, text);
}

static const char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return text ? text : "";
}

static bool state_is(const cJSON *state, const char *word)
{
    return strcmp(text_of(state, "state"), word) == 0;
}

bool live_open(struct live *l, const char *name, struct err *err)
{
    struct stored s;
    struct err unknown = {0};
    *l = (struct live){.place.lock = -1, .qmp.lines.fd = -1};
    bool stored = store_open(&s, name, &unknown);
    cJSON *state = stored ? store_state(&s) : NULL;
    bool ok;
    if (stored && !state_is(state, STATE_RUNNING)) {
        ok = err_set(err, OPS_EXIT_FAILED, NULL, "%s is not running (%s)", name,
                     text_of(state, "state"));
        if (!store_alive(state))
            err_hint(err, "`ops instance start %s` starts it", name);
    } else if (instance_find(&l->place, name, err)) {
        ok = qmp_open(&l->qmp, &l->place, err);
    } else {
        ok = false;
        if (!stored && unknown.exit != OPS_EXIT_USAGE)
            err_set(err, unknown.exit, unknown.hint, "%s", unknown.message);
    }
    cJSON_Delete(state);
    store_close(&s);
    err_free(&unknown);
    return ok;
}

void live_close(struct live *l)
{
    qmp_close(&l->qmp);
    instance_leave(&l->place);
}

static bool live_paused(struct live *l, struct err *err)
{
    cJSON *status = NULL;
    bool paused = qmp_run(&l->qmp, "query-status", NULL, -1, &status, err) &&
                  strcmp(text_of(status, "status"), "paused") == 0;
    cJSON_Delete(status);
    return paused;
}

bool live_awake(struct live *l, struct err *err)
{
    if (live_paused(l, err))
        err_set(err, OPS_EXIT_FAILED, NULL, "%s is paused", l->place.name),
            err_hint(err, "`ops instance resume %s` lets it go on", l->place.name);
    return !err->message;
}

/* Whether the machine stands still; one that does not answer is taken to run. */
static bool machine_paused(const char *name)
{
    struct live l = {.place.lock = -1, .qmp.lines.fd = -1};
    struct err ignored = {0};
    bool paused = instance_find(&l.place, name, &ignored) && qmp_open(&l.qmp, &l.place, &ignored) &&
                  live_paused(&l, &ignored);
    live_close(&l);
    err_free(&ignored);
    return paused;
}

/* Moves the members of one object to the end of another. */
static void members_move(cJSON *to, cJSON *from)
{
    while (from && from->child) {
        cJSON *m = cJSON_DetachItemViaPointer(from, from->child);
        char *key = alloc_string(m->string);
        cJSON_AddItemToObject(to, key, m);
        free(key);
    }
    cJSON_Delete(from);
}

/* Everything that is known of a stored one; `all`: also the words and the environment. */
static cJSON *describe(const struct stored *s, bool all)
{
    struct err err = {0};
    cJSON *o = cJSON_CreateObject(), *state = store_state(s), *config = store_config(s, &err);
    cJSON_AddStringToObject(o, "name", s->name);
    if (state_is(state, STATE_RUNNING) && machine_paused(s->name))
        cJSON_ReplaceItemInObject(state, "state", cJSON_CreateString(STATE_PAUSED));
    members_move(o, state);
    if (!all) {
        cJSON_DeleteItemFromObject(config, "words");
        cJSON_DeleteItemFromObject(config, "environment");
    }
    members_move(o, config);
    if (err.message)
        cJSON_AddStringToObject(o, "error", err.message);
    err_free(&err);
    return o;
}

/* One that `ops run --name` keeps in the foreground. */
static cJSON *describe_foreground(const char *name)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddStringToObject(o, "state", machine_paused(name) ? STATE_PAUSED : STATE_RUNNING);
    cJSON_AddTrueToObject(o, "foreground");
    return o;
}

static cJSON *list_make(struct err *err)
{
    struct strlist names = {0}, running = {0};
    if (!store_names(&names, err))
        return NULL;
    instance_names(&running);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < names.count; i++) {
        struct stored s;
        struct err gone = {0};
        if (store_open(&s, names.items[i], &gone))
            cJSON_AddItemToArray(list, describe(&s, false));
        store_close(&s);
        err_free(&gone);
    }
    for (size_t i = 0; i < running.count; i++)
        if (!strlist_has(&names, running.items[i]))
            cJSON_AddItemToArray(list, describe_foreground(running.items[i]));
    strlist_free(&names);
    strlist_free(&running);
    return list;
}

/* The time that belongs to its state. */
static const char *since_of(const cJSON *o)
{
    const char *time = store_alive(o) ? text_of(o, "started") : text_of(o, "finished");
    return *time ? time : *text_of(o, "started") ? text_of(o, "started") : text_of(o, "created");
}

/* "3 min" until now; freed with free(). */
static char *age(const char *text)
{
    static const struct {
        long seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    struct tm tm = {0};
    if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return alloc_string("-");
    long passed = time(NULL) - timegm(&tm);
    size_t i = 0;
    while (i < 3 && passed < 2 * units[i].seconds)
        i++;
    return alloc_printf("%ld %s", passed > 0 ? passed / units[i].seconds : 0, units[i].name);
}

static char *state_words(const cJSON *o)
{
    const cJSON *status = cJSON_GetObjectItem(o, "exitStatus");
    return status ? alloc_printf("%s (%.0f)", text_of(o, "state"), cJSON_GetNumberValue(status))
                  : alloc_string(text_of(o, "state"));
}

static void list_print(const cJSON *list)
{
    const cJSON *o;
    bool table = isatty(STDOUT_FILENO);
    if (table && cJSON_GetArraySize(list))
        printf("%-24s %-18s %-8s %s\n", "NAME", "STATE", "SINCE", "PROGRAM");
    cJSON_ArrayForEach(o, list)
    {
        char *state = state_words(o), *since = age(since_of(o));
        if (table)
            printf("%-24s %-18s %-8s %s\n", text_of(o, "name"), state, since,
                   text_of(o, "program"));
        else
            printf("%s\t%s\t%s\t%s\n", text_of(o, "name"), state, since_of(o),
                   text_of(o, "program"));
        free(state);
        free(since);
    }
}

bool instance_list(const struct verb_request *r, char **operands, size_t count, int *status,
                   struct err *err)
{
    (void)operands, (void)count, (void)status;
    cJSON *list = list_make(err);
    if (list && r->json)
        verb_print(r, list);
    else if (list)
        list_print(list);
    cJSON_Delete(list);
    return list != NULL;
}

bool instance_inspect(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    struct stored s;
    struct verb_request json = *r;
    (void)count, (void)status;
    bool ok = store_open(&s, operands[0], err);
    if (ok) {
        cJSON *o = describe(&s, true);
        json.json = true;
        verb_print(&json, o);
        cJSON_Delete(o);
    }
    store_close(&s);
    return ok;
}

bool instance_logs(const struct verb_request *r, char **operands, size_t count, int *status,
                   struct err *err)
{
    struct log_view view = {.follow = r->follow, .timestamps = r->timestamps, .lines = UINT64_MAX};
    struct stored s = {.dir = -1, .lock = -1};
    unsigned long lines;
    (void)count, (void)status;
    if (r->lines && !verb_number(r->lines, "-n", 1000000000, &lines, err))
        return false;
    if (r->lines)
        view.lines = lines;
    bool ok = store_open(&s, operands[0], err);
    int ended = ok && r->follow ? supervisor_ask(s.name, "wait\n", err) : -1;
    ok = ok && log_show(s.dir, &view, ended, err);
    if (ended >= 0)
        close(ended);
    store_close(&s);
    return ok;
}
