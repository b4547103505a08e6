/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host is told of a program that a signal ends: registers, the mapping
 * that was touched, a backtrace. Addresses go out relative to the mapped file:
 * `ops` has the files and finds the names.
 */
#pragma once

#include "lib/types.h"

struct trap_frame;

/*
 * Sends the report over the control channel. `f` is the program's state; `touched`
 * the address of a fault or NULL. Other threads have been stopped. May sleep.
 */
void crash_report(const struct trap_frame *f, const uint64_t *touched);
