/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text screen of a BIOS machine, for the report of a panic: where nobody reads the
 * serial line, as with most clouds' screenshots, it is all that is seen.
 */
#pragma once

#include "lib/types.h"

/* Maps the screen if the loader left one in text mode; else vga_write() does nothing. */
void vga_init(void);
/*
 * The first call clears the screen, white on blue. What does not fit below is left
 * out, as a report begins with what matters. Any context, by one CPU.
 */
void vga_write(const void *text, size_t n);
/* Gives who looks at the screen some seconds if something was written. Any context. */
void vga_hold(void);
