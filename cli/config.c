/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a configuration: what the table of config_keys.h says, key by key. See config.h. */
#include "config.h"

#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "alloc.h"
#include "hostpath.h"
#include "interpolate.h"
#include "json.h"
#include "nearest.h"
#include "ops/exit.h"
#include "size.h"

#define CONFIG_MAX  (1 << 20) /* bytes of a configuration file */
#define CONFIG_KEYS 64        /* of one table, at most */

struct reader {
    struct config *config;
    const struct config_source *source;
    struct json_text text;
    struct json_place place;
    bool passthrough; /* below ManifestPassthrough, where OPS knows only strings */
    bool lines;       /* origins have lines */
    struct err *err;
};

/* What is wrong is in err. False: reading ends. */
static bool fault(struct reader *r)
{
    struct config_faults *f = r->source->faults;
    if (!f)
        return false;
    f->items = alloc_array(f->items, f->count + 1, sizeof *f->items);
    f->items[f->count++] = *r->err;
    *r->err = (struct err){0};
    return true;
}

static bool wrong_type(struct reader *r, const struct key *k)
{
    return json_error(&r->text, &r->place, false, r->err, "%s must be %s", k->name,
                      key_expected(k));
}

static char *origin_here(const struct reader *r)
{
    size_t line = json_line(&r->text, &r->place);
    return r->lines ? alloc_printf("%s:%zu", r->text.name, line) : alloc_string(r->text.name);
}

/* Entry `member` of what `k` sets (NULL: all of it) comes from here. */
static void note_origin(struct reader *r, const struct key *k, const char *fmt, ...)
{
    const char *prefix;
    const struct key *m = key_main(k, &prefix);
    va_list ap;
    va_start(ap, fmt);
    char *member = alloc_vprintf(fmt, ap);
    va_end(ap);
    char *entry = alloc_printf("%s%s%s", prefix, m->name, member), *origin = origin_here(r);
    config_note_origin(r->config, entry, origin);
    free(origin);
    free(entry);
    free(member);
}

static void note_unused(struct reader *r, const char *what, const char *why)
{
    char *origin = origin_here(r);
    strlist_addf(&r->config->notes, "%s: %s has no effect: %s", origin, what, why);
    free(origin);
}

static char *path_of(const struct reader *r, const char *text)
{
    char *joined = path_join(r->source->dir, text), *absolute = path_absolute(joined);
    free(joined);
    return absolute;
}

/* Where all faults are asked for, a host path that is not there is one. */
static bool path_there(struct reader *r, const char *path, bool key)
{
    glob_t found;
    if (!r->source->faults || access(path, F_OK) == 0)
        return true;
    if (strpbrk(path, "*?[") && glob(path, 0, NULL, &found) == 0) {
        globfree(&found);
        return true;
    }
    return json_error(&r->text, &r->place, key, r->err, "there is no %s", path);
}

static void *field_of(const struct reader *r, const struct key *k)
{
    return (char *)r->config + k->offset;
}

static bool read_number(struct reader *r, const struct key *k, const cJSON *v)
{
    uint64_t *field = field_of(r, k);
    if (k->type == KEY_SIZE) {
        if (!cJSON_IsString(v) || !size_parse(v->valuestring, field))
            return wrong_type(r, k);
    } else if (r->passthrough && cJSON_IsString(v) && strlen(v->valuestring) < 9 &&
               v->valuestring[strspn(v->valuestring, "0123456789")] == 0) {
        *field = strtoul(v->valuestring, NULL, 10); /* OPS hands numbers on as text */
    } else if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > UINT32_MAX ||
               floor(v->valuedouble) != v->valuedouble) {
        return wrong_type(r, k);
    } else {
        *field = (uint64_t)v->valuedouble;
    }
    note_origin(r, k, "%s", "");
    return true;
}

/* true, false; in ManifestPassthrough what OPS' kernel takes for them. */
static bool truth(const struct reader *r, const cJSON *v, bool *value)
{
    static const char *const yes[] = {"t", "true", "1", "yes"}, *const no[] = {"", "false", "0"};
    *value = cJSON_IsTrue(v);
    if (cJSON_IsBool(v))
        return true;
    for (size_t i = 0; r->passthrough && cJSON_IsString(v) && i < 4; i++) {
        *value = strcmp(v->valuestring, yes[i]) == 0;
        if (*value || (i < 3 && strcmp(v->valuestring, no[i]) == 0))
            return true;
    }
    return false;
}

static void text_set(struct reader *r, const struct key *k, char *text)
{
    char **field = field_of(r, k);
    free(*field);
    *field = text;
    note_origin(r, k, "%s", "");
}

