/* SPDX-License-Identifier: Apache-2.0 */
/* `ops volume`: filesystems that outlive the machines they are mounted in. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "command.h"
#include "grow.h"
#include "hotplug.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "size.h"
#include "verbs.h"
#include "volume_store.h"

static const struct option create_rows[] = {
    {.name = "dir",
     .letter = 'd',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, dir),
     .argument = "DIR",
     .help = "copy what is in this directory into it"},
    {.name = "owner",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, owner),
     .argument = "UID[:GID]",
     .help = "who owns all of it in the guest (default 0:0)"},
    {.name = "size",
     .letter = 's',
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, size),
     .argument = "SIZE",
     .help = "64M, 2G (default 64M or by need); takes no room until used"},
};

/* "999" or "999:999" */
static bool owner_parse(const char *text, struct volume_wish *w, struct err *err)
{
    char *end, *rest;
    unsigned long uid = strtoul(text, &end, 10), gid = uid;
    bool ok = end > text && isdigit((unsigned char)*text);
    if (ok && *end == ':') {
        gid = strtoul(end + 1, &rest, 10);
        ok = rest > end + 1 && isdigit((unsigned char)end[1]);
        end = rest;
    }
    if (!ok || *end || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return err_set(err, OPS_EXIT_USAGE, "numbers, as in --owner 999:999",
                       "--owner %s is no owner", text);
    w->uid = (uint32_t)uid;
    w->gid = (uint32_t)gid;
    return true;
}

static bool create_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    struct volume_wish w = {.dir = r->dir};
    (void)count, (void)status;
    if (r->size && !size_parse(r->size, &w.size))
        return err_set(err, OPS_EXIT_USAGE, "write -s 64M or -s 2G", "%s is not a size", r->size);
    return (!r->owner || owner_parse(r->owner, &w, err)) && volume_create(operands[0], &w, err);
}

static void info_fill(const char *name, const struct ext4file *f, cJSON *o)
{
    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddStringToObject(o, "file", f->path);
    verb_describe(f, o);
    cJSON_AddBoolToObject(o, "inUse", f->busy);
}

/* One volume of the list; one that cannot be read is listed with the reason. */
static void list_add(const struct verb_request *r, const char *name, cJSON *list)
{
    struct ext4file f;
    struct err err = {0};
    cJSON *o = cJSON_CreateObject();
    char *path = volume_path(name, &err);
    bool ok = path && ext4file_locate(&f, path, OPS_ROOT_LABEL, EXT4FILE_READ, &err);
    if (ok && ext4file_attach(&f, &err)) {
        info_fill(name, &f, o);
    } else {
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "error", err.message ? err.message : "");
    }
    if (ok)
        ext4file_abandon(&f);
    cJSON_AddItemToArray(list, o);
    free(path);
    err_free(&err);
    (void)r;
}

static void list_line(const cJSON *o)
{
    const cJSON *error = cJSON_GetObjectItem(o, "error");
    const char *name = cJSON_GetObjectItem(o, "name")->valuestring;
    if (error) {
        printf("%-16s %s\n", name, error->valuestring);
        return;
    }
    char *size = verb_size(cJSON_GetObjectItem(o, "sizeBytes")->valuedouble);
    char *available = verb_size(cJSON_GetObjectItem(o, "freeBytes")->valuedouble);
    printf("%-16s %10s %10s  %s  %s\n", name, size, available,
           cJSON_GetObjectItem(o, "uuid")->valuestring,
           cJSON_GetObjectItem(o, "state")->valuestring);
    free(size);
    free(available);
}

static bool list_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct strlist names = {0};
    (void)operands, (void)count, (void)status;
    if (!volume_names(&names, err))
        return false;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < names.count; i++)
        list_add(r, names.items[i], list);
    if (r->json) {
        verb_print(r, list);
    } else if (names.count) {
        printf("%-16s %10s %10s  %-36s  %s\n", "NAME", "SIZE", "FREE", "UUID", "STATE");
        for (const cJSON *o = list->child; o; o = o->next)
            list_line(o);
    }
    cJSON_Delete(list);
    strlist_free(&names);
    return true;
}

static bool delete_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool ok = true;
    (void)r, (void)status;
    for (size_t i = 0; ok && i < count; i++)
        ok = volume_delete(operands[i], err);
    return ok;
}

static bool info_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct ext4file f;
    (void)count, (void)status;
    if (!verb_open(r, operands[0], EXT4FILE_READ, &f, err))
        return false;
    cJSON *o = cJSON_CreateObject();
    info_fill(operands[0], &f, o);
    verb_print(r, o);
    cJSON_Delete(o);
    ext4file_abandon(&f);
    return true;
}

static const struct verb volume_verbs[] = {
    {"create", "create NAME [-s SIZE] [-d DIR]", "make a volume", create_rows, 3, 1, 1, create_run},
    {"list", "list [--json]", "list the volumes", &verb_json_row, 1, 0, 0, list_run},
    {"info", "info NAME [--json]", "show size, state, UUID", &verb_json_row, 1, 1, 1, info_run},
    {"ls", "ls [-l] NAME[:/path]", "list a directory", &verb_ls_row, 1, 1, 1, verb_ls},
    {"tree", "tree NAME[:/path]", "list all below a directory", NULL, 0, 1, 1, verb_tree},
    {"cat", "cat NAME:/path...", "print files", NULL, 0, 1, SIZE_MAX, verb_cat},
    {"cp", "cp [-r] SOURCE... TARGET", "copy to or from NAME:/path", &verb_cp_row, 1, 2, SIZE_MAX,
     verb_cp},
    {"resize", "resize NAME SIZE", "make a volume larger", NULL, 0, 2, 2, grow_run},
    {"check", "check [--repair] NAME", "look for damage (e2fsck)", &verb_check_row, 1, 1, 1,
     verb_check},
    {"attach", "attach VOLUME INSTANCE[:/path][:ro]", "mount it in a running machine", NULL, 0, 2,
     2, hotplug_attach},
    {"detach", "detach VOLUME INSTANCE", "take it from a running machine", NULL, 0, 2, 2,
     hotplug_detach},
    {"delete", "delete NAME...", "delete volumes with their content", NULL, 0, 1, SIZE_MAX,
     delete_run},
};

static const struct verb_family family = {.verbs = volume_verbs,
                                          .count = sizeof volume_verbs / sizeof volume_verbs[0],
                                          .names = NAMES_VOLUMES,
                                          .place = volume_path};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_volume = {
    .name = "volume",
    .usage = "volume VERB ...",
    .summary = "make, fill and look into volumes",
    .text = "A volume is an ext4 filesystem in a file of $XDG_DATA_HOME/ops/volumes; `ops run\n"
            "--mounts NAME:/path` mounts it. NAME is its name or UUID, or a file if it has a\n"
            "slash. No machine is started and no root rights are needed. INSTANCE of attach\n"
            "and detach was started by `ops run --name INSTANCE`; without a path the volume is "
            "mounted\n"
            "on /VOLUME.\n",
    .verbs = &family,
    .run = run,
};
