/* SPDX-License-Identifier: Apache-2.0 */
/* `ops check`: what a program can ask for that the kernel does not have, without running it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "command.h"
#include "elfcalls.h"
#include "elffiles.h"
#include "hostpath.h"
#include "launch.h"
#include "ops/exit.h"
#include "plan.h"
#include "settings.h"

struct check_request {
    struct request run;
    bool json, all;
};

static const struct option rows[] = {
    {.name = "all",
     .letter = 'a',
     .type = OPTION_FLAG,
     .offset = offsetof(struct check_request, all),
     .help = "also calls of which only a part is missing"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct check_request, json),
     .help = "print JSON"},
    {.name = "no-config",
     .type = OPTION_FLAG,
     .offset = offsetof(struct check_request, run.no_config),
     .help = "read no configuration file"},
};
static const struct option_table options = {rows, sizeof rows / sizeof rows[0]};

static const char *const states[] = {[CALL_WHOLE] = "whole",
                                     [CALL_PARTLY] = "partly",
                                     [CALL_REFUSED] = "refused",
                                     [CALL_MISSING] = "missing"};

static void finding_add(cJSON *list, const char *name, const char *state, const char *file,
                        const char *seen, const char *note)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddStringToObject(o, "state", state);
    cJSON_AddStringToObject(o, "file", file);
    cJSON_AddStringToObject(o, "seen", seen);
    cJSON_AddStringToObject(o, "note", note);
    cJSON_AddItemToArray(list, o);
}

/* Adds what the file `path` (where it is on this host: `host`) can ask for and does not get. */
static void findings_add(cJSON *list, const struct elfcalls *c, const char *path, bool all)
{
    for (size_t n = 0; n < ELFCALLS_MAX; n++) {
        enum call_state state;
        const char *note, *name = call_support(n, &state, &note);
        if (!name || (!c->by_name[n] && !c->by_number[n]) || state == CALL_WHOLE ||
            (state == CALL_PARTLY && !all))
            continue;
        finding_add(list, name, states[state], path, c->by_number[n] ? "number" : "name", note);
    }
}

static const char *text_of(const cJSON *o, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
}

static void print(const cJSON *list, size_t files, size_t computed, bool all)
{
    const cJSON *o;
    if (list->child)
        printf("%-8s %-28s %-7s %-40s %s\n", "STATE", "WHAT", "SEEN BY", "FILE", "NOTE");
    cJSON_ArrayForEach(o, list)
    {
        printf("%-8s %-28s %-7s %-40s %s\n", text_of(o, "state"), text_of(o, "name"),
               text_of(o, "seen"), text_of(o, "file"), text_of(o, "note"));
    }
    fprintf(stderr,
            "ops: %zu file%s looked at, without the C library; a name or a number in the code says "
            "that a call can be made, not that it is; a text, that a file can be opened\n",
            files, files == 1 ? "" : "s");
    if (computed && all)
        fprintf(stderr, "ops: %zu places may make calls whose numbers are computed: not judged\n",
                computed);
}

/* The files of a plan that are ELF: the program and its libraries. */
static void files_check(const struct plan *p, const struct check_request *r)
{
    struct tree_entry **all = tree_entries(&p->tree);
    cJSON *list = cJSON_CreateArray();
    size_t files = 0, computed = 0;
    for (size_t i = 0; all[i]; i++) {
        struct elfcalls c = {0};
        struct err none = {0};
        const struct tree_entry *e = all[i];
        bool wanted =
            e->kind == TREE_FILE && e->source && !elfcalls_is_libc(path_basename(e->path));
        if (wanted && (e->st.st_mode & 0111 || strstr(e->path, ".so")) &&
            elfcalls_read(&c, e->source, &none)) {
            struct strlist names = {0};
            findings_add(list, &c, e->path, r->all);
            elffiles_missing(e->source, &names, &none);
            for (size_t k = 0; k < names.count; k++)
                finding_add(list, names.items[k], states[CALL_MISSING], e->path, "text", "");
            strlist_free(&names);
            computed += c.computed;
            files++;
        }
        err_free(&none);
    }
    if (r->json) {
        char *text = cJSON_Print(list);
        puts(text);
        free(text);
    } else {
        print(list, files, computed, r->all);
    }
    cJSON_Delete(list);
    free(all);
}

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    struct check_request r = {0};
    struct plan p = {0};
    bool help;
    int next = 0;
    (void)status;
    bool ok = options_parse(self->options, &r, words, &next, &help, err);
    r.run.operands = words + next;
    if (ok && help) {
        command_help(self);
    } else if (ok) {
        ok = settings_load(&r.run, NULL, err) && plan_make(&p, &r.run, false, err);
        if (ok && p.disk)
            ok = err_set(err, OPS_EXIT_USAGE, "name the program that it was built of",
                         "%s is a disk, not a program", p.disk->path);
        if (ok)
            files_check(&p, &r);
        plan_free(&p);
    }
    request_free(&r.run);
    return ok;
}

const struct command cmd_check = {
    .name = "check",
    .usage = "check [-a] [--json] PROGRAM",
    .summary = "list calls and files a program may use and the kernel lacks",
    .text =
        "PROGRAM may be a package (pkg:NAME) or a container image. Nothing is run: the program\n"
        "and its libraries are read. `refused` calls answer EPERM, since one image is one\n"
        "process; `missing` ones answer ENOSYS.\n",
    .options = &options,
    .run = run,
};
