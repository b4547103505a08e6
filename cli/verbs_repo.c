/* SPDX-License-Identifier: Apache-2.0 */
/* `ops pkg repo` and `ops pkg publish`: packages for others, and from others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hostpath.h"
#include "instance_show.h"
#include "minisign.h"
#include "ops/exit.h"
#include "package_archive.h"
#include "package_store.h"
#include "repo.h"
#include "verbs_repo.h"

#define DAYS_DEFAULT 365
#define DAYS_MOST    36500

static bool repo_list(const struct verb_request *r, struct err *err)
{
    struct repos all;
    bool ok = repos_load(&all, err);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; ok && i < all.count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", all.items[i].name);
        cJSON_AddStringToObject(o, "url", all.items[i].url);
        cJSON_AddStringToObject(o, "key", all.items[i].key);
        cJSON_AddItemToArray(list, o);
        if (!r->json)
            printf("%-16s %-40s %s\n", all.items[i].name, all.items[i].url, all.items[i].key);
    }
    if (ok && r->json)
        verb_print(r, list);
    cJSON_Delete(list);
    repos_free(&all);
    return ok;
}

static bool key_make(const char *path, struct err *err)
{
    struct minisign_key k;
    if (!minisign_make(path, &k, err))
        return false;
    char *text = minisign_key_text(&k);
    puts(text);
    free(text);
    return true;
}

bool verb_repo(const struct verb_request *r, char **operands, size_t count, int *status,
               struct err *err)
{
    const char *what = operands[0];
    (void)status;
    if (strcmp(what, "list") == 0 && count == 1)
        return repo_list(r, err);
    if (strcmp(what, "add") == 0 && count == 4)
        return repo_add(operands[1], operands[2], operands[3], err);
    if (strcmp(what, "remove") == 0 && count == 2)
        return repo_remove(operands[1], err);
    if (strcmp(what, "key") == 0 && count == 2)
        return key_make(operands[1], err);
    return err_set(err, OPS_EXIT_USAGE,
                   "write `ops pkg repo list`, `add NAME URL KEY`, `remove NAME` or `key FILE`",
                   "`ops pkg repo` does not understand these words");
}

/* The packages that are named, or all. */
static bool names_settle(struct strlist *names, char **operands, size_t count, struct err *err)
{
    if (!count)
        return package_store_names(names, err);
    for (size_t i = 0; i < count; i++) {
        char *dir = package_store_need(operands[i], err);
        if (!dir)
            return false;
        strlist_add(names, path_basename(dir));
        free(dir);
    }
    return true;
}

bool verb_publish(const struct verb_request *r, char **operands, size_t count, int *status,
                  struct err *err)
{
    struct strlist names = {0};
    unsigned long days = DAYS_DEFAULT;
    (void)status;
    if (!r->key)
        return err_set(err, OPS_EXIT_USAGE, "`ops pkg repo key FILE` makes one",
                       "--key FILE has to name the secret key that signs the index");
    bool ok = (!r->days || verb_number(r->days, "--days", DAYS_MOST, &days, err)) &&
              names_settle(&names, operands + 1, count - 1, err) &&
              package_publish(operands[0], &names, r->key, (unsigned)days, err);
    for (size_t i = 0; ok && i < names.count; i++)
        puts(names.items[i]);
    strlist_free(&names);
    return ok;
}
