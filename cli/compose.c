/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a compose file: see compose.h. libyaml reads JSON as well. */
#include "compose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "alloc.h"
#include "hostpath.h"
#include "instance.h"
#include "nearest.h"
#include "ops/exit.h"

#define SERVICES_MAX 100
#define KEYS_MAX     8
#define BYTES_MAX    (1 << 20)

struct source {
    const char *file;
    yaml_document_t doc;
};

/* What is wrong with the node. */
static bool wrong(const struct source *s, const yaml_node_t *n, struct err *err, const char *what,
                  const char *name)
{
    return err_set(err, OPS_EXIT_USAGE, NULL, "%s, line %zu: %s%s%s", s->file,
                   n->start_mark.line + 1, name ? name : "", name ? " " : "", what);
}

static const char *text_of(const yaml_node_t *n)
{
    return n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* The value of a key; NULL: it is not there. */
static yaml_node_t *value_of(struct source *s, const yaml_node_t *map, const char *key)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const char *text = text_of(yaml_document_get_node(&s->doc, p->key));
        if (text && strcmp(text, key) == 0)
            return yaml_document_get_node(&s->doc, p->value);
    }
    return NULL;
}

/* Is it a mapping of these keys alone, each once? */
static bool map_check(struct source *s, const yaml_node_t *n, const char *what,
                      const char *const *keys, size_t count, struct err *err)
{
    bool seen[KEYS_MAX] = {false};
    if (n->type != YAML_MAPPING_NODE)
        return wrong(s, n, err, "must have keys with values", what);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(&s->doc, p->key);
        const char *text = text_of(k);
        size_t i = 0;
        while (text && i < count && strcmp(text, keys[i]) != 0)
            i++;
        if (!text || i == count) {
            const char *near = text ? nearest_word(text, keys, count) : NULL;
            wrong(s, k, err, "is no key here", text ? text : "this");
            if (near)
                err_hint(err, "did you mean %s?", near);
            return false;
        }
        if (seen[i])
            return wrong(s, k, err, "stands here twice", text);
        seen[i] = true;
    }
    return true;
}

static bool text_take(struct source *s, const yaml_node_t *map, const char *key, char **out,
                      struct err *err)
{
    const yaml_node_t *n = value_of(s, map, key);
    if (!n)
        return true;
    const char *text = text_of(n);
    if (!text || !*text)
        return wrong(s, n, err, "must be a word", key);
    *out = alloc_string(text);
    return true;
}

/* A word, or a list of words. */
static bool words_take(struct source *s, const yaml_node_t *map, const char *key,
                       struct strlist *out, struct err *err)
{
    const yaml_node_t *n = value_of(s, map, key);
    if (n && text_of(n)) {
        strlist_add(out, text_of(n));
        return true;
    }
    if (n && n->type != YAML_SEQUENCE_NODE)
        return wrong(s, n, err, "must be a list of words", key);
    for (yaml_node_item_t *i = n ? n->data.sequence.items.start : NULL;
         n && i < n->data.sequence.items.top; i++) {
        const yaml_node_t *word = yaml_document_get_node(&s->doc, *i);
        if (!text_of(word))
            return wrong(s, word, err, "must be a list of words", key);
        strlist_add(out, text_of(word));
    }
    return true;
}

/* A whole number from 1 to `most`. */
static bool number_take(struct source *s, const yaml_node_t *map, const char *key,
                        unsigned long most, unsigned long *out, struct err *err)
{
    const yaml_node_t *n = value_of(s, map, key);
    const char *text = n ? text_of(n) : NULL;
    if (!n)
        return true;
    *out = text && *text && !text[strspn(text, "0123456789")] ? strtoul(text, NULL, 10) : 0;
    if (*out >= 1 && *out <= most)
        return true;
    wrong(s, n, err, "must be a number", key);
    err_hint(err, "from 1 to %lu", most);
    return false;
}

static bool ready_take(struct source *s, const yaml_node_t *map, struct ready *r, struct err *err)
{
    static const char *const keys[] = {"port", "url", "within"};
    const yaml_node_t *n = value_of(s, map, "ready");
    r->within = COMPOSE_WITHIN;
    if (!n)
        return true;
    bool ok = map_check(s, n, "ready", keys, sizeof keys / sizeof keys[0], err) &&
              number_take(s, n, "port", 65535, &r->port, err) &&
              text_take(s, n, "url", &r->url, err) &&
              number_take(s, n, "within", 86400, &r->within, err);
    if (ok && !r->port == !r->url)
        ok = wrong(s, n, err, "needs a port or a url", "ready");
    if (ok && r->url && strncmp(r->url, "http://", 7) != 0)
        ok = wrong(s, n, err, "must begin with http://", "url");
    return ok;
}

static bool service_take(struct source *s, const yaml_node_t *key, const yaml_node_t *n,
                         struct compose *c, struct err *err)
{
    static const char *const keys[] = {"run", "after", "ready"};
    const char *name = text_of(key);
    if (!name)
        return wrong(s, key, err, "must be a name", "a service");
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->services[i].name, name) == 0)
            return wrong(s, key, err, "stands here twice", name);
    if (c->count == SERVICES_MAX)
        return wrong(s, key, err, "is one service too many", name);
    struct service *v = &c->services[c->count++];
    *v = (struct service){.name = alloc_string(name),
                          .instance = alloc_printf("%s-%s", c->name, name)};
    if (!instance_name_check(v->instance, err))
        return wrong(s, key, err, "cannot be part of an instance's name", name);
    if (!map_check(s, n, name, keys, sizeof keys / sizeof keys[0], err) ||
        !words_take(s, n, "run", &v->run, err) || !words_take(s, n, "after", &v->after, err) ||
        !ready_take(s, n, &v->ready, err))
        return false;
    return v->run.count || wrong(s, n, err, "needs `run`, the words of `ops run`", name);
}

