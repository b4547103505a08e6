/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the kernel: reason, registers, symbolised backtrace, power off. */
#pragma once

#include "lib/types.h"

struct trap_frame;

_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* With the registers at a trap. */
_Noreturn void panic_at(const struct trap_frame *frame, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Where the report goes (a raw device, safe in any context), and what ends the
 * machine after it. Until they are set a panic halts silently.
 */
void panic_set_output(void (*write)(const void *text, size_t n));
void panic_set_hook(void (*end)(const char *reason));

/* For states that only a bug of the kernel can produce, never for guest input. */
#define ASSERT(cond) ((cond) ? (void)0 : panic("%s:%d: %s", __FILE__, __LINE__, #cond))
