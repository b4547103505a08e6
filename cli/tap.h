/* SPDX-License-Identifier: Apache-2.0 */
/* Tap devices: those that live as long as somebody has them open, and others. */
#pragma once

#include <stdbool.h>

#include "err.h"

/* A new one, up, as a port of `bridge` (NULL: of none). `name`: NULL for one that the kernel
 * chooses; `mtu`: 0 for the usual one. Its descriptor; -1: see err. */
int tap_make(const char *name, const char *bridge, unsigned mtu, struct err *err);

/* One more queue of a tap device that is there; `several`: it has more than one. Its descriptor;
 * -1: see err. */
int tap_open(const char *name, bool several, struct err *err);