static bool read_bool(struct reader *r, const struct key *k, const cJSON *v)
{
    bool value;
    if (!truth(r, v, &value))
        return wrong_type(r, k);
    if (k->type == KEY_BOOL) {
        *(bool *)field_of(r, k) = value;
        note_origin(r, k, "%s", "");
    } else if (value) {
        text_set(r, k, alloc_string(k->type == KEY_REBOOT ? "always" : "all"));
    }
    return true;
}

static bool word_known(const struct key *k, const char *text)
{
    for (size_t i = 0; k->words[i]; i++)
        if (strcmp(k->words[i], text) == 0)
            return true;
    return false;
}

static bool read_text(struct reader *r, const struct key *k, const cJSON *v)
{
    const char *text = cJSON_GetStringValue(v);
    if (k->type == KEY_ACCEL && cJSON_IsBool(v))
        text = cJSON_IsTrue(v) ? "auto" : "tcg";
    if (!text || !*text || (k->words && !word_known(k, text)))
        return wrong_type(r, k);
    char *made = k->type == KEY_PATH ? path_of(r, text) : alloc_string(text);
    text_set(r, k, made);
    return k->type != KEY_PATH || path_there(r, made, false);
}

/* A pair of paths, or what a mount is written as. */
static bool read_pair(struct reader *r, const struct key *k, struct strlist *list, const cJSON *v)
{
    char *path = NULL, *guest = NULL;
    bool key = k->type != KEY_PATHS;
    if (key && v->valuestring[0] != '/')
        return json_error(&r->text, &r->place, false, r->err,
                          k->type == KEY_MAP ? "the directory in the guest must start with a slash"
                                             : "the mount point must start with a slash");
    const char *host = key ? v->string : v->valuestring;
    bool named = k->type == KEY_MOUNTS && !strchr(host, '/');
    path = named ? alloc_string(host) : path_of(r, host);
    if (k->type == KEY_MOUNTS || k->type == KEY_SHARES) {
        strlist_addf(list, "%s:%s", path, v->valuestring);
        note_origin(r, k, "[%zu]", list->count - 1);
    } else {
        guest = path_normal(v->valuestring);
        strlist_add(list, path);
        strlist_add(list, guest);
        note_origin(r, k, "[%zu]", list->count / 2 - 1);
    }
    bool ok = named || path_there(r, path, key);
    free(path);
    free(guest);
    return ok;
}

static bool read_variable(struct reader *r, const struct key *k, struct strlist *list,
                          const cJSON *v)
{
    if (v->string[0] == 0 || strchr(v->string, '='))
        return json_error(&r->text, &r->place, true, r->err,
                          "\"%s\" cannot be the name of a variable", v->string);
    char *entry = alloc_printf("%s=%s", v->string, v->valuestring);
    config_set_env(list, entry);
    free(entry);
    note_origin(r, k, ".%s", v->string);
    return true;
}

/* Words of OPS' kernel: flags and plugins. */
static bool read_word(struct reader *r, const struct key *k, const cJSON *v)
{
    const char *word = v->valuestring;
    if (k->type == KEY_KLIBS) {
        const char *why = key_klib(word);
        if (!why)
            return json_error(&r->text, &r->place, false, r->err,
                              "\"%s\" is a plugin of OPS' kernel: "
                              "this kernel has no plugins",
                              word);
        note_unused(r, word, why);
        return true;
    }
    if (strcmp(word, "trace") == 0 || strcmp(word, "debugsyscalls") == 0) {
        text_set(r, k, alloc_string("all"));
        return true;
    }
    return json_error(&r->text, &r->place, false, r->err,
                      "\"%s\" is a flag of OPS' kernel: this kernel has \"trace\" and "
                      "\"debugsyscalls\"",
                      word);
}

/* One member of a list or map into the key's string list. */
static bool read_member(struct reader *r, const struct key *k, const cJSON *v)
{
    struct strlist *list = field_of(r, k);
    if (!cJSON_IsString(v))
        return wrong_type(r, k);
    switch (k->type) {
    case KEY_PATHS:
    case KEY_MAP:
    case KEY_MOUNTS:
    case KEY_SHARES:
        return read_pair(r, k, list, v);
    case KEY_ENV:
        return read_variable(r, k, list, v);
    case KEY_FLAGS:
    case KEY_KLIBS:
        return read_word(r, k, v);
    default:
        strlist_add(list, v->valuestring);
        note_origin(r, k, "[%zu]", list->count - 1);
        return true;
    }
}

