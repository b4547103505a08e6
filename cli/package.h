/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A package: a program with all its files, made once and run anywhere. It is a directory with
 *   package.manifest  a configuration (config.h); its Args begin with argv[0]
 *   sysroot/          what becomes the guest's root directory
 *   sysroot.mtree     what those files truly are (mtree.h), and their digests
 *   README.md         for people; may be missing
 * That is OPS' layout, and the list.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "config.h"
#include "err.h"
#include "rootdir.h"
#include "strlist.h"

#define PACKAGE_MANIFEST "package.manifest"
#define PACKAGE_ROOT     "sysroot"
#define PACKAGE_LIST     "sysroot.mtree"
#define PACKAGE_README   "README.md"

struct package {
    char *dir;
    char *label; /* for people: "the package nginx" */
    struct rootdir root;
    char *program;       /* in the guest */
    struct strlist args; /* from argv[0]; none: what follows is a program with its arguments */
    struct strlist default_args; /* follow those where the user gives none */
    size_t own;                  /* of `args`, those that are the package's */
    char *entrypoint;            /* what it starts instead of those; NULL: nothing */
};

/* Opens the package in the directory `dir`. Freed with package_close(), also after a failure. */
bool package_open(struct package *p, const char *dir, const char *label, struct err *err);

/* Reads its settings over those that are there. Program and Args become the package's. */
bool package_settings(struct package *p, struct config *c, struct err *err);

/* Settles what is started when the user gives these words: `program` and `args` (all of argv). */
bool package_start(struct package *p, const struct strlist *words, struct err *err);

/* The configuration of a manifest as JSON, freed with cJSON_Delete(); NULL: see err. */
cJSON *package_manifest(const char *dir, struct err *err);

void package_close(struct package *p);
