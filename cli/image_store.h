/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks by name: files NAME.img in $XDG_DATA_HOME/ops/images (else ~/.local/share/ops/images),
 * made by `ops image create`. They appear whole, by rename.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <time.h>

#include "err.h"
#include "strlist.h"

/* Letters, digits, '.', '_' and '-', the first a letter or digit, at most 64. */
bool image_name_check(const char *name, struct err *err);

/* Where the image of that name is or will be, its directory made; freed with free(). NULL: see err.
 */
char *image_store_place(const char *name, struct err *err);

/* What an operand means: a file, or else an image of that name; freed with free(). */
char *image_store_find(const char *word, struct err *err);

/* Is there an image of that name? */
bool image_store_has(const char *name);

/* The names there are, sorted. */
bool image_store_names(struct strlist *names, struct err *err);

/* An object with name, file, sizes and times; NULL: it is gone. */
cJSON *image_store_describe(const char *name);

/* Has nobody used it since then? By the commands of ops, which note it, or by its time of access.
 */
bool image_store_unused(const char *name, time_t since);

/* Errors: unknown, with the nearest name; in use. */
bool image_store_delete(const char *name, struct err *err);

/* Copies it into the directory `dir`, unless it is there already with the same size and time:
 * *copied says so. */
bool image_store_sync(const char *name, const char *dir, bool *copied, struct err *err);
