/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ops instance stats`: what a running machine uses, as QEMU's monitor, the host's /proc
 * and the kernel in it tell. A paused one is not asked: what only it knows is left out.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "guest.h"
#include "hostpath.h"
#include "instance_show.h"
#include "ops/exit.h"

/* User and system time of QEMU, in seconds, and its resident memory in bytes; if it ends just now
 * they stay as they are. */
static void process_read(const struct instance *place, double *cpu, double *resident)
{
    struct err ignored = {0};
    char *file = path_join(place->dir, INSTANCE_PID);
    char *pid = path_read(file, 64, NULL, &ignored), *text = NULL;
    unsigned long long user, system;
    long pages;
    free(file);
    if (pid) {
        file = alloc_printf("/proc/%d/stat", atoi(pid));
        text = path_read(file, 4096, NULL, &ignored);
        free(file);
    }
    /* proc(5): the name, field 2, may hold anything but ends with the last parenthesis. */
    const char *rest = text ? strrchr(text, ')') : NULL;
    if (rest && sscanf(rest,
                       ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d "
                       "%*d %*d %*d %*d %*d %*u %*u %ld",
                       &user, &system, &pages) == 3) {
        *cpu = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
        *resident = (double)pages * (double)sysconf(_SC_PAGESIZE);
    }
    err_free(&ignored);
    free(text);
    free(pid);
}

static bool disks_read(struct live *l, cJSON *o, struct err *err)
{
    cJSON *devices = NULL;
    const cJSON *d;
    double in = 0, out = 0;
    if (!qmp_run(&l->qmp, "query-blockstats", NULL, -1, &devices, err))
        return false;
    cJSON_ArrayForEach(d, devices)
    {
        const cJSON *stats = cJSON_GetObjectItem(d, "stats");
        in += cJSON_GetNumberValue(cJSON_GetObjectItem(stats, "rd_bytes"));
        out += cJSON_GetNumberValue(cJSON_GetObjectItem(stats, "wr_bytes"));
    }
    cJSON_AddNumberToObject(o, "diskReadBytes", in);
    cJSON_AddNumberToObject(o, "diskWrittenBytes", out);
    cJSON_Delete(devices);
    return true;
}

/* In bytes: what /proc/meminfo calls not available. */
static double memory_used(const struct strlist *lines)
{
    double total = 0, available = 0;
    for (size_t i = 0; i < lines->count; i++) {
        sscanf(lines->items[i], "MemTotal: %lf", &total);
        sscanf(lines->items[i], "MemAvailable: %lf", &available);
    }
    return 1024 * (total - available);
}

/* Of /proc/net/dev, without the loopback. */
static void traffic_add(const struct strlist *lines, cJSON *o)
{
    double in = 0, out = 0;
    for (size_t i = 0; i < lines->count; i++) {
        double received, sent;
        const char *numbers = strchr(lines->items[i], ':');
        if (!numbers || strstr(lines->items[i], " lo:") || strncmp(lines->items[i], "lo:", 3) == 0)
            continue;
        if (sscanf(numbers, ": %lf %*f %*f %*f %*f %*f %*f %*f %lf", &received, &sent) == 2)
            in += received, out += sent;
    }
    cJSON_AddNumberToObject(o, "networkReceivedBytes", in);
    cJSON_AddNumberToObject(o, "networkSentBytes", out);
}

static void guest_add(struct live *l, cJSON *o)
{
    struct strlist memory = {0}, devices = {0};
    struct err ignored = {0};
    if (live_awake(l, &ignored) && guest_read(&l->place, "meminfo", &memory, &ignored) &&
        guest_read(&l->place, "net/dev", &devices, &ignored)) {
        cJSON_AddNumberToObject(o, "guestUsedBytes", memory_used(&memory));
        traffic_add(&devices, o);
    }
    err_free(&ignored);
    strlist_free(&memory);
    strlist_free(&devices);
}

struct call {
    char name[64];
    unsigned long long count;
};

static int call_order(const void *a, const void *b)
{
    const struct call *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : strcmp(x->name, y->name);
}

/* The calls by name, the most frequent first. Only the kernel in it knows: a paused one is an
 * error.
 */
static bool calls_add(struct live *l, cJSON *o, struct err *err)
{
    struct strlist lines = {0};
    bool ok = live_awake(l, err) && guest_read(&l->place, "syscalls", &lines, err);
    struct call *calls = alloc_zero((lines.count + 1) * sizeof *calls);
    size_t count = 0;
    for (size_t i = 0; ok && i < lines.count; i++)
        if (sscanf(lines.items[i], "%63s %llu", calls[count].name, &calls[count].count) == 2)
            count++;
    qsort(calls, count, sizeof *calls, call_order);
    cJSON *to = ok ? cJSON_AddObjectToObject(o, "syscalls") : NULL;
    for (size_t i = 0; i < count; i++)
        cJSON_AddNumberToObject(to, calls[i].name, (double)calls[i].count);
    free(calls);
    strlist_free(&lines);
    return ok;
}

static cJSON *stats_make(const struct verb_request *r, const char *name, struct err *err)
{
    struct live l;
    cJSON *o = NULL, *memory = NULL;
    double cpu = 0, resident = 0;
    if (live_open(&l, name, err) &&
        qmp_run(&l.qmp, "query-memory-size-summary", NULL, -1, &memory, err)) {
        o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", name);
        process_read(&l.place, &cpu, &resident);
        cJSON_AddNumberToObject(o, "cpuSeconds", cpu);
        cJSON_AddNumberToObject(o, "hostMemoryBytes", resident);
        cJSON_AddNumberToObject(o, "guestMemoryBytes",
                                cJSON_GetNumberValue(cJSON_GetObjectItem(memory, "base-memory")));
        guest_add(&l, o);
        if (!disks_read(&l, o, err) || (r->syscalls && !calls_add(&l, o, err))) {
            cJSON_Delete(o);
            o = NULL;
        }
    }
    cJSON_Delete(memory);
    live_close(&l);
    return o;
}

static double number_of(const cJSON *o, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(o, key));
}

static void table_line(const cJSON *o)
{
    static const char *const keys[] = {
        "hostMemoryBytes",  "guestMemoryBytes",     "guestUsedBytes",  "diskReadBytes",
        "diskWrittenBytes", "networkReceivedBytes", "networkSentBytes"};
    printf("%-24s %8.2f s", cJSON_GetObjectItem(o, "name")->valuestring,
           number_of(o, "cpuSeconds"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool known = cJSON_HasObjectItem(o, keys[i]);
        char *size = known ? verb_size(number_of(o, keys[i])) : alloc_string("-");
        printf(" %12s", size);
        free(size);
    }
    putchar('\n');
    const cJSON *call;
    cJSON_ArrayForEach(call, cJSON_GetObjectItem(o, "syscalls"))
        printf("%14.0f %s\n", cJSON_GetNumberValue(call), call->string);
    fflush(stdout);
}

static bool stats_once(const struct verb_request *r, const char *name, struct err *err)
{
    cJSON *o = stats_make(r, name, err);
    if (o && r->json) {
        char *text = cJSON_PrintUnformatted(o);
        puts(text);
        fflush(stdout);
        free(text);
    } else if (o) {
        table_line(o);
    }
    cJSON_Delete(o);
    return o != NULL;
}

bool instance_stats(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    const struct timespec second = {.tv_sec = 1};
    (void)status, (void)count;
    if (!r->json && isatty(STDOUT_FILENO))
        printf("%-24s %10s %12s %12s %12s %12s %12s %12s %12s\n", "NAME", "CPU", "HOST MEMORY",
               "MEMORY", "USED", "READ", "WRITTEN", "RECEIVED", "SENT");
    if (!stats_once(r, operands[0], err))
        return false;
    while (r->watch) {
        struct err over = {0};
        nanosleep(&second, NULL);
        bool more = stats_once(r, operands[0], &over) && !ferror(stdout);
        err_free(&over);
        if (!more)
            break; /* it has ended: so does watching */
    }
    return true;
}
