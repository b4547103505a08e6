/* SPDX-License-Identifier: Apache-2.0 */
/* `ops image`: looks into disks of `ops build` and ext4 files, and changes them, unbooted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include "age.h"
#include "alloc.h"
#include "cmd_build.h"
#include "command.h"
#include "crashlog.h"
#include "ext4diff.h"
#include "grow.h"
#include "image_boot.h"
#include "image_info.h"
#include "image_store.h"
#include "image_verify.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "verbs.h"

static bool diff_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct ext4file a, b;
    bool differ = false;
    (void)count;
    if (!verb_open(r, operands[0], EXT4FILE_READ, &a, err))
        return false;
    bool ok = verb_open(r, operands[1], EXT4FILE_READ, &b, err);
    if (ok) {
        ok = ext4diff_print(&a, &b, &differ, err);
        ext4file_abandon(&b);
    }
    ext4file_abandon(&a);
    *status = differ ? OPS_EXIT_FAILED : OPS_EXIT_OK;
    return ok;
}

static const struct option env_rows[] = {
    {.name = "unset",
     .letter = 'u',
     .type = OPTION_LIST,
     .offset = offsetof(struct verb_request, unset),
     .argument = "NAME",
     .help = "remove a variable"},
};

/* All of `old` that does not set a variable of this name. */
static void env_without(const struct strlist *old, const char *name, size_t n, struct strlist *to)
{
    for (size_t i = 0; i < old->count; i++)
        if (strncmp(old->items[i], name, n) != 0 || old->items[i][n] != '=')
            strlist_add(to, old->items[i]);
}

static void env_drop(struct strlist *env, const char *name, size_t n)
{
    struct strlist kept = {0};
    env_without(env, name, n, &kept);
    strlist_free(env);
    *env = kept;
}

static bool env_change(const struct verb_request *r, char **operands, size_t count,
                       struct strlist *env, struct err *err)
{
    for (size_t i = 0; i < r->unset.count; i++)
        env_drop(env, r->unset.items[i], strlen(r->unset.items[i]));
    for (size_t i = 1; i < count; i++) {
        size_t n = strcspn(operands[i], "=");
        if (n == 0 || !operands[i][n])
            return err_set(err, OPS_EXIT_USAGE, "write NAME=value, or -u NAME to remove it",
                           "%s sets no variable", operands[i]);
        env_drop(env, operands[i], n);
        strlist_add(env, operands[i]);
    }
    return true;
}

static bool env_run(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    struct image_boot boot = {0};
    struct strlist env = {0};
    bool disk = false;
    (void)status;
    char *file = image_store_find(operands[0], err);
    bool ok = image_boot_read(file, &boot, &disk, err);
    if (ok && !disk)
        ok = err_set(err, OPS_EXIT_FAILED, "`ops build` writes disks that have one",
                     "%s is a bare filesystem: it has no environment", operands[0]);
    image_boot_values(&boot, "env", &env);
    if (ok && count == 1 && !r->unset.count)
        for (size_t i = 0; i < env.count; i++)
            puts(env.items[i]);
    else if (ok)
        ok = env_change(r, operands, count, &env, err) &&
             image_boot_replace(file, &boot, "env", &env, err);
    strlist_free(&env);
    image_boot_free(&boot);
    free(file);
    return ok;
}

static void list_print(const cJSON *list)
{
    bool table = isatty(STDOUT_FILENO);
    const cJSON *o;
    if (table && cJSON_GetArraySize(list))
        printf("%-24s %10s %10s  %-20s  %s\n", "NAME", "SIZE", "ON DISK", "CREATED", "USED");
    cJSON_ArrayForEach(o, list)
    {
        char *size = verb_size(cJSON_GetObjectItem(o, "sizeBytes")->valuedouble);
        char *disk = verb_size(cJSON_GetObjectItem(o, "diskBytes")->valuedouble);
        printf(table ? "%-24s %10s %10s  %s  %s\n" : "%s\t%s\t%s\t%s\t%s\n",
               cJSON_GetStringValue(cJSON_GetObjectItem(o, "name")), size, disk,
               cJSON_GetStringValue(cJSON_GetObjectItem(o, "created")),
               cJSON_GetStringValue(cJSON_GetObjectItem(o, "used")));
        free(size);
        free(disk);
    }
}

