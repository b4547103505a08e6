/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container images, without Docker: oci:DIR[:TAG], oci-archive:FILE[:TAG],
 * docker-archive:FILE[:NAME:TAG], docker://[HOST/]NAME[:TAG][@DIGEST]. They are unpacked by
 * ops-import once, as packages (package.h) in $XDG_CACHE_HOME/ops/containers. One of a registry
 * stays what it was until it is got again; one of a file or directory follows that.
 */
#pragma once

#include <stdbool.h>

#include "err.h"

bool container_is(const char *word);

/* The image's directory, freed with free(); NULL: see err. `entrypoint`: what it starts instead of
 * its own program (NULL: nothing). `fresh`: it is fetched also if it is there. */
char *container_get(const char *word, const char *entrypoint, bool fresh, struct err *err);
