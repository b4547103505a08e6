/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file's canonical form: see config_write.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "config_write.h"

/* The object that `prefix` stands for, made where it is missing. */
static cJSON *object_at(cJSON *root, const char *prefix)
{
    if (!*prefix)
        return root;
    cJSON *o = cJSON_GetObjectItemCaseSensitive(root, "RunConfig");
    return o ? o : cJSON_AddObjectToObject(root, "RunConfig");
}

/* Mounts may be said as a list in RunConfig: NAME:/path. */
static cJSON *mounts_object(const cJSON *list)
{
    cJSON *o = cJSON_CreateObject();
    const cJSON *m;
    cJSON_ArrayForEach(m, list)
    {
        const char *cut = strstr(m->valuestring, ":/");
        char *name = alloc_bytes(m->valuestring,
                                 cut ? (size_t)(cut - m->valuestring) : strlen(m->valuestring));
        cJSON_AddStringToObject(o, name, cut ? cut + 1 : "");
        free(name);
    }
    return o;
}

static bool truth(const cJSON *v)
{
    return cJSON_IsTrue(v) || (cJSON_IsString(v) && strchr("t1y", v->valuestring[0]));
}

/* What another way of saying it is as the key's own value; NULL: it says nothing. */
static cJSON *own_value(const struct key *k, const struct key *own, const cJSON *v)
{
    switch (k->type) {
    case KEY_REBOOT:
        return truth(v) ? cJSON_CreateString("always") : NULL;
    case KEY_TRACED:
        return truth(v) ? cJSON_CreateString("all") : NULL;
    case KEY_FLAGS:
        return v->child ? cJSON_CreateString("all") : NULL;
    case KEY_BOOL:
        return cJSON_CreateBool(truth(v));
    case KEY_ACCEL:
        return cJSON_IsBool(v) ? cJSON_CreateString(cJSON_IsTrue(v) ? "auto" : "tcg")
                               : cJSON_Duplicate(v, true);
    default:
        return own->type == KEY_MOUNTS && cJSON_IsArray(v) ? mounts_object(v)
                                                           : cJSON_Duplicate(v, true);
    }
}

static void key_move(cJSON *root, const struct key *k, const cJSON *v, struct strlist *left)
{
    const char *prefix = "RunConfig.";
    const struct key *own = k->type == KEY_CARDS                          ? k
                            : k->type < KEY_NOTED && k->type != KEY_KLIBS ? key_main(k, &prefix)
                                                                          : NULL;
    cJSON *value = own ? own_value(k, own, v) : NULL;
    if (!value) {
        if (k->type == KEY_NOTED || k->type == KEY_KLIBS)
            strlist_addf(left, "%s: %s", k->name, k->why);
        return;
    }
    cJSON *to = object_at(root, prefix), *there = cJSON_GetObjectItemCaseSensitive(to, own->name);
    if (there && cJSON_IsObject(there) && cJSON_IsObject(value)) {
        while (value->child) {
            cJSON *m = cJSON_DetachItemViaPointer(value, value->child);
            char *name = alloc_string(m->string);
            cJSON_DeleteItemFromObjectCaseSensitive(there, name);
            cJSON_AddItemToObject(there, name, m);
            free(name);
        }
        cJSON_Delete(value);
    } else if (there) {
        cJSON_ReplaceItemInObjectCaseSensitive(to, own->name, value);
    } else {
        cJSON_AddItemToObject(to, own->name, value);
    }
}

static void table_move(cJSON *root, const struct key *table, const cJSON *from,
                       struct strlist *left)
{
    for (const cJSON *v = from->child; v; v = v->next)
        for (const struct key *k = table; k->name; k++)
            if (strcasecmp(k->name, v->string) == 0) {
                if (k->type == KEY_TABLE)
                    table_move(root, k->table, v, left);
                else
                    key_move(root, k, v, left);
            }
}

/* Members in the order of the table. */
static cJSON *sorted(cJSON *from, const struct key *table)
{
    cJSON *to = cJSON_CreateObject();
    for (const struct key *k = table; k->name; k++) {
        cJSON *v = cJSON_DetachItemFromObjectCaseSensitive(from, k->name);
        if (v)
            cJSON_AddItemToObject(to, k->name, k->type == KEY_TABLE ? sorted(v, k->table) : v);
    }
    cJSON_Delete(from);
    return to;
}

cJSON *config_canonical(const cJSON *file, struct strlist *left)
{
    cJSON *root = cJSON_CreateObject();
    table_move(root, config_keys, file, left);
    return sorted(root, config_keys);
}
