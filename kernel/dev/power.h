/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the machine. */
#pragma once

#include "lib/types.h"

/*
 * Ends the machine for good, by the first way that works: QEMU's isa-debug-exit
 * with `debug_exit` (OPS_DEBUG_EXIT_*), Xen's call, ACPI soft-off, reset, halt. Any context;
 * nothing is flushed here.
 */
_Noreturn void power_off(int debug_exit);
