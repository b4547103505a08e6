/* SPDX-License-Identifier: Apache-2.0 */
/* What `ops build` does, for `ops image create`, which keeps the disk in the store of images. */
#pragma once

#include "command.h"

extern const struct option_table image_create_options;

/* Reads the words after `ops image create` and makes the image; prints its name. */
bool image_create(char **words, struct err *err);
