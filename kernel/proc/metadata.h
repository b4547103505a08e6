/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cloud tells the machine about itself before the program starts: its name, and the user's
 * data, which becomes variables of the environment or a file. It comes from a disk (NoCloud's
 * `cidata`, OpenStack's `config-2`) or from the HTTP service at 169.254.169.254.
 */
#pragma once

#include "core/manifest.h"

/*
 * As the manifest's `metadata` says; changes m->env. After the mounts, before the program; sleeps,
 * some seconds at most. False: nothing was found, and the manifest requires it (logged).
 */
bool metadata_take(struct manifest *m);
