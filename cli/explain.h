/* SPDX-License-Identifier: Apache-2.0 */
/* `ops run --explain`: what the program in the machine can reach of this host. */
#pragma once

#include "plan.h"
#include "qemu.h"

/* Prints it on stdout: a word, two blanks, what it is. */
void explain_print(const struct machine *m, const struct plan *p, const struct network *n);
