/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's power button, which hypervisors press to ask for a graceful end. */
#pragma once

/*
 * Calls `pressed` at each press, in an interrupt: it must not sleep. Only the fixed
 * button of ACPI 6.5 §4.8.2.2.1 (PC machines); a machine without one is silently left alone.
 */
void power_button_init(void (*pressed)(void));
