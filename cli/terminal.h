/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's terminal, when standard input is one. It stays as the user has it
 * until the program in the guest sets modes; those are applied here and taken
 * back at the end, also after exit().
 */
#pragma once

#include <stdbool.h>

/* Size of the terminal behind any standard stream; false: there is none. */
bool terminal_size(unsigned *rows, unsigned *columns);

/* "tty", "pipe" or "null": what stands behind a descriptor, in the manifest's words. */
const char *terminal_kind(int fd);

/* Are standard output and standard error one file? Then their order is kept (manifest: `stdout`).
 */
bool terminal_shared(void);

/* Applies the text of a control channel's `termios` line; nonsense is ignored. */
void terminal_apply(const char *text);

/* Puts back what terminal_apply() changed. */
void terminal_restore(void);
