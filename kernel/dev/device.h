/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the machine's devices at boot. */
#pragma once

/*
 * Finds and starts all devices: virtio on the command line (mmio), then those of PCI
 * where there is one, in the order of the bus; if no console came with them, the program's streams
 * are the serial line. Thread context, interrupts on, clock and timers running.
 */
void device_probe_all(void);
