/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an instance comes to its supervisor, and how others talk to it: see supervisor.h.
 * Locks are taken and the socket listens before the process is there, so there is no
 * moment at which two could start one instance.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "attempt.h"
#include "cmd_run.h"
#include "hostpath.h"
#include "instance_log.h"
#include "lines.h"
#include "ops/exit.h"
#include "settings.h"
#include "supervised.h"
#include "supervisor.h"

#define NAME_SUBJECT 24 /* letters of the program in a made-up name */

/* The part of our environment that a run looks at: no other secret goes to the disk. */
static cJSON *environment_make(const struct request *r)
{
    static const char *const names[] = {"PATH",
                                        "HOME",
                                        "TERM",
                                        "LANG",
                                        "TMPDIR",
                                        "OPS_QEMU",
                                        "XDG_DATA_HOME",
                                        "XDG_CACHE_HOME",
                                        "XDG_RUNTIME_DIR",
                                        "XDG_STATE_HOME",
                                        "XDG_CONFIG_HOME",
                                        "OPS_DEFAULT_CONFIG"};
    struct strlist all = {0};
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        strlist_add(&all, names[i]);
    for (size_t i = 0; i < r->settings.variables.count; i++)
        if (!strlist_has(&all, r->settings.variables.items[i]))
            strlist_add(&all, r->settings.variables.items[i]);
    for (size_t i = 0; i < all.count; i++) {
        const char *value = getenv(all.items[i]);
        char *entry = value ? alloc_printf("%s=%s", all.items[i], value) : NULL;
        if (entry)
            cJSON_AddItemToArray(list, cJSON_CreateString(entry));
        free(entry);
    }
    strlist_free(&all);
    return list;
}

static cJSON *config_make(const struct request *r, char **words, struct err *err)
{
    char time[LOG_TIME];
    char *directory = getcwd(NULL, 0);
    if (!directory) {
        err_errno(err, "find", "the current directory");
        return NULL;
    }
    cJSON *o = cJSON_CreateObject(), *list = cJSON_CreateArray();
    log_time(time);
    cJSON_AddStringToObject(o, "created", time);
    cJSON_AddStringToObject(o, "program", run_subject(r));
    cJSON_AddStringToObject(o, "directory", directory);
    for (size_t i = 0; words[i]; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(words[i]));
    cJSON_AddItemToObject(o, "words", list);
    cJSON_AddItemToObject(o, "environment", environment_make(r));
    free(directory);
    return o;
}

/* nginx-3fa2: of the program's name what may stand in a name, and four digits by chance. */
static char *name_make(const struct request *r)
{
    char subject[NAME_SUBJECT + 1];
    size_t n = 0;
    unsigned short chance = 0;
    for (const char *c = run_subject(r); *c && n < NAME_SUBJECT; c++)
        if (isalnum((unsigned char)*c) || (n && strchr("._-", *c)))
            subject[n++] = *c;
    subject[n] = 0;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        chance = (unsigned short)getpid();
    return alloc_printf("%s-%04x", n ? subject : "instance", chance);
}

char *supervisor_create(const struct request *r, char **words, struct err *err)
{
    const char *named = r->settings.name;
    if (named && !instance_name_check(named, err))
        return NULL;
    cJSON *config = config_make(r, words, err);
    char *name = NULL;
    struct err ignored = {0};
    for (int tries = 0; config && !name && tries < 100; tries++) {
        name = named ? alloc_string(named) : name_make(r);
        if (named || store_free(name, &ignored))
            break;
        free(name);
        name = NULL;
    }
    err_free(&ignored);
    if (config && (!name || !store_create(name, config, err))) {
        free(name);
        name = NULL;
    }
    cJSON_Delete(config);
    return name;
}

static bool config_bad(const struct stored *s, struct err *err)
{
    err_set(err, OPS_EXIT_FAILED, NULL, "the configuration of %s is not readable", s->name);
    err_hint(err, "`ops instance delete %s`, and make it anew", s->name);
    return false;
}

static void environment_set(const struct supervised *in)
{
    const cJSON *item;
    clearenv();
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(in->config, "environment"))
    {
        char *text = cJSON_GetStringValue(item), *equals = text ? strchr(text, '=') : NULL;
        if (equals) {
            *equals = 0;
            setenv(text, equals + 1, 1);
            *equals = '=';
        }
    }
}

/* The stored words, read again as `ops run` reads them. */
static bool config_take(struct supervised *in, struct err *err)
{
    bool help;
    const cJSON *item, *list;
    if (!(in->config = store_config(&in->store, err)))
        return false;
    in->directory = cJSON_GetStringValue(cJSON_GetObjectItem(in->config, "directory"));
    list = cJSON_GetObjectItem(in->config, "words");
    size_t n = 0;
    in->words = alloc_zero(((size_t)cJSON_GetArraySize(list) + 1) * sizeof *in->words);
    cJSON_ArrayForEach(item, list)
    {
        if (!(in->words[n++] = cJSON_GetStringValue(item)))
            return config_bad(&in->store, err);
    }
    if (!in->directory || !cJSON_IsArray(list))
        return config_bad(&in->store, err);
    char **outside = environ; /* the settings are read as where the words were said */
    environ = NULL;
    environment_set(in);
    bool ok = run_request(&in->request, in->words, in->directory, &help, err);
    clearenv();
    environ = outside;
    return ok;
}

