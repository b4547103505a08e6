/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipes: how a package is made of the distribution's. One is a directory `recipes/NAME` of the
 * tool (in the source tree: pkg/NAME) with
 *   recipe.json  the object described below
 *   files/       put over the files of the distribution; may be missing
 *   README.md    becomes the package's
 *   smoke        a test of the finished package (tests/e2e/packages.sh)
 * The keys of recipe.json:
 *   Packages  the distribution's packages, the first gives the version. One with a pattern means
 *             those of that name that the others depend on; libraries are added by themselves.
 *   Without   patterns of libraries' packages that are not fetched
 *   Keep      patterns of files that stay, beside the program and the libraries it needs; `*` also
 *             matches slashes. What shared objects among them need stays, too.
 *   Drop      patterns of files that do not stay, unless they are needed
 *   Links     {"/path": "target"}: symlinks that a maintainer's script would have made
 *   Ports     what it listens on
 *   Manifest  the configuration (config.h) of the package, its Args from argv[0]; its Program may
 *             be a pattern, and argv[0] the same
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "strlist.h"

struct recipe {
    char *name;
    char *dir;
    struct strlist packages, without, keep, drop, ports;
    struct strlist links; /* pairs: path, target */
    cJSON *manifest;
};

/* *found false: there is none of that name. Freed with recipe_free(), also after a failure. */
bool recipe_load(struct recipe *r, const char *name, bool *found, struct err *err);

/* The names there are, sorted. */
bool recipe_names(struct strlist *names, struct err *err);

/* A text of the manifest; "": none. */
const char *recipe_text(const struct recipe *r, const char *key);

void recipe_free(struct recipe *r);
