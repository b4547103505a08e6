/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container image starts, as a package's manifest (ops' configuration keys): Entrypoint
 * becomes Program and Args, Cmd DefaultArgs, Env Env, WorkingDir Cwd, User Uid and Gid by the
 * image's own accounts. What has no key is told in README.md.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "import/oci_json.h"
#include "import/rootpath.h"

struct image_package {
    const struct oci_config *config;
    const struct rootfs_view *view;
    const char *entrypoint; /* another one; NULL: the image's. Cmd stays only if it begins so */
    const char *reference, *digest; /* for README.md */
};

/* Writes package.manifest and README.md in the directory. Errors: there is no such program or user
 * in the image, or the program is a shell script. */
bool image_package_write(const struct image_package *p, int dir, struct err *err);
