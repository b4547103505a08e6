/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record that a machine leaves on its disk when it ends badly (include/ops/crashlog.h). Where
 * no disk has the partition for it nothing happens. No lock: only what ends the machine writes.
 */
#pragma once

#include "lib/types.h"
#include "ops/crashlog.h"

/* Looks for the partition and at what it holds. Sleeps, once at boot. */
void crashlog_init(void);
/* Adds text to the record to come, as far as there is room. Any context. */
void crashlog_text(const void *text, size_t n);
void crashlog_line(const char *kind, const char *text); /* "KIND TEXT\n" */
/* Writes it. Sleeps. */
void crashlog_write(enum ops_log_kind kind, unsigned status, const char *reason);
/* The same at a panic, other CPUs stand still: polls the device, if its driver can and no lock
 * stands against it. Once only. */
void crashlog_panic(const char *reason);
