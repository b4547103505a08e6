/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a container image comes from: a layout (a directory, or such an archive, which is unpacked
 * into a directory of ours first), an archive of `docker save`, or a registry. Everything that is
 * named by a digest is verified before it is used.
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "import/import.h"
#include "import/oci_json.h"
#include "import/reference.h"
#include "import/registry.h"

struct source {
    const struct reference *reference;
    struct import *import;
    bool remote;
    struct registry registry;
    int dir;                /* the layout; -1: a registry */
    struct unpack *scratch; /* the unpacked archive, in DIR/.import; NULL: none */
};

/* Freed with source_close(), also after a failure. `cache`, `docker_config`: as registry_open(). */
bool source_open(struct source *s, struct import *i, const struct reference *r, const char *cache,
                 const char *docker_config, struct err *err);

/* The manifest of the image for the platform ("linux/amd64"), and its digest ("": it has none). */
bool source_manifest(struct source *s, const char *platform, struct oci_manifest *m,
                     char digest[OCI_DIGEST], struct err *err);

/* A file of it at its start, verified if it has a digest. -1: see err. */
int source_blob(struct source *s, const struct oci_descriptor *d, struct err *err);

/* The same as text, at most OCI_TEXT_LIMIT bytes. */
bool source_text(struct source *s, const struct oci_descriptor *d, struct buf *text,
                 struct err *err);

bool source_close(struct source *s, struct err *err);
