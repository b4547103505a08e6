/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device interrupts: global system interrupts through the IO-APIC, and
 * message-signalled ones. A handler runs with interrupts off and must not sleep.
 */
#pragma once

#include "lib/types.h"

typedef void irq_handler_fn(void *arg);

/*
 * Routes IO-APIC input `gsi` to the handler. Several handlers may share a
 * level-triggered input. `name` is the device's, for /proc/interrupts, and stays
 * the caller's. -EINVAL: no such input; -ENOSPC: no vector left.
 */
int irq_register(unsigned gsi, bool level, bool active_low, irq_handler_fn *fn, void *arg,
                 const char *name);
/* A vector for MSI or MSI-X; `address` and `data` are what the device writes. */
int irq_register_msi(irq_handler_fn *fn, void *arg, const char *name, uint64_t *address,
                     uint32_t *data);

#define IRQ_SHARED 4 /* devices that one input can have */

/* A registered interrupt. */
struct irq_line {
    unsigned number; /* the IO-APIC's input; messages follow after the last of those */
    unsigned vector;
    bool message, level;
    const char *name[IRQ_SHARED]; /* of the devices, NULL: no more */
};

/* The n-th (0 ...) that was registered; false if there is none. */
bool irq_line(unsigned n, struct irq_line *out);
/* Interrupts that a CPU has taken through a vector, since it started. */
uint32_t irq_count(unsigned cpu, unsigned vector);
