/* SPDX-License-Identifier: Apache-2.0 */
/* `ops image`: looks into disks of `ops build` and ext4 files, and changes them, unbooted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "command.h"
#include "ext4diff.h"
#include "grow.h"
#include "image_boot.h"
#include "ops/exit.h"
#include "ops/image.h"
#include "verbs.h"

static char *image_path(const char *name, struct err *err)
{
    (void)err;
    return alloc_string(name);
}

static void list_fill(const struct image_boot *b, const char *key, const char *name, cJSON *o)
{
    struct strlist values = {0};
    image_boot_values(b, key, &values);
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (size_t i = 0; i < values.count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(values.items[i]));
    strlist_free(&values);
}

static void boot_fill(const struct image_boot *b, cJSON *o)
{
    struct strlist program = {0};
    image_boot_values(b, "program", &program);
    cJSON_AddStringToObject(o, "kernel", b->kernel ? b->kernel : "unknown");
    cJSON_AddStringToObject(o, "program", program.count ? program.items[0] : "");
    list_fill(b, "arg", "arguments", o);
    list_fill(b, "env", "environment", o);
    list_fill(b, "mount", "mounts", o);
    strlist_free(&program);
}

static bool info_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    struct image_boot boot = {0};
    struct ext4file f;
    bool disk = false;
    (void)count, (void)status;
    if (!verb_open(r, operands[0], EXT4FILE_READ, &f, err))
        return false;
    bool ok = image_boot_read(operands[0], &boot, &disk, err);
    if (ok) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "file", operands[0]);
        cJSON_AddStringToObject(o, "kind", disk ? "disk" : "filesystem");
        if (disk)
            boot_fill(&boot, o);
        verb_describe(&f, o);
        verb_print(r, o);
        cJSON_Delete(o);
    }
    image_boot_free(&boot);
    ext4file_abandon(&f);
    return ok;
}

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
    bool ok = image_boot_read(operands[0], &boot, &disk, err);
    if (ok && !disk)
        ok = err_set(err, OPS_EXIT_FAILED, "`ops build` writes disks that have one",
                     "%s is a bare filesystem: it has no environment", operands[0]);
    image_boot_values(&boot, "env", &env);
    if (ok && count == 1 && !r->unset.count)
        for (size_t i = 0; i < env.count; i++)
            puts(env.items[i]);
    else if (ok)
        ok = env_change(r, operands, count, &env, err) &&
             image_boot_replace(operands[0], &boot, "env", &env, err);
    strlist_free(&env);
    image_boot_free(&boot);
    return ok;
}

static const struct verb image_verbs[] = {
    {"info", "info FILE [--json]", "show kernel, manifest, sizes, state", &verb_json_row, 1, 1, 1,
     info_run},
    {"ls", "ls [-l] FILE[:/path]", "list a directory", &verb_ls_row, 1, 1, 1, verb_ls},
    {"tree", "tree FILE[:/path]", "list all below a directory", NULL, 0, 1, 1, verb_tree},
    {"cat", "cat FILE:/path...", "print files", NULL, 0, 1, SIZE_MAX, verb_cat},
    {"cp", "cp [-r] SOURCE... TARGET", "copy to or from FILE:/path", &verb_cp_row, 1, 2, SIZE_MAX,
     verb_cp},
    {"env", "env FILE [NAME=VALUE...] [-u NAME]", "print or change the environment", env_rows, 1, 1,
     SIZE_MAX, env_run},
    {"diff", "diff FILE FILE", "list files that differ; status 1 if any", NULL, 0, 2, 2, diff_run},
    {"resize", "resize FILE SIZE", "make the root filesystem larger", NULL, 0, 2, 2, grow_run},
    {"check", "check [--repair] FILE", "look for damage (e2fsck)", &verb_check_row, 1, 1, 1,
     verb_check},
};

static const struct verb_family family = {image_verbs, sizeof image_verbs / sizeof image_verbs[0],
                                          NAMES_FILES, image_path};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_image = {
    .name = "image",
    .usage = "image VERB ...",
    .summary = "look into disk images and change them, without booting",
    .text = "FILE is a disk of `ops build`, whose root filesystem is meant, or a file that is an\n"
            "ext4 filesystem as a whole. No root rights are needed.\n",
    .verbs = &family,
    .run = run,
};
