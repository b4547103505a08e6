/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as JSON: see config_write.h. */
#include "config_write.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "settings.h"

static const void *field_of(const struct config *c, const struct key *k)
{
    return (const char *)c + k->offset;
}

/* The largest unit that says it exactly. */
static cJSON *size_value(uint64_t bytes)
{
    static const char units[] = "BKMGT";
    size_t unit = 0;
    while (unit < 4 && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    char *text = alloc_printf("%llu%c", (unsigned long long)bytes, units[unit]);
    cJSON *v = cJSON_CreateString(text);
    free(text);
    return v;
}

static cJSON *single_value(const struct config *c, const struct key *k)
{
    const void *field = field_of(c, k);
    switch (k->type) {
    case KEY_NUMBER:
        return cJSON_CreateNumber((double)*(const uint64_t *)field);
    case KEY_SIZE:
        return size_value(*(const uint64_t *)field);
    case KEY_BOOL:
        return cJSON_CreateBool(*(const bool *)field);
    default:
        return cJSON_CreateString(*(char *const *)field);
    }
}

static bool key_listed(const struct key *k)
{
    return k->type >= KEY_TEXTS && k->type <= KEY_SHARES;
}

/* A dollar sign of a value is two in a file. */
static char *escaped(const char *text)
{
    char *out = alloc_zero(2 * strlen(text) + 1), *p = out;
    for (; *text; *p++ = *text++)
        if (*text == '$')
            *p++ = '$';
    return out;
}

/* Entry `i` of a list: a name, where it is an object's member, and a value. */
static void entry_take(const struct config *c, const struct key *k, size_t i, char **name,
                       char **value)
{
    const struct strlist *list = field_of(c, k);
    char *entry = k->type == KEY_PATHS || k->type == KEY_MAP ? NULL : alloc_string(list->items[i]);
    char *cut = !entry                                           ? NULL
                : k->type == KEY_ENV                             ? strchr(entry, '=')
                : k->type == KEY_MOUNTS || k->type == KEY_SHARES ? strstr(entry, ":/")
                                                                 : NULL;
    *name = NULL;
    if (!entry) { /* pairs */
        *name = alloc_string(list->items[2 * i]);
        *value = alloc_string(list->items[2 * i + 1]);
    } else if (cut) {
        *name = alloc_bytes(entry, (size_t)(cut - entry));
        *value = alloc_string(cut + 1);
    } else {
        *value = alloc_string(entry);
    }
    free(entry);
}

static size_t list_count(const struct config *c, const struct key *k)
{
    const struct strlist *list = field_of(c, k);
    return k->type == KEY_PATHS || k->type == KEY_MAP ? list->count / 2 : list->count;
}

static char *entry_name(const struct key *k, const char *key, size_t i, const char *name)
{
    return k->type == KEY_ENV ? alloc_printf("%s.%s", key, name) : alloc_printf("%s[%zu]", key, i);
}

/* A member; a path that is there already is said with another spelling. */
static void member_add(cJSON *to, const char *name, const char *value)
{
    char *key = alloc_string(name);
    while (cJSON_GetObjectItemCaseSensitive(to, key)) {
        char *longer = alloc_printf("%s/.", key);
        free(key);
        key = longer;
    }
    cJSON_AddStringToObject(to, key, value);
    free(key);
}

/* What Files and Dirs cannot say: a path whose name in the guest is another. */
static void moved_add(const struct strlist *pairs, cJSON *to)
{
    for (size_t i = 0; i + 1 < pairs->count; i += 2) {
        if (strcmp(pairs->items[i], pairs->items[i + 1]) == 0)
            continue;
        char *host = escaped(pairs->items[i]), *guest = escaped(pairs->items[i + 1]);
        member_add(to, host, guest);
        free(host);
        free(guest);
    }
}

static cJSON *list_value(const struct config *c, const struct key *k)
{
    bool object = k->type != KEY_TEXTS && k->type != KEY_PATHS;
    cJSON *v = object ? cJSON_CreateObject() : cJSON_CreateArray();
    for (size_t i = 0; i < list_count(c, k); i++) {
        char *name, *value;
        entry_take(c, k, i, &name, &value);
        char *n = name ? escaped(name) : NULL, *t = escaped(value);
        if (object)
            member_add(v, n ? n : t, n ? t : "");
        else if (k->type == KEY_TEXTS || strcmp(name, value) == 0)
            cJSON_AddItemToArray(v, cJSON_CreateString(t));
        free(n);
        free(t);
        free(name);
        free(value);
    }
    if (k->type == KEY_MAP) {
        moved_add(&c->files, v);
        moved_add(&c->dirs, v);
    }
    return v;
}

struct writer {
    const struct config *config;
    cJSON *to;
};

static cJSON *parent_of(cJSON *root, const char *entry)
{
    if (!strchr(entry, '.'))
        return root;
    cJSON *run = cJSON_GetObjectItemCaseSensitive(root, "RunConfig");
    return run ? run : cJSON_AddObjectToObject(root, "RunConfig");
}

static void object_add(const struct key *k, const char *entry, void *arg)
{
    struct writer *w = arg;
    bool list = key_listed(k);
    if (!list && !config_origin(w->config, entry))
        return;
    cJSON *v = list ? list_value(w->config, k) : single_value(w->config, k);
    if (list && !v->child)
        cJSON_Delete(v);
    else
        cJSON_AddItemToObject(parent_of(w->to, entry), k->name, v);
}

static void card_add(cJSON *to, const char *word)
{
    cJSON *card = cJSON_CreateObject();
    char *text = escaped(word);
    cJSON_AddStringToObject(card, "Network", text);
    cJSON_AddItemToArray(to, card);
    free(text);
}

/* Cards that are words: what flags say of the first has no key but in its word. */
static void cards_add(const struct config *c, cJSON *root)
{
    bool further;
    char *first = config_card_word(c, &further);
    cJSON *run = first || c->nets.count ? parent_of(root, "RunConfig.") : NULL;
    if (first && !further) {
        char *text = escaped(first);
        cJSON_DeleteItemFromObjectCaseSensitive(run, "Network");
        cJSON_AddStringToObject(run, "Network", text);
        free(text);
    }
    cJSON *nics = c->nets.count ? cJSON_AddArrayToObject(run, "Nics") : NULL;
    for (size_t i = 0; i < c->nets.count; i++)
        card_add(nics, further && !i ? first : c->nets.items[i]);
    free(first);
}

cJSON *config_object(const struct config *c)
{
    struct writer w = {c, cJSON_CreateObject()};
    struct strlist left = {0};
    settings_keys(object_add, &w);
    cards_add(c, w.to);
    cJSON *ordered = config_canonical(w.to, &left);
    cJSON_Delete(w.to);
    strlist_free(&left);
    return ordered;
}

static void entry_add(cJSON *to, const char *key, cJSON *value, const char *origin)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "key", key);
    cJSON_AddItemToObject(o, "value", value);
    cJSON_AddStringToObject(o, "origin", origin ? origin : "");
    cJSON_AddItemToArray(to, o);
}

