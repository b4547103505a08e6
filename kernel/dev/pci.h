/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI by configuration mechanism #1 (ports 0xcf8/0xcfc): enumeration behind
 * bridges that the firmware configured, BARs as the firmware assigned them,
 * capabilities, MSI-X. Offsets are those of <linux/pci_regs.h>.
 */
#pragma once

#include <linux/pci_regs.h>

#include "arch/x86_64/irq.h"
#include "lib/types.h"

struct pci_bar {
    uint64_t address, size; /* size 0: not read yet, or not usable */
};

struct pci_device {
    uint8_t bus, slot, function;
    uint16_t vendor, device;
    struct pci_bar bar[6];
    volatile char *msix; /* its vector table once pci_msix_enable() succeeded */
    unsigned msix_count;
};

/* False where there is no such configuration mechanism (microvm). */
bool pci_present(void);
/* Calls fn for each function found. */
void pci_scan(void (*fn)(const struct pci_device *dev));

uint32_t pci_read32(const struct pci_device *dev, unsigned offset);
uint16_t pci_read16(const struct pci_device *dev, unsigned offset);
uint8_t pci_read8(const struct pci_device *dev, unsigned offset);
void pci_write32(const struct pci_device *dev, unsigned offset, uint32_t v);
void pci_write16(const struct pci_device *dev, unsigned offset, uint16_t v);

/* Class, subclass and programming interface. */
static inline uint32_t pci_class(const struct pci_device *dev)
{
    return pci_read32(dev, PCI_CLASS_REVISION) >> 8;
}

/* Lets it decode memory and be bus master. */
void pci_enable(const struct pci_device *dev);
/* It cannot reach memory any more, nor send messages. */
void pci_stop(const struct pci_device *dev);
/* Offset of the next capability with this id after `from` (0: the first); 0 if there is none. */
unsigned pci_capability(const struct pci_device *dev, uint8_t id, unsigned from);
/*
 * Maps [offset, offset + size) of memory BAR `bar`. -EINVAL: no memory BAR,
 * unassigned, or the range does not lie in it; -ENOMEM.
 */
int pci_map(struct pci_device *dev, unsigned bar, uint64_t offset, size_t size,
            volatile char **out);

/*
 * The first I/O port of BAR `bar`, which decodes from now on; 0: it has no ports, or they were
 * not assigned.
 */
uint16_t pci_ports(const struct pci_device *dev, unsigned bar, unsigned count);

/* Maps the vector table, all vectors masked, and turns MSI-X on. -ENOENT: no such capability. */
int pci_msix_enable(struct pci_device *dev);
/* Routes vector `n` to the handler; `name` as irq_register()'s. */
int pci_msix_route(struct pci_device *dev, unsigned n, irq_handler_fn *fn, void *arg,
                   const char *name);
/* The one interrupt of a function without MSI-X: MSI where it has that, else INTx. */
int pci_irq_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name);
/*
 * Routes the function's INTx pin, by the interrupt line the firmware wrote.
 * A fallback: it is right where that line is also the IO-APIC's (QEMU).
 */
int pci_intx_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name);
