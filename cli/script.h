/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts: a file that starts with `#!` is run by its interpreter, with the
 * arguments that execve(2) of Linux gives it.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "rootdir.h"
#include "strlist.h"

/*
 * If `path` is a script, puts its interpreter's path at the front of a new argv:
 * interpreter, its one argument if any, the script, then what followed argv[0].
 * `#!/usr/bin/env NAME` becomes the NAME that PATH finds, since the guest runs one
 * program only. *program is replaced by the interpreter's path (freed with free()).
 * Repeats while the interpreter is a script itself. Paths are those of `root` (NULL:
 * this host). Errors: interpreter missing, file unreadable or not executable.
 */
bool script_resolve(const struct rootdir *root, char **program, struct strlist *argv,
                    struct strlist *scripts, struct err *err);

/* The executable that PATH finds for `name`, freed with free(); NULL: none. In a `root` other than
 * this host (NULL) PATH is the usual one, and a name with a slash is looked for as it is. */
char *script_find(const struct rootdir *root, const char *name);
