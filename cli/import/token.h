/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in to a registry: Basic, or a token that its challenge tells where to get. */
#pragma once

#include <stdbool.h>

#include "err.h"

struct registry;

/* The "auth" that ~/.docker/config.json has for the host (its "auths" only: helpers are programs
 * that are not run). Freed with free(); NULL: none. */
char *token_login(const char *docker_config, const char *host);

/* One word of a challenge: `service` of `Bearer realm="...",service="..."`. Freed with free();
 * NULL: it is not in it. */
char *token_word(const char *challenge, const char *word);

/* Answers a WWW-Authenticate; fills r->bearer. */
bool token_get(struct registry *r, const char *challenge, struct err *err);
