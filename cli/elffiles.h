/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of /proc, /sys and /dev that an ELF file names in its data and the kernel does not have
 * (kernel/FILES). Numbers and formats for them stand for any number, `self` for the process.
 */
#pragma once

#include "err.h"
#include "strlist.h"

/* Adds the names, as they stand there. Errors: the file cannot be read. */
bool elffiles_missing(const char *path, struct strlist *names, struct err *err);

/* Has the kernel a file of that name, or may it, as far as the name says? */
bool elffiles_known(const char *name);
