/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the program, and with it of the machine. */
#pragma once

#include "lib/types.h"

struct trap_frame;

/* exit_group(2): stops the other threads, hands `status` (0..255) to the host, powers off. */
_Noreturn void process_exit(int status);
/* A signal ends the program: status 128 + sig, with the reason (NULL: the signal's name says it).
 */
_Noreturn void process_killed(int sig, const char *why);
/* The same for a fault: tells what was accessed, from where, and what is mapped there. */
_Noreturn void process_killed_by_fault(int sig, int code, uint64_t addr,
                                       const struct trap_frame *f);
