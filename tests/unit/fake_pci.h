/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI function for driver tests: its BAR is the test's memory, its interrupts are called by it.
 */
#pragma once

#include "dev/pci.h"

#define FAKE_VECTORS 32

extern volatile char *fake_bar; /* any BAR */
extern size_t fake_bar_size;
extern unsigned fake_msix_count; /* 0: no MSI-X */
extern bool fake_pci_stopped;    /* no bus master any more */

/* The handlers by vector; without MSI-X the one of vector 0. */
struct fake_irq {
    irq_handler_fn *fn;
    void *arg;
};
extern struct fake_irq fake_irq[FAKE_VECTORS];

/* Forgets handlers. */
void fake_pci_reset(void);
void fake_interrupt(unsigned vector);
