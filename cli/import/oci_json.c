/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of container images: see oci_json.h. */
#include "import/oci_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "import/reference.h"
#include "json.h"
#include "ops/exit.h"

#define TAG_KEY "org.opencontainers.image.ref.name"

struct reader {
    const char *name;
    struct err *err;
};

static bool wrong(const struct reader *r, const char *what)
{
    return err_set(r->err, OPS_EXIT_FAILED, NULL, "%s is no description of an image: %s", r->name,
                   what);
}

static cJSON *parse(const struct reader *r, const char *text, size_t size)
{
    struct json_text t = {.name = r->name, .text = text, .size = size};
    cJSON *json = size <= OCI_TEXT_LIMIT && strlen(text) == size ? json_parse(&t, r->err) : NULL;
    if (!json && !r->err->message)
        wrong(r, "it is too long, or no text");
    r->err->exit = json ? r->err->exit : OPS_EXIT_FAILED;
    return json;
}

/* NULL: it is not there, or no string. */
static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static char *copy_of(const cJSON *object, const char *key)
{
    const char *text = text_of(object, key);
    return text && text[0] ? alloc_string(text) : NULL;
}

/* A list of strings, which may be missing or null. */
static bool texts_read(const struct reader *r, const cJSON *object, const char *key,
                       struct strlist *to)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    if (!list || cJSON_IsNull(list))
        return true;
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) > OCI_LAYERS)
        return wrong(r, "a list is none, or far too long");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return wrong(r, "a list has something else than strings in it");
        strlist_add(to, item->valuestring);
    }
    return true;
}

/* The keys of an object whose values say nothing. */
static bool keys_read(const struct reader *r, const cJSON *object, const char *key,
                      struct strlist *to)
{
    const cJSON *set = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    if (!set || cJSON_IsNull(set))
        return true;
    if (!cJSON_IsObject(set) || (unsigned)cJSON_GetArraySize(set) > OCI_LAYERS)
        return wrong(r, "a set is none, or far too large");
    cJSON_ArrayForEach(item, set) strlist_add(to, item->string);
    return true;
}

static char *platform_of(const cJSON *descriptor)
{
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(descriptor, "platform");
    const char *os = text_of(p, "os"), *cpu = text_of(p, "architecture");
    const char *variant = text_of(p, "variant");
    if (!os || !cpu)
        return NULL;
    return alloc_printf("%s/%s%s%s", os, cpu, variant && variant[0] ? "/" : "",
                        variant ? variant : "");
}

static bool descriptor_read(const struct reader *r, const cJSON *json, struct oci_descriptor *d)
{
    const char *digest = text_of(json, "digest");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(json, "size");
    if (!digest || !reference_digest_ok(digest))
        return wrong(r, "a digest is missing, or not SHA-256");
    if (!cJSON_IsNumber(size) || !(size->valuedouble >= 0 && size->valuedouble < 1e15) ||
        size->valuedouble != (double)(uint64_t)size->valuedouble)
        return wrong(r, "a size is missing, or impossible");
    memcpy(d->digest, digest, OCI_DIGEST);
    d->size = (uint64_t)size->valuedouble;
    d->media = copy_of(json, "mediaType");
    d->platform = platform_of(json);
    d->name = copy_of(cJSON_GetObjectItemCaseSensitive(json, "annotations"), TAG_KEY);
    return true;
}

static bool list_begin(const struct reader *r, const cJSON *list, struct oci_list *to)
{
    if (!cJSON_IsArray(list) || (unsigned)cJSON_GetArraySize(list) > OCI_LAYERS)
        return wrong(r, "a list is none, or far too long");
    size_t n = (size_t)cJSON_GetArraySize(list);
    to->items = alloc_zero((n + 1) * sizeof *to->items);
    return true;
}

static bool list_read(const struct reader *r, const cJSON *list, struct oci_list *to)
{
    const cJSON *item;
    if (!list_begin(r, list, to))
        return false;
    cJSON_ArrayForEach(item,
                       list) if (!descriptor_read(r, item, &to->items[to->count++])) return false;
    return true;
}

static bool manifest_read(const struct reader *r, const cJSON *json, struct oci_manifest *m)
{
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(json, "manifests");
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(json, "layers");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "config");
    m->is_index = index != NULL;
    if (index && (layers || config))
        return wrong(r, "it is an index and a manifest at once");
    if (index)
        return list_read(r, index, &m->manifests);
    if (!layers && cJSON_GetObjectItemCaseSensitive(json, "fsLayers"))
        return wrong(r, "it has the old form (schema 1)");
    if (!layers || !config)
        return wrong(r, "it has neither manifests nor layers");
    return descriptor_read(r, config, &m->config) && list_read(r, layers, &m->layers);
}

