/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ops run --boot-chart FILE`: a picture (SVG) of what was done when, from the start of ops to
 * the program's first instruction and its first ports. One chart a process; without one every
 * call does nothing.
 *
 * The guest's times count from its power-on. They are placed by the moment its `started` line
 * arrives, which follows the last of them at once.
 */
#pragma once

#include <stdbool.h>

#include "err.h"

/* ops has started: the chart's zero. */
void chart_begin(void);

/* From now on there is a chart, which is written there. Errors: it cannot be. */
bool chart_open(const char *path, const char *subject, struct err *err);

/* What ops has done since the last call, or its start. */
void chart_step(const char *what);

/* QEMU is there; the rest of the text of a `phase` line; the program starts; it listens on a port;
 * the machine has ended. */
void chart_machine(void);
void chart_phase(const char *text);
void chart_started(void);
void chart_listening(unsigned port);
void chart_ended(void);

/* Writes it once more. Errors: the file cannot be written. */
bool chart_close(struct err *err);
