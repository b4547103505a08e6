/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What interpreters and some libraries open at run time without naming it in
 * their ELF file: standard libraries, provider modules, terminal descriptions.
 * One table; what it adds shows in --list-files and can be refused.
 */
#pragma once

#include "deps.h"
#include "err.h"
#include "tree.h"

/* Adds the trees of the program at host path `program` and of the libraries found so far,
 * with the libraries that modules inside them need. */
bool runtimes_add(struct tree *t, struct deps *d, const char *program, struct err *err);

/* A tree_seen_fn: passes shared objects on to the `struct deps *` that `context` is. */
bool runtimes_seen(void *context, const char *path, const char *source, struct err *err);
