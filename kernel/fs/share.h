/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the host that the program was given (the manifest's `share`). */
#pragma once

#include "lib/types.h"

/*
 * Mounts the directory that `spec` names: TAG:/path, `:ro` behind it read-only. `uid`:
 * whose new files are. Errors have a static reason in *why. May sleep.
 */
int share_mount(const char *spec, uint32_t uid, const char **why);
