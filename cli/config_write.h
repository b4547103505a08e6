/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations as text. The canonical form is JSON with the keys' own spelling in the order of
 * their table, each setting said by one key; reading it gives the same settings.
 */
#pragma once

#include <cjson/cJSON.h>

#include "config.h"

/* The settings that are there, as an object; freed with cJSON_Delete(). */
cJSON *config_object(const struct config *c);

/* A list of {"key", "value", "origin"}: each entry of an object or list by itself. */
cJSON *config_entries(const struct config *c);

/* The canonical form of a file's object: the keys' spelling and order, other ways to say a key
 * rewritten, what has no effect left out (named in `left`). Values are as they stand. */
cJSON *config_canonical(const cJSON *file, struct strlist *left);