/* The images that `match` takes; NULL: all. */
static bool images_list(const struct verb_request *r, bool (*match)(const char *, const void *),
                        const void *arg, struct err *err)
{
    struct strlist names = {0};
    bool ok = image_store_names(&names, err);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < names.count; i++) {
        bool wanted = !match || match(names.items[i], arg);
        cJSON *o = wanted ? image_store_describe(names.items[i]) : NULL;
        if (o)
            cJSON_AddItemToArray(list, o);
    }
    if (ok && r->json)
        verb_print(r, list);
    else if (ok)
        list_print(list);
    cJSON_Delete(list);
    strlist_free(&names);
    return ok;
}

static bool list_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    (void)operands, (void)count, (void)status;
    return images_list(r, NULL, NULL, err);
}

static bool name_matches(const char *name, const void *regex)
{
    return regexec(regex, name, 0, NULL, 0) == 0;
}

static bool search_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    regex_t match;
    char why[128];
    (void)count, (void)status;
    int bad = regcomp(&match, operands[0], REG_EXTENDED | REG_NOSUB);
    if (bad) {
        regerror(bad, &match, why, sizeof why);
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s is no regular expression: %s", operands[0],
                       why);
    }
    bool ok = images_list(r, name_matches, &match, err);
    regfree(&match);
    return ok;
}

static const struct option delete_rows[] = {
    {.name = "lru",
     .type = OPTION_TEXT,
     .offset = offsetof(struct verb_request, lru),
     .argument = "AGE",
     .help = "those that nobody used for 3d, 2w, 6m, 1y: which, or with --yes"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct verb_request, yes),
     .help = "with --lru: really delete them"},
};

static bool image_unused(const char *name, const void *since)
{
    return image_store_unused(name, *(const time_t *)since);
}

static bool unused_delete(const struct verb_request *r, struct err *err)
{
    struct strlist names = {0};
    time_t since;
    if (!age_before(r->lru, time(NULL), &since, err))
        return false;
    if (!r->yes)
        return images_list(r, image_unused, &since, err);
    bool ok = image_store_names(&names, err);
    for (size_t i = 0; i < names.count; i++) { /* one that cannot be deleted keeps no other */
        if (!image_store_unused(names.items[i], since))
            continue;
        if (image_store_delete(names.items[i], err))
            puts(names.items[i]);
        else
            ok = false;
    }
    strlist_free(&names);
    return ok;
}

static bool delete_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool ok = true;
    (void)status;
    if (r->lru && count)
        return err_set(err, OPS_EXIT_USAGE, "leave out one of them",
                       "--lru chooses images by itself: %s cannot be named", operands[0]);
    if (r->lru)
        return unused_delete(r, err);
    if (!count)
        return err_set(err, OPS_EXIT_USAGE, "write `ops image delete IMAGE...` or --lru AGE",
                       "which images are to be deleted?");
    for (size_t i = 0; ok && i < count; i++)
        ok = image_store_delete(operands[i], err);
    return ok;
}

/* The last operand is the directory. */
static bool sync_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct stat st;
    const char *dir = operands[count - 1];
    bool copied, ok = true;
    (void)r, (void)status;
    if (stat(dir, &st) < 0)
        return err_errno(err, "open", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, OPS_EXIT_USAGE, "write `ops image sync NAME... DIR`",
                       "%s is not a directory", dir);
    for (size_t i = 0; ok && i + 1 < count; i++) {
        ok = image_store_sync(operands[i], dir, &copied, err);
        if (ok)
            printf("%s\t%s\n", operands[i], copied ? "copied" : "unchanged");
    }
    return ok;
}

static bool log_run(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    (void)count, (void)status;
    char *file = image_store_find(operands[0], err);
    cJSON *records = crashlog_read(file, err);
    if (records && r->json)
        verb_print(r, records);
    else if (records)
        crashlog_print(records);
    cJSON_Delete(records);
    free(file);
    return records != NULL;
}

