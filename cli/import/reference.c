/* SPDX-License-Identifier: Apache-2.0 */
/* Names of container images: see reference.h. */
#include "import/reference.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "ops/exit.h"

#define HUB            "docker.io"
#define HUB_HOST       "registry-1.docker.io"
#define NAME_MAX_BYTES 255
#define TAG_MAX_BYTES  128

static const struct {
    const char *begin;
    enum reference_kind kind;
} kinds[] = {
    {"oci:", REFERENCE_OCI},
    {"oci-archive:", REFERENCE_OCI_ARCHIVE},
    {"docker-archive:", REFERENCE_DOCKER_ARCHIVE},
    {"docker://", REFERENCE_REGISTRY},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static size_t kind_of(const char *text)
{
    size_t i = 0;
    while (i < KINDS && strncmp(text, kinds[i].begin, strlen(kinds[i].begin)) != 0)
        i++;
    return i;
}

bool reference_is(const char *text)
{
    return kind_of(text) < KINDS;
}

bool reference_digest_ok(const char *text)
{
    unsigned char digest[DIGEST_SIZE];
    return strncmp(text, "sha256:", 7) == 0 && digest_parse(text + 7, digest);
}

static bool usage(struct err *err, const char *text)
{
    return err_set(err, OPS_EXIT_USAGE,
                   "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://HOST/NAME[:TAG]",
                   "%s names no image", text);
}

/* PATH[:TAG], where the path may have colons too: the first one behind which a tag can stand. */
static bool file_parse(struct reference *r, const char *text)
{
    const char *colon = access(text, F_OK) == 0 ? NULL : strchr(text, ':');
    for (; colon; colon = strchr(colon + 1, ':')) {
        char *path = alloc_bytes(text, (size_t)(colon - text));
        bool there = access(path, F_OK) == 0;
        free(path);
        if (there)
            break;
    }
    r->path = colon ? alloc_bytes(text, (size_t)(colon - text)) : alloc_string(text);
    r->tag = colon && colon[1] ? alloc_string(colon + 1) : NULL;
    return r->path[0] != 0;
}

static bool chars_ok(const char *text, const char *others, size_t most)
{
    size_t n = strlen(text);
    bool ok = n >= 1 && n <= most && isalnum((unsigned char)text[0]);
    for (size_t i = 0; ok && i < n; i++)
        ok = isalnum((unsigned char)text[i]) || strchr(others, text[i]);
    return ok;
}

/* The first component is a host if it looks like one. */
static void host_take(struct reference *r, const char *text)
{
    size_t n = strcspn(text, "/");
    char *first = alloc_bytes(text, n);
    bool is_host = text[n] && (strpbrk(first, ".:[") || strcmp(first, "localhost") == 0);
    if (is_host && strcmp(first, HUB) != 0) {
        r->host = first;
        r->name = alloc_string(text + n + 1);
        return;
    }
    const char *name = is_host ? text + n + 1 : text;
    r->host = alloc_string(HUB_HOST);
    r->name = alloc_printf("%s%s", strchr(name, '/') ? "" : "library/", name);
    free(first);
}

static bool registry_parse(struct reference *r, const char *text)
{
    char *copy = alloc_string(text), *at = strchr(copy, '@');
    if (at) {
        *at = 0;
        r->digest = alloc_string(at + 1);
    }
    char *slash = strrchr(copy, '/'), *colon = strchr(slash ? slash : copy, ':');
    if (colon) {
        *colon = 0;
        r->tag = alloc_string(colon + 1);
    }
    host_take(r, copy);
    free(copy);
    if (!r->tag && !r->digest)
        r->tag = alloc_string("latest");
    return chars_ok(r->name, "._-/", NAME_MAX_BYTES) && !strstr(r->name, "..") &&
           !strstr(r->name, "//") && r->name[strlen(r->name) - 1] != '/' &&
           (!r->tag || chars_ok(r->tag, "._-", TAG_MAX_BYTES)) &&
           (!r->digest || reference_digest_ok(r->digest)) &&
           strspn(r->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
               strlen(r->host);
}

bool reference_parse(struct reference *r, const char *text, struct err *err)
{
    size_t i = kind_of(text);
    *r = (struct reference){0};
    if (i == KINDS)
        return usage(err, text);
    const char *rest = text + strlen(kinds[i].begin);
    r->kind = kinds[i].kind;
    bool ok = r->kind == REFERENCE_REGISTRY ? registry_parse(r, rest) : file_parse(r, rest);
    return ok || usage(err, text);
}

void reference_free(struct reference *r)
{
    free(r->path);
    free(r->tag);
    free(r->host);
    free(r->name);
    free(r->digest);
    *r = (struct reference){0};
}