bool oci_manifest_parse(struct oci_manifest *m, const char *name, const char *text, size_t size,
                        struct err *err)
{
    struct reader r = {name, err};
    *m = (struct oci_manifest){0};
    cJSON *json = parse(&r, text, size);
    bool ok = json && manifest_read(&r, json, m);
    cJSON_Delete(json);
    return ok;
}

static bool config_read(const struct reader *r, const cJSON *json, struct oci_config *c)
{
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(json, "config");
    const cJSON *rootfs = cJSON_GetObjectItemCaseSensitive(json, "rootfs");
    c->os = copy_of(json, "os");
    c->architecture = copy_of(json, "architecture");
    c->cwd = copy_of(run, "WorkingDir");
    c->user = copy_of(run, "User");
    c->stop_signal = copy_of(run, "StopSignal");
    if (!texts_read(r, run, "Entrypoint", &c->entrypoint) || !texts_read(r, run, "Cmd", &c->cmd) ||
        !texts_read(r, run, "Env", &c->env) || !keys_read(r, run, "ExposedPorts", &c->ports) ||
        !keys_read(r, run, "Volumes", &c->volumes) ||
        !texts_read(r, rootfs, "diff_ids", &c->diff_ids))
        return false;
    for (size_t i = 0; i < c->diff_ids.count; i++)
        if (!reference_digest_ok(c->diff_ids.items[i]))
            return wrong(r, "a digest is missing, or not SHA-256");
    return true;
}

bool oci_config_parse(struct oci_config *c, const char *name, const char *text, size_t size,
                      struct err *err)
{
    struct reader r = {name, err};
    *c = (struct oci_config){0};
    cJSON *json = parse(&r, text, size);
    bool ok = json && config_read(&r, json, c);
    cJSON_Delete(json);
    return ok;
}

/* Does one of its names say that? They are written with and without the registry. */
static bool tagged(const cJSON *image, const char *tag)
{
    static const char *const hubs[] = {"", "docker.io/", "docker.io/library/"};
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(image, "RepoTags"), *item;
    cJSON_ArrayForEach(item, tags)
    {
        const char *name = cJSON_IsString(item) ? item->valuestring : "";
        for (size_t i = 0; i < sizeof hubs / sizeof hubs[0]; i++) {
            size_t n = strlen(hubs[i]);
            if (strncmp(name, hubs[i], n) == 0 && strcmp(name + n, tag) == 0)
                return true;
        }
    }
    return false;
}

static bool docker_read(const struct reader *r, const cJSON *json, const char *tag,
                        struct oci_manifest *m)
{
    const cJSON *image = NULL, *item;
    if (!cJSON_IsArray(json))
        return wrong(r, "it is no list");
    cJSON_ArrayForEach(item, json) if (!image && (!tag || tagged(item, tag))) image = item;
    if (!image)
        return wrong(r, tag ? "no image in it has that name" : "it lists no image");
    if (!tag && cJSON_GetArraySize(json) > 1)
        return wrong(r, "it has several images; name one: docker-archive:FILE:NAME:TAG");
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(image, "Layers");
    m->config.path = copy_of(image, "Config");
    if (!m->config.path)
        return wrong(r, "it names no configuration");
    if (!list_begin(r, layers, &m->layers))
        return false;
    cJSON_ArrayForEach(item, layers)
    {
        if (!cJSON_IsString(item) || !item->valuestring[0])
            return wrong(r, "a layer has no name");
        m->layers.items[m->layers.count++].path = alloc_string(item->valuestring);
    }
    return true;
}

bool oci_docker_parse(struct oci_manifest *m, const char *name, const char *text, size_t size,
                      const char *tag, struct err *err)
{
    struct reader r = {name, err};
    *m = (struct oci_manifest){0};
    cJSON *json = parse(&r, text, size);
    bool ok = json && docker_read(&r, json, tag, m);
    cJSON_Delete(json);
    return ok;
}

static void descriptor_free(struct oci_descriptor *d)
{
    free(d->path);
    free(d->media);
    free(d->platform);
    free(d->name);
}

static void list_free(struct oci_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        descriptor_free(&l->items[i]);
    free(l->items);
}

void oci_manifest_free(struct oci_manifest *m)
{
    descriptor_free(&m->config);
    list_free(&m->manifests);
    list_free(&m->layers);
    *m = (struct oci_manifest){0};
}

void oci_config_free(struct oci_config *c)
{
    strlist_free(&c->entrypoint);
    strlist_free(&c->cmd);
    strlist_free(&c->env);
    strlist_free(&c->ports);
    strlist_free(&c->volumes);
    strlist_free(&c->diff_ids);
    free(c->cwd);
    free(c->user);
    free(c->stop_signal);
    free(c->os);
    free(c->architecture);
    *c = (struct oci_config){0};
}