static const struct option verify_row = {.name = "key",
                                         .letter = 'k',
                                         .type = OPTION_TEXT,
                                         .offset = offsetof(struct verb_request, key),
                                         .argument = "KEY",
                                         .help = "a public key of minisign, or its file"};

static bool verify_run(const struct verb_request *r, char **operands, size_t count, int *status,
                       struct err *err)
{
    bool disk = false;
    (void)count, (void)status;
    char *file = image_store_find(operands[0], err);
    bool ok = (!r->key || image_signature_verify(file, r->key, err));
    if (ok && r->key)
        puts("signature    good");
    else if (ok && image_signed(file))
        puts("signature    not checked: give --key");
    ok = ok && image_parts_verify(file, &disk, err);
    if (ok && !disk && !r->key)
        ok = err_set(err, OPS_EXIT_FAILED, "`ops build --sign` signs any format: give --key",
                     "%s is no raw disk of `ops build`: nothing tells what it was", operands[0]);
    free(file);
    return ok;
}

static const struct verb image_verbs[] = {
    {"create", "create [OPTION...] PROGRAM...", "write a disk into the store of images", NULL, 0, 0,
     SIZE_MAX, NULL},
    {"list", "list [--json]", "list the store's images", &verb_json_row, 1, 0, 0, list_run},
    {"search", "search REGEX [--json]", "list those whose names match", &verb_json_row, 1, 1, 1,
     search_run},
    {"delete", "delete IMAGE... | --lru AGE [--yes]", "delete them", delete_rows, 2, 0, SIZE_MAX,
     delete_run},
    {"sync", "sync IMAGE... DIR", "copy them to another directory", NULL, 0, 2, SIZE_MAX, sync_run},
    {"info", "info FILE [--json] [--sbom FILE] [--treemap FILE]",
     "show kernel, manifest, sizes, state", image_info_rows, IMAGE_INFO_ROWS, 1, 1, image_info},
    {"ls", "ls [-l] FILE[:/path]", "list a directory", &verb_ls_row, 1, 1, 1, verb_ls},
    {"tree", "tree FILE[:/path]", "list all below a directory", NULL, 0, 1, 1, verb_tree},
    {"cat", "cat FILE:/path...", "print files", NULL, 0, 1, SIZE_MAX, verb_cat},
    {"cp", "cp [-r] SOURCE... TARGET", "copy to or from FILE:/path", &verb_cp_row, 1, 2, SIZE_MAX,
     verb_cp},
    {"env", "env FILE [NAME=VALUE...] [-u NAME]", "print or change the environment", env_rows, 1, 1,
     SIZE_MAX, env_run},
    {"diff", "diff FILE FILE", "list files that differ; status 1 if any", NULL, 0, 2, 2, diff_run},
    {"resize", "resize FILE SIZE", "make the root filesystem larger", NULL, 0, 2, 2, grow_run},
    {"log", "log FILE [--json]", "show how its machines ended, where they ended badly",
     &verb_json_row, 1, 1, 1, log_run},
    {"verify", "verify FILE [--key KEY]", "is it what was built, and who signed it?", &verify_row,
     1, 1, 1, verify_run},
    {"check", "check [--repair] FILE", "look for damage (e2fsck)", &verb_check_row, 1, 1, 1,
     verb_check},
};

static const struct verb_family family = {.verbs = image_verbs,
                                          .count = sizeof image_verbs / sizeof image_verbs[0],
                                          .names = NAMES_FILES,
                                          .place = image_store_find,
                                          .program = &image_create_options};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    if (words[0] && strcmp(words[0], "create") == 0)
        return image_create(words + 1, err);
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_image = {
    .name = "image",
    .usage = "image VERB ...",
    .summary = "make disk images, look into them and change them, unbooted",
    .text =
        "FILE is a disk of `ops build`, whose root filesystem is meant, a file that is an ext4\n"
        "filesystem as a whole, or the name of an IMAGE: a disk in $XDG_DATA_HOME/ops/images.\n"
        "No root rights are needed.\n",
    .verbs = &family,
    .run = run,
};
