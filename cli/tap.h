/* SPDX-License-Identifier: Apache-2.0 */
/* Tap devices that live as long as somebody has them open. */
#pragma once

#include "err.h"

/* A new one, up, as a port of `bridge` (NULL: of none). `name`: NULL for one that the kernel
 * chooses; `mtu`: 0 for the usual one. Its descriptor; -1: see err. */
int tap_make(const char *name, const char *bridge, unsigned mtu, struct err *err);
