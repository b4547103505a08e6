/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the kernel: reason, registers, symbolised backtrace, power off. */
#pragma once

#include "lib/types.h"

struct trap_frame;

_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* With the registers at a trap. */
_Noreturn void panic_at(const struct trap_frame *frame, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What ends the machine after a panic; set once the control stream is up. */
typedef void panic_hook_fn(const char *reason);
void panic_set_hook(panic_hook_fn *hook);

/* For states that only a bug of the kernel can produce, never for guest input. */
#define ASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: %s", __FILE__, __LINE__, #cond))
