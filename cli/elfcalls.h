/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls an ELF file can make, from its bytes: numbers that are loaded right before a
 * `syscall` instruction, and names of system calls among the functions it imports. Neither says
 * that it does make them; what computes the number is only counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define ELFCALLS_MAX 512 /* numbers of system calls are below */

struct elfcalls {
    bool by_number[ELFCALLS_MAX];
    bool by_name[ELFCALLS_MAX];
    size_t computed; /* instructions whose number is not in sight */
};

/* Adds those of the file `path`. Errors: not a usable ELF file. */
bool elfcalls_read(struct elfcalls *c, const char *path, struct err *err);

/* Is a file of this name the C library or its loader, through which others make their calls? */
bool elfcalls_is_libc(const char *name);

enum call_state { CALL_WHOLE, CALL_PARTLY, CALL_REFUSED, CALL_MISSING };

/* How the kernel stands to the call of that number; *note is what it lacks, "" or one line. NULL:
 * Linux has no such call. Otherwise its name. */
const char *call_support(size_t number, enum call_state *state, const char **note);
