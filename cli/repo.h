/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repositories of finished packages: a tree of files behind any web server, or in a directory.
 *   index.json          {"Serial", "Expires", "Packages": [{"name", "version", "description",
 *                       "language", "arch", "file", "size", "sha256"}]}, as OPS has it and more
 *   index.json.minisig  its signature (minisign.h)
 *   NAME_VERSION.tar.gz the packages (package.h)
 * Which ones are asked, with the key that each must be signed with, is in ops/repos.json of
 * $XDG_CONFIG_HOME (else ~/.config). An index is kept in $XDG_CACHE_HOME/ops/repos; one that is
 * older than what was seen already, or has expired, is refused.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "strlist.h"

#define REPO_INDEX     "index.json"
#define REPO_SIGNATURE "index.json.minisig"

struct repo {
    char *name, *url, *key; /* the key's line */
};

struct repos {
    struct repo *items;
    size_t count;
};

bool repos_load(struct repos *r, struct err *err);
void repos_free(struct repos *r);

/* Asks `url` from now on; `key`: its line, or a file that has it. Errors: no such repository. */
bool repo_add(const char *name, const char *url, const char *key, struct err *err);
bool repo_remove(const char *name, struct err *err);

/* The verified index, freed with cJSON_Delete(); NULL: see err. Where it cannot be had, the kept
 * one is taken, and *note is a sentence about that (NULL: none), freed with free(). */
cJSON *repo_index(const struct repo *r, char **note, struct err *err);

/* The newest entry of that name and version (NULL: any); NULL: none. */
const cJSON *repo_find(const cJSON *index, const char *name, const char *version);

/* Gets the entry's archive, verified: its path, freed with free(); NULL: see err. */
char *repo_fetch(const struct repo *r, const cJSON *entry, struct err *err);

/* Is this text an index? Errors say what is wrong. Freed with cJSON_Delete(). */
cJSON *repo_index_parse(const char *text, size_t size, const char *name, struct err *err);
