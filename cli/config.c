/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: one table row a key, see config.h. */
#include "config.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "hostpath.h"
#include "json.h"
#include "nearest.h"
#include "ops/exit.h"
#include "size.h"

#define CONFIG_MAX (1 << 20) /* bytes of a configuration file */

enum key_type {
    KEY_TEXT,
    KEY_PATH,
    KEY_NUMBER,
    KEY_BOOL,
    KEY_SIZE,
    KEY_TEXTS,
    KEY_PATHS,
    KEY_ENV,
    KEY_MAP,
    KEY_MOUNTS,
    KEY_SHARES,
    KEY_CARDS,
    KEY_TABLE
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset;           /* in struct config */
    const struct key *table; /* KEY_TABLE: the keys below, ended by a NULL name */
};

static const char *const expected[] = {
    [KEY_TEXT] = "a string",
    [KEY_PATH] = "a string: a path",
    [KEY_NUMBER] = "a whole number, 0 or more",
    [KEY_BOOL] = "true or false",
    [KEY_SIZE] = "a size such as \"64M\" or \"1G\"",
    [KEY_TEXTS] = "a list of strings: [\"...\", ...]",
    [KEY_PATHS] = "a list of paths: [\"...\", ...]",
    [KEY_ENV] = "an object of strings: {\"NAME\": \"value\", ...}",
    [KEY_MAP] = "an object of strings: {\"host directory\": \"/guest/directory\", ...}",
    [KEY_MOUNTS] = "an object of strings: {\"volume\": \"/guest/directory\", ...}",
    [KEY_SHARES] = "an object of strings: {\"host directory\": \"/guest/directory\", ...}",
    [KEY_CARDS] = "a list of objects: [{\"BridgeName\": \"br0\", ...}, ...]",
    [KEY_TABLE] = "an object: {...}",
};

/* Of one network card. */
static const struct key card_keys[] = {
    {"BridgeName", KEY_TEXT, offsetof(struct config, bridge_name), NULL},
    {"Gateway", KEY_TEXT, offsetof(struct config, gateway), NULL},
    {"IPAddress", KEY_TEXT, offsetof(struct config, ip_address), NULL},
    {"IPv6Address", KEY_TEXT, offsetof(struct config, ipv6_address), NULL},
    {"NetMask", KEY_TEXT, offsetof(struct config, net_mask), NULL},
    {"Network", KEY_TEXT, offsetof(struct config, network), NULL},
    {"TapName", KEY_TEXT, offsetof(struct config, tap_name), NULL},
    {0},
};

static const struct key run_keys[] = {
    {"Bridged", KEY_BOOL, offsetof(struct config, bridged), NULL},
    {"BridgeName", KEY_TEXT, offsetof(struct config, bridge_name), NULL},
    {"CPUs", KEY_NUMBER, offsetof(struct config, cpus), NULL},
    {"Gateway", KEY_TEXT, offsetof(struct config, gateway), NULL},
    {"IPAddress", KEY_TEXT, offsetof(struct config, ip_address), NULL},
    {"IPv6Address", KEY_TEXT, offsetof(struct config, ipv6_address), NULL},
    {"Memory", KEY_SIZE, offsetof(struct config, memory), NULL},
    {"NetMask", KEY_TEXT, offsetof(struct config, net_mask), NULL},
    {"Network", KEY_TEXT, offsetof(struct config, network), NULL},
    {"Nics", KEY_CARDS, offsetof(struct config, nets), card_keys},
    {"Ports", KEY_TEXTS, offsetof(struct config, ports), NULL},
    {"TapName", KEY_TEXT, offsetof(struct config, tap_name), NULL},
    {"UDPPorts", KEY_TEXTS, offsetof(struct config, udp_ports), NULL},
    {0},
};

/* What OPS hands to its kernel as it stands there; of it this kernel knows: */
static const struct key passthrough_keys[] = {
    {"readonly_rootfs", KEY_BOOL, offsetof(struct config, readonly_rootfs), NULL},
    {0},
};

