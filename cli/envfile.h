/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables of the program that come from elsewhere than a configuration: `-e`, files of
 * `--env-file` (a line each: NAME=value as it stands, NAME to take it from here, # a comment),
 * and secrets. A secret travels in the manifest of one run, which is memory that only the
 * machine's process has; no image, no instance's file and no output of `ops` holds it.
 */
#pragma once

#include "config.h"
#include "err.h"

/* NAME=value, or NAME, which must be set here. */
bool envfile_set(struct config *c, const char *text, const char *origin, struct err *err);

/* Relative paths start at `dir` (NULL: the current directory), here and below. */
bool envfile_load(struct config *c, const char *file, const char *dir, struct err *err);

/* NAME=FILE: the file's text without a newline at its end. */
bool envfile_secret(struct config *c, const char *text, const char *dir, struct err *err);
