/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of container images, which comes from anywhere: the OCI image specification's index,
 * manifest and configuration, Docker's own of the same form, and manifest.json of `docker save`.
 * Every result is freed with its oci_..._free(), also after a failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

#define OCI_TEXT_LIMIT (4u << 20) /* bytes of such a text */
#define OCI_LAYERS     1000u      /* and of other lists in it */
#define OCI_DIGEST     (7 + 64 + 1)

struct oci_descriptor {
    char digest[OCI_DIGEST]; /* sha256:HEX; "" in an archive of Docker */
    char *path;              /* there */
    char *media;             /* NULL: not said */
    uint64_t size;
    char *platform; /* linux/amd64, linux/arm/v7; NULL: not said */
    char *name;     /* the tag in a layout; NULL: none */
};

struct oci_list {
    struct oci_descriptor *items;
    size_t count;
};

/* An index (`manifests` has items) or the manifest of one image (`layers`, which may have none). */
struct oci_manifest {
    bool is_index;
    struct oci_list manifests;
    struct oci_descriptor config;
    struct oci_list layers;
};

struct oci_config {
    struct strlist entrypoint, cmd, env, ports, volumes;
    struct strlist diff_ids;                            /* sha256:HEX of the layers' tar */
    char *cwd, *user, *stop_signal, *os, *architecture; /* NULL: not said */
};

/* `name` is for messages; the text has a NUL behind `size` bytes. */
bool oci_manifest_parse(struct oci_manifest *m, const char *name, const char *text, size_t size,
                        struct err *err);
bool oci_config_parse(struct oci_config *c, const char *name, const char *text, size_t size,
                      struct err *err);

/* manifest.json: the image called `tag` (NULL: the only one); config and layers have paths. */
bool oci_docker_parse(struct oci_manifest *m, const char *name, const char *text, size_t size,
                      const char *tag, struct err *err);

void oci_manifest_free(struct oci_manifest *m);
void oci_config_free(struct oci_config *c);