static const struct key top_keys[] = {
    {"Args", KEY_TEXTS, offsetof(struct config, args), NULL},
    {"BaseVolumeSz", KEY_SIZE, offsetof(struct config, volume_size), NULL},
    {"Cwd", KEY_TEXT, offsetof(struct config, cwd), NULL},
    {"Dirs", KEY_PATHS, offsetof(struct config, dirs), NULL},
    {"Env", KEY_ENV, offsetof(struct config, env), NULL},
    {"Files", KEY_PATHS, offsetof(struct config, files), NULL},
    {"Gid", KEY_NUMBER, offsetof(struct config, gid), NULL},
    {"Hostname", KEY_TEXT, offsetof(struct config, hostname), NULL},
    {"ManifestPassthrough", KEY_TABLE, 0, passthrough_keys},
    {"MapDirs", KEY_MAP, offsetof(struct config, map_dirs), NULL},
    {"Mounts", KEY_MOUNTS, offsetof(struct config, mounts), NULL},
    {"NameServers", KEY_TEXTS, offsetof(struct config, name_servers), NULL},
    {"Program", KEY_PATH, offsetof(struct config, program), NULL},
    {"ReadonlyRootfs", KEY_BOOL, offsetof(struct config, readonly_rootfs), NULL},
    {"RunConfig", KEY_TABLE, 0, run_keys},
    {"Shares", KEY_SHARES, offsetof(struct config, shares), NULL},
    {"Uid", KEY_NUMBER, offsetof(struct config, uid), NULL},
    {0},
};

struct reader {
    struct config *config;
    struct json_text text;
    const char *dir;
    struct json_place place;
    struct err *err;
};

static bool wrong_type(struct reader *r, const struct key *k)
{
    return json_error(&r->text, &r->place, false, r->err, "%s must be %s", k->name,
                      expected[k->type]);
}

static char *path_of(const struct reader *r, const char *text)
{
    char *joined = path_join(r->dir, text), *absolute = path_absolute(joined);
    free(joined);
    return absolute;
}

static bool read_number(struct reader *r, const struct key *k, const cJSON *v)
{
    uint64_t *field = (uint64_t *)((char *)r->config + k->offset);
    if (k->type == KEY_SIZE) {
        if (!cJSON_IsString(v) || !size_parse(v->valuestring, field))
            return wrong_type(r, k);
        return true;
    }
    if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > UINT32_MAX ||
        floor(v->valuedouble) != v->valuedouble)
        return wrong_type(r, k);
    *field = (uint64_t)v->valuedouble;
    return true;
}

static bool read_bool(struct reader *r, const struct key *k, const cJSON *v)
{
    if (!cJSON_IsBool(v))
        return wrong_type(r, k);
    *(bool *)((char *)r->config + k->offset) = cJSON_IsTrue(v);
    return true;
}

static bool read_text(struct reader *r, const struct key *k, const cJSON *v)
{
    char **field = (char **)((char *)r->config + k->offset);
    if (!cJSON_IsString(v) || v->valuestring[0] == 0)
        return wrong_type(r, k);
    free(*field); /* the same key in another case */
    *field = k->type == KEY_PATH ? path_of(r, v->valuestring) : alloc_string(v->valuestring);
    return true;
}

/* One member of a list or map into the key's string list. */
static bool read_member(struct reader *r, const struct key *k, struct strlist *list, const cJSON *v)
{
    if (!cJSON_IsString(v))
        return wrong_type(r, k);
    char *path = NULL, *guest = NULL;
    switch (k->type) {
    case KEY_PATHS:
        path = path_of(r, v->valuestring);
        guest = path_normal(v->valuestring);
        strlist_add(list, path);
        strlist_add(list, guest);
        break;
    case KEY_MAP:
        if (v->valuestring[0] != '/')
            return json_error(&r->text, &r->place, false, r->err,
                              "the directory in the guest must start with a slash");
        path = path_of(r, v->string);
        guest = path_normal(v->valuestring);
        strlist_add(list, path);
        strlist_add(list, guest);
        break;
    case KEY_MOUNTS:
    case KEY_SHARES:
        if (v->valuestring[0] != '/')
            return json_error(&r->text, &r->place, false, r->err,
                              "the mount point must start with a slash");
        path = k->type == KEY_SHARES || strchr(v->string, '/') ? path_of(r, v->string)
                                                               : alloc_string(v->string);
        strlist_addf(list, "%s:%s", path, v->valuestring);
        break;
    case KEY_ENV:
        if (v->string[0] == 0 || strchr(v->string, '='))
            return json_error(&r->text, &r->place, true, r->err,
                              "\"%s\" cannot be the name of a variable", v->string);
        strlist_addf(list, "%s=%s", v->string, v->valuestring);
        break;
    default:
        strlist_add(list, v->valuestring);
        break;
    }
    free(path);
    free(guest);
    return true;
}