/* Lists of which the newest is meant alone. */
static void list_renew(struct reader *r, const struct key *k)
{
    if (k->offset != offsetof(struct config, args) &&
        k->offset != offsetof(struct config, name_servers) &&
        k->offset != offsetof(struct config, ntp_servers))
        return;
    strlist_free(field_of(r, k));
    config_drop_origin(r->config, k->name);
}

static bool read_list(struct reader *r, const struct key *k, const cJSON *v)
{
    bool object =
        k->type == KEY_ENV || k->type == KEY_MAP || k->type == KEY_MOUNTS || k->type == KEY_SHARES;
    if (object ? !cJSON_IsObject(v) : !cJSON_IsArray(v))
        return wrong_type(r, k);
    if (k->type == KEY_TEXTS)
        list_renew(r, k);
    size_t index = 0, depth = r->place.depth++;
    for (const cJSON *m = v->child; m; m = m->next) {
        r->place.index[depth] = index++;
        if (!read_member(r, k, m) && !fault(r))
            return false;
    }
    r->place.depth = depth;
    return true;
}

static bool unknown_key(struct reader *r, const struct key *table, const char *name)
{
    const char *names[CONFIG_KEYS] = {0};
    size_t count = 0;
    for (const struct key *k = table; k->name && count < CONFIG_KEYS; k++)
        names[count++] = k->name;
    const char *near = nearest_word(name, names, count);
    json_error(&r->text, &r->place, true, r->err, "unknown key \"%s\"", name);
    if (near) {
        err_hint(r->err, "did you mean \"%s\"?", near);
        return false;
    }
    char *list = alloc_string(names[0]);
    for (size_t i = 1; i < count; i++) {
        char *longer = alloc_printf("%s, %s", list, names[i]);
        free(list);
        list = longer;
    }
    err_hint(r->err, "the keys here are %s", list);
    free(list);
    return false;
}

