/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text with places: parsing is cJSON's, and an error anywhere in a document
 * says file, line and column and shows the line with a caret below.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define JSON_DEPTH 4 /* levels of members that json_error() can point at */

struct json_text {
    const char *name; /* for messages */
    const char *text; /* NUL behind `size` bytes */
    size_t size;
};

/* The way to a member: the index of the child taken at each level. */
struct json_place {
    size_t index[JSON_DEPTH];
    size_t depth;
};

/* The parsed document, freed with cJSON_Delete(); NULL: see err (OPS_EXIT_USAGE). Text behind the
 * value and keys given twice are errors. */
cJSON *json_parse(const struct json_text *t, struct err *err);

/* "NAME:LINE:COLUMN: message" and the line with a caret, at the member's key or at its value. */
bool json_error(const struct json_text *t, const struct json_place *place, bool key,
                struct err *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The line of a member's key. */
size_t json_line(const struct json_text *t, const struct json_place *place);