static bool read_list(struct reader *r, const struct key *k, const cJSON *v)
{
    struct strlist *list = (struct strlist *)((char *)r->config + k->offset);
    bool object =
        k->type == KEY_ENV || k->type == KEY_MAP || k->type == KEY_MOUNTS || k->type == KEY_SHARES;
    if (object ? !cJSON_IsObject(v) : !cJSON_IsArray(v))
        return wrong_type(r, k);
    size_t index = 0;
    r->place.depth++;
    for (const cJSON *m = v->child; m; m = m->next) {
        r->place.index[r->place.depth - 1] = index++;
        if (!read_member(r, k, list, m))
            return false;
    }
    r->place.depth--;
    return true;
}

/* "10.1.2.3" and "255.255.255.0": /24, which is also what holds without a mask. */
static bool mask_bits(const char *mask, unsigned *bits, struct err *err)
{
    struct in_addr in;
    *bits = 24;
    if (!mask)
        return true;
    uint32_t m = inet_pton(AF_INET, mask, &in) == 1 ? ntohl(in.s_addr) : 1;
    for (*bits = 0; *bits < 32 && m & UINT32_C(0x80000000) >> *bits; ++*bits)
        ;
    return (*bits < 32 ? m << *bits : 0) == 0 ||
           err_set(err, OPS_EXIT_USAGE, "write it as 255.255.255.0", "NetMask %s is no mask", mask);
}

/* What the keys of a card say, as --net and its options do. With `options` NULL they stand in the
 * word. */
static bool config_card(const struct config *c, struct strlist *nets, struct strlist *options,
                        struct err *err)
{
    unsigned bits;
    struct strlist own = {0};
    char *word = NULL;
    if (!mask_bits(c->net_mask, &bits, err))
        return false;
    if (c->network)
        word = alloc_string(c->network);
    else if (c->bridged || c->bridge_name)
        word = alloc_printf("bridge:%s%s%s", c->bridge_name ? c->bridge_name : "br0",
                            c->tap_name ? ",ifname=" : "", c->tap_name ? c->tap_name : "");
    else if (c->tap_name)
        word = alloc_printf("tap:%s", c->tap_name);
    if (c->ip_address && strchr(c->ip_address, '/'))
        strlist_addf(&own, "ip=%s", c->ip_address);
    else if (c->ip_address)
        strlist_addf(&own, "ip=%s/%u", c->ip_address, bits);
    if (c->ipv6_address)
        strlist_addf(&own, "ip=%s%s", c->ipv6_address, strchr(c->ipv6_address, '/') ? "" : "/64");
    if (c->gateway)
        strlist_addf(&own, "gateway=%s", c->gateway);
    if (!word && !options)
        word = alloc_string("user");
    for (size_t i = 0; !options && i < own.count; i++) {
        char *longer = alloc_printf("%s,%s", word, own.items[i]);
        free(word);
        word = longer;
    }
    if (word)
        strlist_add(nets, word);
    if (options)
        strlist_add_all(options, &own);
    strlist_free(&own);
    free(word);
    return true;
}

