/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a machine whose QEMU runs under a user that may open none of them: opened
 * here, as QEMU would, and inherited. The kernel is a copy in memory, which nobody can
 * change, as its loader wants a name; sockets are made and listen already.
 */
#pragma once

#include "qemu.h"

#define HANDOVER_MOST 6 /* descriptors, beside one for each volume */

#define HANDOVER_NONE                                                                              \
    {                                                                                              \
        .kernel = -1, .root = -1, .core = -1, .qmp = -1, .guest = -1, .gdb = -1                    \
    }

/* Opens what `m` names. Closed with handover_close(), also after a failure. */
bool handover_open(struct machine *m, struct err *err);

/* Writes the descriptors to keep; how many. */
size_t handover_keep(const struct handover *h, int *keep);

void handover_close(struct handover *h);