static bool says_nothing(const cJSON *v)
{
    return cJSON_IsFalse(v) || cJSON_IsNull(v) || (cJSON_IsNumber(v) && v->valuedouble == 0) ||
           (cJSON_IsString(v) && !v->valuestring[0]) ||
           ((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child);
}

static bool read_table(struct reader *r, const struct key *table, const cJSON *object);

static void card_note(const struct reader *r, struct config *whole)
{
    char *entry = alloc_printf("RunConfig.Nics[%zu]", whole->nets.count - 1);
    char *origin = origin_here(r);
    config_note_origin(whole, entry, origin);
    free(origin);
    free(entry);
}

/* Each card of the list is read as if it were the whole, and then becomes a word of --net. */
static bool read_cards(struct reader *r, const struct key *k, const cJSON *v)
{
    struct config *whole = r->config;
    size_t index = 0, depth = r->place.depth;
    bool ok = cJSON_IsArray(v) || wrong_type(r, k);
    for (const cJSON *m = v->child; ok && m; m = m->next) {
        struct config card = {0};
        r->place.index[depth] = index++;
        r->place.depth = depth + 1;
        r->config = &card;
        ok = cJSON_IsObject(m) ? read_table(r, k->table, m) : wrong_type(r, k);
        ok = ok && config_card(&card, &whole->nets, NULL, r->err);
        if (ok)
            card_note(r, whole);
        config_free(&card);
    }
    r->config = whole;
    if (ok)
        r->place.depth = depth;
    return ok;
}

static bool read_key(struct reader *r, const struct key *k, const cJSON *v)
{
    switch (k->type) {
    case KEY_TABLE:
        return cJSON_IsObject(v) ? read_table(r, k->table, v) : wrong_type(r, k);
    case KEY_CARDS:
        return read_cards(r, k, v);
    case KEY_NUMBER:
    case KEY_SIZE:
        return read_number(r, k, v);
    case KEY_BOOL:
    case KEY_REBOOT:
    case KEY_TRACED:
        return read_bool(r, k, v);
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_CHOICE:
    case KEY_ACCEL:
        return read_text(r, k, v);
    case KEY_NOTED:
        note_unused(r, k->name, k->why);
        return true;
    case KEY_REFUSED:
        return says_nothing(v) || json_error(&r->text, &r->place, true, r->err,
                                             "%s cannot be used: %s", k->name, k->why);
    default:
        return read_list(r, k, v);
    }
}

static bool read_table(struct reader *r, const struct key *table, const cJSON *object)
{
    size_t index = 0, depth = r->place.depth++;
    bool outside = r->passthrough;
    r->passthrough = outside || table == config_key("ManifestPassthrough")->table;
    for (const cJSON *v = object->child; v; v = v->next) {
        r->place.index[depth] = index++;
        r->place.depth = depth + 1;
        const struct key *k = table;
        while (k->name && strcasecmp(k->name, v->string) != 0)
            k++;
        bool ok = k->name ? read_key(r, k, v) : unknown_key(r, table, v->string);
        if (!ok && !fault(r))
            return false;
    }
    r->passthrough = outside;
    r->place.depth = depth;
    return true;
}

/* One string with its variables; false: an error that ends the reading. */
static bool expand_text(struct reader *r, char **text, bool key)
{
    char *missing = NULL;
    if (!*text || !strchr(*text, '$'))
        return true;
    char *value = interpolate(*text, &r->config->variables, &missing);
    if (value) {
        free(*text); /* cJSON's memory is malloc's */
        *text = value;
        return true;
    }
    json_error(&r->text, &r->place, key, r->err,
               strcmp(missing, "${") == 0 ? "a brace behind the dollar sign is not closed"
                                          : "the variable %s is not set",
               missing);
    err_hint(r->err, "write $$ for a dollar sign, ${NAME:-text} for what stands in");
    free(missing);
    return fault(r);
}

static bool expand_all(struct reader *r, cJSON *node)
{
    size_t index = 0, depth = r->place.depth;
    bool deeper = depth < JSON_DEPTH, ok = true;
    for (cJSON *m = node->child; ok && m; m = m->next) {
        if (deeper) {
            r->place.index[depth] = index++;
            r->place.depth = depth + 1;
        }
        ok = expand_text(r, &m->string, true) && expand_text(r, &m->valuestring, false) &&
             expand_all(r, m);
        r->place.depth = depth;
    }
    return ok;
}

bool config_read(struct config *c, const struct config_source *s, const char *text, size_t size,
                 struct err *err)
{
    struct reader r = {
        .config = c, .source = s, .text = {s->name, text, size}, .lines = true, .err = err};
    size_t before = s->faults ? s->faults->count : 0;
    cJSON *root = json_parse(&r.text, err);
    if (!root)
        return fault(&r) && false;
    bool ok = cJSON_IsObject(root)
                  ? (s->literal || expand_all(&r, root)) && read_table(&r, config_keys, root)
                  : json_error(&r.text, &r.place, false, err,
                               "a configuration is an object: {\"Args\": [...], ...}") ||
                        fault(&r);
    cJSON_Delete(root);
    return ok && (!s->faults || s->faults->count == before);
}

bool config_load(struct config *c, const char *path, const struct config_source *s, struct err *err)
{
    size_t size;
    char *text = path_read(path, CONFIG_MAX, &size, err);
    if (!text)
        return false;
    char *dir = path_dirname(path);
    struct config_source source = *s;
    char *absolute = path_absolute(dir);
    if (!source.dir)
        source.dir = absolute;
    bool ok = config_read(c, &source, text, size, err);
    free(absolute);
    free(dir);
    free(text);
    return ok;
}

/* The JSON that a text stands for; NULL: see err. */
static cJSON *value_make(struct reader *r, const struct key *k, struct err *err)
{
    const char *text = r->text.text;
    struct strlist parts = {0};
    char *end;
    if (k->type == KEY_ENV || k->type == KEY_MAP || text[0] == '[' || text[0] == '{')
        return json_parse(&r->text, err);
    if (k->type == KEY_NUMBER) {
        double number = strtod(text, &end);
        return *end || end == text ? cJSON_CreateString(text) : cJSON_CreateNumber(number);
    }
    if (k->type == KEY_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return cJSON_CreateBool(text[0] == 't');
    if (k->type != KEY_TEXTS && k->type != KEY_PATHS && k->type != KEY_MOUNTS &&
        k->type != KEY_SHARES)
        return cJSON_CreateString(text);
    cJSON *list = cJSON_CreateArray();
    strlist_split(&parts, text, ",");
    for (size_t i = 0; i < parts.count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(parts.items[i]));
    strlist_free(&parts);
    return list;
}

bool config_set(struct config *c, const struct key *k, const struct config_source *s,
                const char *text, struct err *err)
{
    struct reader r = {.config = c, .source = s, .text = {s->name, text, strlen(text)}, .err = err};
    struct key words = *k; /* NAME:/path needs no object here */
    cJSON *v = value_make(&r, k, err);
    if (v && cJSON_IsArray(v) && (k->type == KEY_MOUNTS || k->type == KEY_SHARES))
        words.type = KEY_TEXTS;
    bool ok = v && read_key(&r, &words, v);
    cJSON_Delete(v);
    return ok;
}
