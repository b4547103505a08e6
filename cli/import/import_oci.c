/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops-import oci DIR REFERENCE: a container image becomes a package. Its layers are unpacked one
 * over the other into sysroot/, each verified by the digest of what was fetched and by that of what
 * came out of it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "digest.h"
#include "hostpath.h"
#include "import/image_package.h"
#include "import/import.h"
#include "import/source.h"
#include "ops/exit.h"

#define DOCKER_CONFIG_LIMIT (1u << 20)

struct image {
    struct import *import;
    struct source source;
    const char *platform;
    struct oci_manifest manifest;
    struct oci_config config;
    char digest[OCI_DIGEST];
};

static bool config_load(struct image *g, struct err *err)
{
    struct buf text = {0};
    const struct oci_descriptor *d = &g->manifest.config;
    bool ok =
        source_text(&g->source, d, &text, err) &&
        oci_config_parse(&g->config, d->path ? d->path : d->digest, text.data, text.size, err);
    buf_free(&text);
    if (!ok)
        return false;
    const struct oci_config *c = &g->config;
    char *platform =
        alloc_printf("%s/%s", c->os ? c->os : "?", c->architecture ? c->architecture : "?");
    if (strncmp(g->platform, platform, strlen(platform)) != 0)
        ok = err_set(err, OPS_EXIT_FAILED, "only programs for Linux on x86-64 run here",
                     "the image is for %s, not %s", platform, g->platform);
    else if (c->diff_ids.count != g->manifest.layers.count)
        ok = err_set(err, OPS_EXIT_FAILED, NULL,
                     "the image's configuration has %zu layers, its manifest %zu",
                     c->diff_ids.count, g->manifest.layers.count);
    free(platform);
    return ok;
}

/* What came out of a layer is what the configuration says. */
static bool layer_check(const struct stream *s, const char *want, struct err *err)
{
    unsigned char got[DIGEST_SIZE];
    char text[DIGEST_TEXT];
    stream_digest(s, got);
    digest_text(got, text);
    return strcmp(text, want + 7) == 0 ||
           err_set(err, OPS_EXIT_FAILED, "the image contradicts itself; it is not used",
                   "the layer %s unpacks to what has the SHA-256 %s", stream_name(s), text);
}

static bool layer_add(struct image *g, struct unpack *u, size_t n, struct err *err)
{
    const struct oci_descriptor *d = &g->manifest.layers.items[n];
    const char *name = d->path ? d->path : d->digest;
    if (d->media && !strstr(d->media, "tar"))
        return err_set(err, OPS_EXIT_FAILED, NULL, "the layer %s is of an unknown kind: %s", name,
                       d->media);
    int fd = source_blob(&g->source, d, err);
    if (fd < 0)
        return false;
    struct stream *s = stream_open(name, fd, UINT64_MAX, &g->import->budget);
    stream_hash(s);
    bool ok =
        unpack_archive(u, s, UNPACK_LAYER, err) && layer_check(s, g->config.diff_ids.items[n], err);
    stream_close(s);
    close(fd);
    return ok;
}

static bool package_write(struct image *g, const char *reference, int root, struct err *err)
{
    struct mtree list;
    char *path = path_join(g->import->words[0], "sysroot.mtree");
    struct rootfs_view view = {&list, root};
    struct image_package p = {.config = &g->config,
                              .view = &view,
                              .entrypoint = g->import->options.entrypoint,
                              .reference = reference,
                              .digest = g->digest};
    bool ok = mtree_read(&list, path, err) && image_package_write(&p, g->import->dir_fd, err);
    mtree_free(&list);
    free(path);
    return ok;
}

static bool image_unpack(struct image *g, const char *reference, struct err *err)
{
    if (!source_manifest(&g->source, g->platform, &g->manifest, g->digest, err) ||
        !config_load(g, err))
        return false;
    int root = import_sysroot(g->import, err);
    if (root < 0)
        return false;
    struct unpack *u = unpack_create(root, &g->import->budget);
    bool ok = true;
    for (size_t i = 0; ok && i < g->manifest.layers.count; i++)
        ok = layer_add(g, u, i, err);
    ok = ok && import_list(g->import, u, "/", err) && package_write(g, reference, root, err);
    unpack_free(u);
    close(root);
    return ok;
}

/* The text of the user's ~/.docker/config.json; NULL: there is none. */
static char *docker_config(void)
{
    struct err ignored = {0};
    const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
    char *path = dir    ? path_join(dir, "config.json")
                 : home ? path_join(home, ".docker/config.json")
                        : NULL;
    char *text = path ? path_read(path, DOCKER_CONFIG_LIMIT, NULL, &ignored) : NULL;
    free(path);
    err_free(&ignored);
    return text;
}

/* The places, before this process is confined to them. */
static bool begin(struct import *i, const struct reference *r, char **cache, struct err *err)
{
    struct strlist writable = {0}, readable = {0};
    if (r->kind == REFERENCE_REGISTRY) {
        *cache = path_user("XDG_CACHE_HOME", ".cache", "ops/blobs", err);
        if (!*cache)
            return false;
        if (!path_make_dirs(*cache))
            return err_errno(err, "make", *cache);
        strlist_add(&writable, *cache);
    } else {
        strlist_add(&readable, r->path);
    }
    bool ok = import_begin(i, &writable, &readable, err);
    strlist_free(&writable);
    strlist_free(&readable);
    return ok;
}

bool import_oci(struct import *i, struct err *err)
{
    struct reference r;
    struct image g = {.import = i, .platform = i->options.platform};
    char *cache = NULL, *login = NULL;
    bool ok = reference_parse(&r, i->words[1], err);
    if (ok && i->words[2])
        ok = err_set(err, OPS_EXIT_USAGE, NULL, "one image is one package");
    if (!g.platform)
        g.platform = "linux/amd64";
    if (ok) {
        login = docker_config();
        ok = begin(i, &r, &cache, err);
    }
    if (ok) {
        struct err late = {0};
        ok = source_open(&g.source, i, &r, cache, login, err) && image_unpack(&g, i->words[1], err);
        if (!source_close(&g.source, ok ? err : &late))
            ok = false;
        err_free(&late);
    }
    oci_manifest_free(&g.manifest);
    oci_config_free(&g.config);
    reference_free(&r);
    free(cache);
    free(login);
    return ok;
}
