/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry of container images (the OCI distribution specification, Docker's HTTP API 2), with
 * tokens as it asks for them. Plain HTTP only on this machine, or if it is allowed. Blobs stay in
 * a cache, named by their SHA-256, which is verified whenever one is used; also which digest a tag
 * had, for when the registry cannot be reached.
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "import/fetch.h"
#include "import/oci_json.h"
#include "import/reference.h"

struct registry {
    const struct reference *reference;
    char *base;   /* https://HOST/v2/NAME */
    char *login;  /* Basic, for its host; NULL: none */
    char *bearer; /* the header to send; NULL: none yet */
    int cache;    /* directory */
    unsigned stall;
    int status;     /* for progress; -1: none */
    uint64_t limit; /* bytes of a blob */
};

/* The cache is there and open when this returns; docker_config: text of ~/.docker/config.json or
 * NULL. Freed with registry_close(), also after a failure. */
bool registry_open(struct registry *r, const struct reference *reference, const char *cache,
                   const char *docker_config, bool insecure, struct err *err);

/* The manifest or index: of the reference with digest NULL (then `digest` is filled), else of that
 * digest. */
bool registry_manifest(struct registry *r, const struct oci_descriptor *wanted,
                       char digest[OCI_DIGEST], struct buf *text, struct err *err);

/* A blob, verified, at its start. -1: see err. */
int registry_blob(struct registry *r, const struct oci_descriptor *d, struct err *err);

void registry_close(struct registry *r);
