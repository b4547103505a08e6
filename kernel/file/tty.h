/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's standard streams over dev/stream.h. What stands behind each on
 * the host (manifest: tty, pipe, null) decides how it looks: as a terminal, a
 * pipe or /dev/null; error may be the same file as output, so that what is written
 * to both keeps its order. Line editing and echo are done by the host's terminal, to
 * which changes of the modes are reported. Lock: one spinlock for the modes.
 */
#pragma once

#include "file/file.h"

/* kinds: "tty", "pipe", "null" for stdin, stdout, stderr, the last also "stdout". -EINVAL for
 * another word. */
int tty_init(const char *const kinds[3], unsigned rows, unsigned columns);
/* Standard stream 0, 1 or 2 as a file of its own. -ENOMEM. */
int tty_open_standard(int which, struct file **out);
/* The controlling terminal (/dev/tty): stdin's and stdout's streams; -ENXIO when neither is one. */
int tty_open(uint32_t flags, struct file **out);
void tty_set_winsize(unsigned rows, unsigned columns);
/* Gets the control channel's "termios ..." line (include/ops/control.h) when modes change; it has
 * left the guest on return. */
typedef void tty_report_fn(const char *line);
void tty_set_report(tty_report_fn *fn);
/* pid that TIOCGPGRP and TIOCGSID tell. */
void tty_set_pid(int pid);
