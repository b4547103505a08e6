/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of `ops instance` that ask the kernel in the machine: ps, top, dmesg, trace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "guest.h"
#include "instance_show.h"
#include "ops/exit.h"

#define SECONDS_MOST 1000000

static bool text_read(const char *name, const char *what, struct strlist *lines, struct err *err)
{
    struct live l;
    bool ok =
        live_open(&l, name, err) && live_awake(&l, err) && guest_read(&l.place, what, lines, err);
    live_close(&l);
    return ok;
}

/* ---- threads ---- */

struct threads {
    cJSON *list; /* of objects, as --json shows them */
    struct timespec when;
};

static cJSON *thread_read(const char *line)
{
    int id, at = 0;
    char state;
    unsigned cpu;
    double ns, switches;
    if (sscanf(line, "%d %c %u %lf %lf %n", &id, &state, &cpu, &ns, &switches, &at) < 5 || !at)
        return NULL;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "id", id);
    cJSON_AddStringToObject(o, "state", state == 'R' ? "running" : "sleeping");
    cJSON_AddNumberToObject(o, "cpu", cpu);
    cJSON_AddNumberToObject(o, "cpuSeconds", ns / 1e9);
    cJSON_AddNumberToObject(o, "switches", switches);
    cJSON_AddStringToObject(o, "name", line + at);
    return o;
}

static bool threads_read(const char *name, struct threads *t, struct err *err)
{
    struct strlist lines = {0};
    bool ok = text_read(name, "threads", &lines, err);
    t->list = cJSON_CreateArray();
    clock_gettime(CLOCK_MONOTONIC, &t->when);
    for (size_t i = 0; i < lines.count; i++) {
        cJSON *o = thread_read(lines.items[i]);
        if (o)
            cJSON_AddItemToArray(t->list, o);
    }
    strlist_free(&lines);
    return ok;
}

static double number_of(const cJSON *o, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(o, key));
}

static const cJSON *thread_find(const cJSON *list, double id)
{
    const cJSON *o;
    cJSON_ArrayForEach(o, list) if (number_of(o, "id") == id) return o;
    return NULL;
}

/* Adds what part of a CPU each thread had since then, in percent. */
static void shares_add(struct threads *now, const struct threads *before)
{
    double passed = (double)(now->when.tv_sec - before->when.tv_sec) +
                    (double)(now->when.tv_nsec - before->when.tv_nsec) / 1e9;
    cJSON *o;
    cJSON_ArrayForEach(o, now->list)
    {
        const cJSON *old = thread_find(before->list, number_of(o, "id"));
        double used = number_of(o, "cpuSeconds") - (old ? number_of(old, "cpuSeconds") : 0);
        cJSON_AddNumberToObject(o, "percent", passed > 0 ? 100 * used / passed : 0);
    }
}

/* Its members in that order; NULL: as they are. Freed with free(). */
static const cJSON **members_sorted(const cJSON *o, int (*order)(const void *, const void *),
                                    size_t *count)
{
    const cJSON *m, **row = alloc_array(NULL, (size_t)cJSON_GetArraySize(o) + 1, sizeof(cJSON *));
    *count = 0;
    cJSON_ArrayForEach(m, o) row[(*count)++] = m;
    if (order)
        qsort(row, *count, sizeof *row, order);
    return row;
}

static int by_number(const void *a, const void *b, const char *key)
{
    double x = number_of(*(const cJSON *const *)a, key),
           y = number_of(*(const cJSON *const *)b, key);
    return x < y ? 1 : x > y ? -1 : 0;
}

static int by_share(const void *a, const void *b)
{
    return by_number(a, b, "percent");
}

