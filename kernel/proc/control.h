/* SPDX-License-Identifier: Apache-2.0 */
/* The control channel to `ops`: include/ops/control.h. Without the device all goes to the serial
 * line. */
#pragma once

#include "lib/types.h"

/* Finds the stream, takes over the log and starts listening to the host. */
int control_init(void);
/* One line of a kind ("trace", "unsupported", "started"): text is escaped and cut to fit. */
void control_send(const char *kind, const char *text);
/*
 * Appends text to the `len` bytes of a line with the manifest's escapes, cut so that a
 * newline fits behind it in `size`; the new length. Not terminated.
 */
size_t control_escape(char *out, size_t len, size_t size, const char *text);
/* The program's death by a signal, with the reason. */
void control_killed(int sig, const char *why);
/* Waits until the standard streams have left the guest, then tells the status. */
void control_exit(int status);
