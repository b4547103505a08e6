/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may do once it has its names: it parses what strangers wrote. It cannot gain
 * rights, its CPU time, memory, descriptors and the size of its files are limited, and where the
 * kernel has Landlock it writes in some directories alone and reads there, in what libraries
 * need of the system, and in its inputs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

/* `writable`: directories that are there; `readable`: files or directories, which may be missing.
 * `file_size`: bytes that one file may have. */
bool jail_enter(const struct strlist *writable, const struct strlist *readable, uint64_t file_size,
                struct err *err);
