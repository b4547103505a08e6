/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what `ops build` is asked for, in its format, under its name. */
#pragma once

#include "disk.h"
#include "disk_format.h"

/* `a` names the machine for formats that hold one. Errors leave an old file as it was. */
bool disk_build(enum disk_format format, const char *path, struct disk_content *content,
                const struct appliance *a, struct err *err);
