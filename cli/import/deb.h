/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A package of Debian, deb(5): an ar(5) archive of debian-binary, control.tar*, of which ./control
 * counts here, and data.tar*, the files.
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"
#include "import/unpack.h"

/* Adds the files to `u`, and the control paragraph with an empty line behind it to `control`.
 * `name` is for messages. */
bool deb_unpack(struct unpack *u, const char *name, int fd, struct budget *budget,
                struct buf *control, struct err *err);