static bool services_take(struct source *s, const yaml_node_t *n, struct compose *c,
                          struct err *err)
{
    if (n->type != YAML_MAPPING_NODE || n->data.mapping.pairs.start == n->data.mapping.pairs.top)
        return wrong(s, n, err, "must name some", "services");
    c->services = alloc_array(NULL, SERVICES_MAX, sizeof *c->services);
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
        if (!service_take(s, yaml_document_get_node(&s->doc, p->key),
                          yaml_document_get_node(&s->doc, p->value), c, err))
            return false;
    return true;
}

static bool network_take(struct source *s, const yaml_node_t *root, struct compose *c,
                         struct err *err)
{
    struct lan l;
    const yaml_node_t *n = value_of(s, root, "network");
    if (!text_take(s, root, "network", &c->network, err) || !c->network)
        return c->network || !err->message;
    bool plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (strcmp(c->network, "no") == 0 || strcmp(c->network, "false") == 0)) {
        free(c->network);
        c->network = NULL;
        return true;
    }
    if (plain && (strcmp(c->network, "yes") == 0 || strcmp(c->network, "true") == 0)) {
        free(c->network);
        c->network = alloc_string(c->name);
        c->network_own = true;
    }
    if (lan_init(&l, c->network, err))
        return true;
    return wrong(s, n, err, "cannot be the name of a network", c->network);
}

static bool document_take(struct source *s, struct compose *c, struct err *err)
{
    static const char *const keys[] = {"name", "network", "services"};
    const yaml_node_t *root = yaml_document_get_root_node(&s->doc), *services;
    if (!root)
        return err_set(err, OPS_EXIT_USAGE, NULL, "%s is empty", s->file);
    if (!map_check(s, root, "the file", keys, sizeof keys / sizeof keys[0], err) ||
        !text_take(s, root, "name", &c->name, err))
        return false;
    if (!c->name)
        c->name = alloc_string(path_basename(c->dir));
    if (!network_take(s, root, c, err))
        return false;
    services = value_of(s, root, "services");
    return services ? services_take(s, services, c, err)
                    : wrong(s, root, err, "needs `services`", "the file");
}

static bool document_load(struct source *s, struct compose *c, struct err *err)
{
    size_t n = 0;
    char *text = path_read(s->file, BYTES_MAX, &n, err);
    yaml_parser_t parser;
    if (!text)
        return false;
    if (!yaml_parser_initialize(&parser))
        abort(); /* no memory */
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    bool ok = yaml_parser_load(&parser, &s->doc);
    if (ok) {
        ok = document_take(s, c, err);
        yaml_document_delete(&s->doc);
    } else {
        err_set(err, OPS_EXIT_USAGE, NULL, "%s, line %zu: %s", s->file,
                parser.problem_mark.line + 1, parser.problem ? parser.problem : "no YAML");
    }
    yaml_parser_delete(&parser);
    free(text);
    return ok;
}

const struct service *compose_find(const struct compose *c, const char *name, struct err *err)
{
    const char *names[SERVICES_MAX];
    for (size_t i = 0; i < c->count; i++) {
        names[i] = c->services[i].name;
        if (strcmp(names[i], name) == 0)
            return &c->services[i];
    }
    const char *near = nearest_word(name, names, c->count);
    err_set(err, OPS_EXIT_USAGE, NULL, "there is no service %s", name);
    if (near)
        err_hint(err, "did you mean %s?", near);
    return NULL;
}

static bool all_before(const struct compose *c, size_t placed, const struct service *s)
{
    for (size_t i = 0; i < s->after.count; i++) {
        size_t k = 0;
        while (k < placed && strcmp(c->services[k].name, s->after.items[i]) != 0)
            k++;
        if (k == placed)
            return false;
    }
    return true;
}

/* Puts each behind those that it waits for; otherwise they stay in the file's order. */
static bool services_sort(struct compose *c, struct err *err)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->services[i].after.count; k++)
            if (!compose_find(c, c->services[i].after.items[k], err))
                return false;
    for (size_t placed = 0; placed < c->count; placed++) {
        size_t next = placed;
        while (next < c->count && !all_before(c, placed, &c->services[next]))
            next++;
        if (next == c->count)
            return err_set(err, OPS_EXIT_USAGE, NULL, "%s waits for itself, by `after`",
                           c->services[placed].name);
        struct service first = c->services[next];
        memmove(&c->services[placed + 1], &c->services[placed],
                (next - placed) * sizeof *c->services);
        c->services[placed] = first;
    }
    return true;
}

bool compose_load(struct compose *c, const char *file, struct err *err)
{
    static const char *const names[] = {"ops-compose.yaml", "ops-compose.yml", "ops-compose.json"};
    *c = (struct compose){0};
    for (size_t i = 0; !file && i < sizeof names / sizeof names[0]; i++)
        file = access(names[i], F_OK) == 0 ? names[i] : NULL;
    if (!file)
        return err_set(err, OPS_EXIT_USAGE, "name one with -c FILE",
                       "there is no ops-compose.yaml here");
    char *whole = realpath(file, NULL);
    if (!whole)
        return err_errno(err, "open", file);
    c->dir = path_dirname(whole);
    free(whole);
    struct source s = {.file = file};
    return document_load(&s, c, err) && services_sort(c, err);
}

void compose_free(struct compose *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct service *s = &c->services[i];
        strlist_free(&s->run);
        strlist_free(&s->after);
        free(s->name);
        free(s->instance);
        free(s->ready.url);
    }
    free(c->services);
    free(c->name);
    free(c->network);
    free(c->dir);
    *c = (struct compose){0};
}
