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
 * level-triggered input. -EINVAL: no such input; -ENOSPC: no vector left.
 */
int irq_register(unsigned gsi, bool level, bool active_low, irq_handler_fn *fn, void *arg);
/* A vector for MSI or MSI-X; `address` and `data` are what the device writes. */
int irq_register_msi(irq_handler_fn *fn, void *arg, uint64_t *address, uint32_t *data);