static void entries_add(const struct key *k, const char *entry, void *arg)
{
    struct writer *w = arg;
    const char *origin = config_origin(w->config, entry);
    if (!key_listed(k)) {
        if (origin)
            entry_add(w->to, entry, single_value(w->config, k), origin);
        return;
    }
    for (size_t i = 0; i < list_count(w->config, k); i++) {
        char *name, *value;
        entry_take(w->config, k, i, &name, &value);
        char *member = entry_name(k, entry, i, name);
        char *shown =
            k->type == KEY_ENV || !name ? alloc_string(value) : alloc_printf("%s:%s", name, value);
        entry_add(w->to, member, cJSON_CreateString(shown), config_origin(w->config, member));
        free(shown);
        free(member);
        free(name);
        free(value);
    }
}

/* What flags say of the first card, by the words it may have in RunConfig.Network. */
static void card_entries(const struct config *c, cJSON *to)
{
    size_t index = 0;
    for (size_t i = 0; i < c->card.count; i++) {
        const char *option = c->card.items[i];
        size_t n = strcspn(option, "=");
        index = i && strncmp(c->card.items[i - 1], option, n + 1) == 0 ? index + 1 : 0;
        char *key = alloc_printf("RunConfig.Network.%.*s[%zu]", (int)n, option, index);
        char *flag = alloc_printf("--%.*s", (int)n, option);
        entry_add(to, key, cJSON_CreateString(option + n + 1), flag);
        free(flag);
        free(key);
    }
}

cJSON *config_entries(const struct config *c)
{
    struct writer w = {c, cJSON_CreateArray()};
    settings_keys(entries_add, &w);
    for (size_t i = 0; i < c->nets.count; i++) {
        char *key = alloc_printf("RunConfig.Nics[%zu]", i);
        entry_add(w.to, key, cJSON_CreateString(c->nets.items[i]), config_origin(c, key));
        free(key);
    }
    card_entries(c, w.to);
    for (size_t i = 0; i < c->secrets.count; i++) {
        char *name = alloc_bytes(c->secrets.items[i], strcspn(c->secrets.items[i], "="));
        char *member = alloc_printf("Env.%s", name);
        entry_add(w.to, member, cJSON_CreateString("(secret)"), "--secret");
        free(member);
        free(name);
    }
    return w.to;
}
