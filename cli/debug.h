/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For `ops run --debug` and `--core`: the socket where QEMU waits for gdb, the core
 * file, and what to type.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "err.h"

#define DEBUG_SOCKET "gdb"

struct debug {
    char *directory; /* made for the socket; NULL: no debugger */
    char *socket;
    const char *core; /* NULL: no core file */
};

/* Chooses a place for the socket, which QEMU makes. */
bool debug_socket_make(struct debug *d, struct err *err);
/* Empties the file, so that mistakes show before the machine starts. */
bool debug_core_open(struct debug *d, const char *path, struct err *err);
/* The one command that attaches gdb with the symbols of kernel and program. */
void debug_print(const struct debug *d, const char *kernel, const char *program, FILE *to);
/* Removes the socket, and an empty core file; says where a core is. */
void debug_end(struct debug *d, const char *program, FILE *to);
