/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two filesystems in files. */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "ext4file.h"

/*
 * Prints a line for each path: `+ /path` only in b, `- /path` only in a, `M /path (what)`
 * in both, with what differs of type, mode, owner, content and target. *differ: there
 * was one.
 */
bool ext4diff_print(struct ext4file *a, struct ext4file *b, bool *differ, struct err *err);