static bool unknown_key(struct reader *r, const struct key *table, const char *name)
{
    const char *names[sizeof top_keys / sizeof top_keys[0]];
    size_t count = 0;
    for (const struct key *k = table; k->name; k++)
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

static bool read_table(struct reader *r, const struct key *table, const cJSON *object);

static void card_free(struct config *c)
{
    char **texts[] = {&c->ip_address, &c->net_mask,    &c->ipv6_address, &c->gateway,
                      &c->network,    &c->bridge_name, &c->tap_name};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

/* Each card of the list is read as if it were the whole, and then becomes a word of --net. */
static bool read_cards(struct reader *r, const struct key *k, const cJSON *v)
{
    struct config *whole = r->config;
    size_t index = 0;
    bool ok = true;
    if (!cJSON_IsArray(v))
        return wrong_type(r, k);
    r->place.depth++;
    for (const cJSON *m = v->child; ok && m; m = m->next) {
        struct config card = {0};
        r->place.index[r->place.depth - 1] = index++;
        r->config = &card;
        ok = cJSON_IsObject(m) ? read_table(r, k->table, m) : wrong_type(r, k);
        ok = ok && config_card(&card, &whole->nets, NULL, r->err);
        card_free(&card);
    }
    r->config = whole;
    if (ok)
        r->place.depth--;
    return ok;
}

static bool read_table(struct reader *r, const struct key *table, const cJSON *object)
{
    size_t index = 0;
    r->place.depth++;
    for (const cJSON *v = object->child; v; v = v->next) {
        r->place.index[r->place.depth - 1] = index++;
        const struct key *k = table;
        while (k->name && strcasecmp(k->name, v->string) != 0)
            k++;
        if (!k->name)
            return unknown_key(r, table, v->string);
        bool ok;
        if (k->type == KEY_TABLE)
            ok = cJSON_IsObject(v) ? read_table(r, k->table, v) : wrong_type(r, k);
        else if (k->type == KEY_NUMBER || k->type == KEY_SIZE)
            ok = read_number(r, k, v);
        else if (k->type == KEY_BOOL)
            ok = read_bool(r, k, v);
        else if (k->type == KEY_CARDS)
            ok = read_cards(r, k, v);
        else if (k->type == KEY_TEXT || k->type == KEY_PATH)
            ok = read_text(r, k, v);
        else
            ok = read_list(r, k, v);
        if (!ok)
            return false;
    }
    r->place.depth--;
    return true;
}

bool config_parse(struct config *c, const char *name, const char *dir, const char *text,
                  size_t size, struct err *err)
{
    *c = (struct config){0};
    struct reader r = {.config = c, .text = {name, text, size}, .dir = dir, .err = err};
    cJSON *root = json_parse(&r.text, err);
    if (!root)
        return false;
    bool ok = cJSON_IsObject(root)
                  ? read_table(&r, top_keys, root)
                  : json_error(&r.text, &r.place, false, err,
                               "a configuration is an object: {\"Args\": [...], ...}");
    cJSON_Delete(root);
    struct strlist first = {0};
    ok = ok && config_card(c, &first, &c->card, err);
    strlist_add_all(&first, &c->nets); /* Nics are further ones */
    strlist_free(&c->nets);
    c->nets = first;
    card_free(c);
    return ok;
}

bool config_load(struct config *c, const char *path, struct err *err)
{
    size_t size;
    *c = (struct config){0};
    char *text = path_read(path, CONFIG_MAX, &size, err);
    if (!text)
        return false;
    char *dir = path_dirname(path), *absolute = path_absolute(dir);
    bool ok = config_parse(c, path, absolute, text, size, err);
    free(absolute);
    free(dir);
    free(text);
    return ok;
}

void config_free(struct config *c)
{
    free(c->program);
    free(c->hostname);
    free(c->cwd);
    strlist_free(&c->args);
    strlist_free(&c->env);
    strlist_free(&c->files);
    strlist_free(&c->dirs);
    strlist_free(&c->map_dirs);
    strlist_free(&c->mounts);
    strlist_free(&c->shares);
    strlist_free(&c->name_servers);
    strlist_free(&c->ports);
    strlist_free(&c->udp_ports);
    strlist_free(&c->nets);
    strlist_free(&c->card);
    *c = (struct config){0};
}