static void table_print(const cJSON *list, bool shares)
{
    size_t n;
    const cJSON **row = members_sorted(list, shares ? by_share : NULL, &n);
    if (isatty(STDOUT_FILENO))
        printf("%8s %s %3s %10s %10s%s %s\n", "ID", "S", "CPU", "TIME", "SWITCHES",
               shares ? "   %CPU" : "", "NAME");
    for (size_t i = 0; i < n; i++) {
        printf("%8.0f %c %3.0f %8.2f s %10.0f", number_of(row[i], "id"),
               cJSON_GetStringValue(cJSON_GetObjectItem(row[i], "state"))[0] == 'r' ? 'R' : 'S',
               number_of(row[i], "cpu"), number_of(row[i], "cpuSeconds"),
               number_of(row[i], "switches"));
        if (shares)
            printf(" %6.1f", number_of(row[i], "percent"));
        printf(" %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(row[i], "name")));
    }
    free(row);
}

static void threads_print(const struct verb_request *r, const struct threads *t, bool shares)
{
    if (r->json) {
        char *text = cJSON_PrintUnformatted(t->list);
        puts(text);
        free(text);
    } else {
        table_print(t->list, shares);
    }
    fflush(stdout);
}

bool instance_ps(const struct verb_request *r, char **operands, size_t count, int *status,
                 struct err *err)
{
    struct threads t = {0};
    (void)count, (void)status;
    bool ok = threads_read(operands[0], &t, err);
    if (ok && r->json)
        verb_print(r, t.list);
    else if (ok)
        threads_print(r, &t, false);
    cJSON_Delete(t.list);
    return ok;
}

bool instance_top(const struct verb_request *r, char **operands, size_t count, int *status,
                  struct err *err)
{
    const struct timespec second = {.tv_sec = 1};
    struct threads before = {0};
    struct err over = {0};
    (void)count, (void)status;
    bool ok = threads_read(operands[0], &before, err), more = ok;
    while (more && !nanosleep(&second, NULL)) {
        struct threads now = {0};
        more = threads_read(operands[0], &now, &over) && !ferror(stdout);
        if (more) {
            shares_add(&now, &before);
            if (!r->json && isatty(STDOUT_FILENO))
                fputs("\033[H\033[2J", stdout);
            threads_print(r, &now, true);
        }
        cJSON_Delete(before.list);
        before = now;
    }
    cJSON_Delete(before.list);
    err_free(&over); /* it has ended: so does looking at it */
    return ok;
}

bool instance_dmesg(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    struct strlist lines = {0};
    (void)r, (void)count, (void)status;
    bool ok = text_read(operands[0], "log", &lines, err);
    for (size_t i = 0; ok && i < lines.count; i++)
        puts(lines.items[i]);
    strlist_free(&lines);
    return ok;
}

/* ---- trace ---- */

struct trace {
    bool count;
    cJSON *calls; /* name: {calls, errors} */
    unsigned long lost;
};

/* "12 read(3, ...) = -1 EAGAIN": counted under `read`. */
static void call_count(struct trace *t, const char *text)
{
    const char *name = strchr(text, ' '), *end = name ? strchr(name, '(') : NULL;
    if (!end)
        return;
    char *key = alloc_bytes(name + 1, (size_t)(end - name - 1));
    cJSON *o = cJSON_GetObjectItemCaseSensitive(t->calls, key);
    if (!o) {
        o = cJSON_AddObjectToObject(t->calls, key);
        cJSON_AddNumberToObject(o, "calls", 0);
        cJSON_AddNumberToObject(o, "errors", 0);
    }
    cJSON_SetNumberValue(cJSON_GetObjectItem(o, "calls"), number_of(o, "calls") + 1);
    if (strstr(end, ") = -1 "))
        cJSON_SetNumberValue(cJSON_GetObjectItem(o, "errors"), number_of(o, "errors") + 1);
    free(key);
}

static void call_take(void *arg, const char *text, unsigned long lost)
{
    struct trace *t = arg;
    t->lost += lost;
    if (t->count && text)
        call_count(t, text);
    else if (!t->count && text)
        puts(text);
    else if (!t->count)
        fprintf(stderr, "ops: %lu calls are missing here: they came too fast\n", lost);
    if (!t->count)
        fflush(stdout);
}

static int by_calls(const void *a, const void *b)
{
    return by_number(a, b, "calls");
}

static void counts_print(const struct trace *t)
{
    size_t n;
    const cJSON **row = members_sorted(t->calls, by_calls, &n);
    if (isatty(STDOUT_FILENO))
        printf("%10s %10s %s\n", "CALLS", "ERRORS", "NAME");
    for (size_t i = 0; i < n; i++)
        printf("%10.0f %10.0f %s\n", number_of(row[i], "calls"), number_of(row[i], "errors"),
               row[i]->string);
    if (t->lost)
        fprintf(stderr, "ops: %lu calls are not counted: they came too fast\n", t->lost);
    free(row);
}

bool instance_trace(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    struct trace t = {.count = r->count, .calls = cJSON_CreateObject()};
    struct live l;
    unsigned long seconds = 0;
    (void)count, (void)status;
    bool ok = !r->time || verb_number(r->time, "--time", SECONDS_MOST, &seconds, err);
    if (ok) {
        ok = live_open(&l, operands[0], err) && live_awake(&l, err);
        qmp_close(&l.qmp); /* others may want it, and this may take long */
        ok = ok && guest_trace(&l.place, r->calls ? r->calls : "all", seconds, call_take, &t, err);
        live_close(&l);
    }
    if (ok && t.count)
        counts_print(&t);
    cJSON_Delete(t.calls);
    return ok;
}
