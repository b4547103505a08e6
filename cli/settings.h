/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one precedence of everything that can be set, lowest first:
 *   defaults     what is written in settings.c
 *   the user's   ~/.opsrc ($OPS_DEFAULT_CONFIG names another), then ops/config.json in
 *                $XDG_CONFIG_HOME (else ~/.config)
 *   the package  that is run, if one is (package_ref.h)
 *   the project  ops.json in the current directory, or the file of -c instead of it
 *   environment  OPS_ and a key's name in capitals: OPS_MEMORY, OPS_PORTS=80,443
 *   flags        of the command line
 * How entries of several layers go together is in config.h.
 */
#pragma once

#include "config.h"
#include "err.h"

struct request;

#define SETTINGS_PROJECT "ops.json"
#define SETTINGS_CPUS    64
#define SETTINGS_SECONDS 1000000000 /* of a timeout */
#define SETTINGS_LOG     (UINT64_C(64) << 10)

/* Fills r->settings from all layers. `dir`: where the project is; NULL: the current directory.
 * Errors: those of files, variables and flags. */
bool settings_load(struct request *r, const char *dir, struct err *err);

/* Frees the settings and lists; the operands and texts were borrowed. */
void request_free(struct request *r);

/* The number of a signal by name (SIGQUIT, QUIT) or number; 0: none. */
int settings_signal(const char *text);

/* The index of `given` among the words (NULL: the first). Errors (OPS_EXIT_USAGE) name --`option`.
 */
bool settings_choice(const char *option, const char *given, const char *const *words, size_t count,
                     size_t *index, struct err *err);

/* Calls `visit` for every key that can be set, with its full name. */
void settings_keys(void (*visit)(const struct key *k, const char *entry, void *arg), void *arg);