void supervised_report(struct supervised *in, const struct attempt *a)
{
    cJSON *o = cJSON_CreateObject();
    if (in->report < 0)
        return;
    if (a) {
        char *last = a->said.size ? alloc_bytes(a->said.data, a->said.size) : NULL;
        size_t n = last ? strlen(last) : 0;
        while (n && last[n - 1] == '\n')
            last[--n] = 0;
        char *message = a->message ? alloc_string(a->message)
                                   : alloc_printf("the program was not started (status %d)%s%s",
                                                  a->status, n ? "\n" : "", n ? last : "");
        cJSON_AddNumberToObject(o, "exit", a->status ? a->status : OPS_EXIT_FAILED);
        cJSON_AddStringToObject(o, "message", message);
        if (a->hint)
            cJSON_AddStringToObject(o, "hint", a->hint);
        free(message);
        free(last);
    }
    char *text = cJSON_PrintUnformatted(o);
    if (text && dprintf(in->report, "%s\n", text) < 0)
        in->report = -1; /* nobody waits any more */
    free(text);
    cJSON_Delete(o);
    if (a)
        return; /* it stays open until all is put away */
    if (in->report >= 0)
        close(in->report);
    in->report = -1;
}

static int number_compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void descriptors_close(const struct supervised *in)
{
    int keep[] = {in->store.dir, in->store.lock, in->place.lock, in->listen, in->report};
    size_t count = sizeof keep / sizeof keep[0];
    unsigned from = 3;
    qsort(keep, count, sizeof keep[0], number_compare);
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)keep[i] > from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0u, 0);
}

/* In the child: nothing of who started us is left but the umask. */
static _Noreturn void process_main(struct supervised *in)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    if (fork() != 0) /* a session's leader could get a terminal */
        _exit(0);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    descriptors_close(in);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    if (chdir("/") == 0)
        supervisor_main(in);
    _exit(0);
}

/* The supervisor's first word: that the program runs, or why not. */
static bool report_take(int fd, const char *name, struct err *err)
{
    struct buf b = {0};
    char bytes[4096];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(&b, bytes, (size_t)n);
    cJSON *o = b.size ? cJSON_Parse(b.data) : NULL;
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItem(o, "message"));
    bool ok = o && !message;
    if (message)
        err_set(err, (int)cJSON_GetNumberValue(cJSON_GetObjectItem(o, "exit")),
                cJSON_GetStringValue(cJSON_GetObjectItem(o, "hint")), "%s", message);
    else if (!o)
        err_set(err, OPS_EXIT_CRASH, NULL, "the supervisor of %s was killed", name);
    cJSON_Delete(o);
    buf_free(&b);
    return ok;
}

static bool process_start(struct supervised *in, struct err *err)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_errno(err, "make", "a pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(report[0]);
        in->report = report[1];
        environment_set(in);
        process_main(in);
    }
    close(report[1]);
    bool ok = pid > 0 || err_errno(err, "start", "a process");
    if (ok) {
        waitpid(pid, NULL, 0); /* the one between us and the supervisor */
        instance_leave(&in->place);
        ok = report_take(report[0], in->store.name, err);
    }
    close(report[0]);
    return ok;
}

bool supervisor_start(const char *name, struct err *err)
{
    struct supervised in = {.place.lock = -1, .listen = -1, .report = -1};
    bool ok =
        store_open(&in.store, name, err) && store_lock(&in.store, err) && config_take(&in, err) &&
        instance_place(&in.place, name, err) && instance_claim(&in.place, err) &&
        (in.listen = instance_listen(&in.place, INSTANCE_OPS, err)) >= 0 && process_start(&in, err);
    if (in.listen >= 0)
        close(in.listen);
    instance_free(&in.place);
    store_close(&in.store);
    request_free(&in.request);
    free(in.words);
    cJSON_Delete(in.config);
    return ok;
}

bool supervisor_detach(const struct request *r, char **words, int *status, struct err *err)
{
    struct stored s = {.dir = -1, .lock = -1};
    struct err ignored = {0};
    (void)status;
    char *name = supervisor_create(r, words, err);
    if (!name)
        return false;
    bool ok = supervisor_start(name, err);
    if (ok)
        puts(name);
    else if (store_open(&s, name, &ignored) && store_lock(&s, &ignored))
        store_delete(&s, &ignored);
    store_close(&s);
    err_free(&ignored);
    free(name);
    return ok;
}

int supervisor_ask(const char *name, const char *request, struct err *err)
{
    struct instance place;
    struct err gone = {0};
    int fd = -1;
    if (instance_place(&place, name, err)) {
        fd = instance_connect(&place, INSTANCE_OPS, &gone);
        if (fd >= 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
            close(fd); /* it ends just now */
            fd = -1;
        }
    }
    err_free(&gone);
    instance_leave(&place);
    return fd;
}

bool supervisor_answer(int fd, int *status)
{
    char line[64];
    ssize_t n;
    while ((n = recv(fd, line, sizeof line - 1, 0)) < 0 && errno == EINTR)
        ;
    close(fd);
    line[n > 0 ? n : 0] = 0;
    return sscanf(line, "ended %d", status) == 1;
}
