/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG],
 * docker://[HOST[:PORT]/]NAME[:TAG][@sha256:HEX].
 */
#pragma once

#include <stdbool.h>

#include "err.h"

enum reference_kind {
    REFERENCE_OCI,
    REFERENCE_OCI_ARCHIVE,
    REFERENCE_DOCKER_ARCHIVE,
    REFERENCE_REGISTRY
};

struct reference {
    enum reference_kind kind;
    char *path;   /* of the directory or file */
    char *tag;    /* NULL: none given */
    char *host;   /* of the registry, with its port */
    char *name;   /* there */
    char *digest; /* sha256:HEX; NULL: none given */
};

/* Freed with reference_free(), also after a failure (OPS_EXIT_USAGE). */
bool reference_parse(struct reference *r, const char *text, struct err *err);

/* Is it a reference at all, by how it begins? */
bool reference_is(const char *text);

/* sha256: and 64 lower-case digits. */
bool reference_digest_ok(const char *text);

void reference_free(struct reference *r);
