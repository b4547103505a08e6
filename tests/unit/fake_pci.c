/* SPDX-License-Identifier: Apache-2.0 */
/* Host stand-in for dev/pci.c: see the header. */
#include "fake_pci.h"

#include <errno.h>
#include <string.h>

#include "dev/topology.h"

volatile char *fake_bar;
size_t fake_bar_size;
unsigned fake_msix_count;
bool fake_pci_stopped;
struct fake_irq fake_irq[FAKE_VECTORS];
unsigned fake_cpus = 1;
static void *kept[4096]; /* drivers' structs, which interrupts keep for good */
static unsigned kept_count;

static void keep(void *arg)
{
    if (kept_count < sizeof kept / sizeof *kept)
        kept[kept_count++] = arg;
}

unsigned cpu_present(void)
{
    return fake_cpus;
}

void fake_pci_reset(void)
{
    memset(fake_irq, 0, sizeof fake_irq);
    fake_pci_stopped = false;
}

void fake_interrupt(unsigned vector)
{
    if (fake_irq[vector].fn)
        fake_irq[vector].fn(fake_irq[vector].arg);
}

void pci_enable(const struct pci_device *dev)
{
    (void)dev;
    fake_pci_stopped = false;
}

void pci_stop(const struct pci_device *dev)
{
    (void)dev;
    fake_pci_stopped = true;
}

int pci_map(struct pci_device *dev, unsigned bar, uint64_t offset, size_t size, volatile char **out)
{
    (void)dev, (void)bar;
    if (offset > fake_bar_size || size > fake_bar_size - offset)
        return -EINVAL;
    *out = fake_bar + offset;
    return 0;
}

int pci_msix_enable(struct pci_device *dev)
{
    dev->msix_count = fake_msix_count;
    return fake_msix_count ? 0 : -ENOENT;
}

int pci_msix_route(struct pci_device *dev, unsigned n, irq_handler_fn *fn, void *arg,
                   const char *name)
{
    (void)name;
    if (n >= dev->msix_count || n >= FAKE_VECTORS)
        return -ENOSPC;
    keep(arg);
    fake_irq[n] = (struct fake_irq){fn, arg};
    return 0;
}

int pci_irq_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name)
{
    (void)dev, (void)name;
    keep(arg);
    fake_irq[0] = (struct fake_irq){fn, arg};
    return 0;
}
