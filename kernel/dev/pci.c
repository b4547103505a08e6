/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI configuration space, scan, BARs, MSI-X. Main struct: pci_device.
 * Lock: pci_lock makes the address/data port pair one access; innermost.
 */
#include "dev/pci.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "core/log.h"
#include "core/spinlock.h"
#include "dev/acpi.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ADDRESS_ON   0x80000000u
#define CAPS_MAX     48 /* capabilities that fit in 192 bytes: bounds a list with a loop */

static struct spinlock pci_lock = SPINLOCK_INIT;

static uint32_t config_access(const struct pci_device *dev, unsigned offset, bool write, uint32_t v)
{
    irqflags_t flags = spin_lock_irq(&pci_lock);
    outl(PORT_ADDRESS, ADDRESS_ON | (uint32_t)dev->bus << 16 | (uint32_t)dev->slot << 11 |
                           (uint32_t)dev->function << 8 | (offset & 0xfc));
    if (write)
        outl(PORT_DATA, v);
    else
        v = inl(PORT_DATA);
    spin_unlock_irq(&pci_lock, flags);
    return v;
}

uint32_t pci_read32(const struct pci_device *dev, unsigned offset)
{
    return config_access(dev, offset, false, 0);
}

uint16_t pci_read16(const struct pci_device *dev, unsigned offset)
{
    return (uint16_t)(pci_read32(dev, offset) >> (offset & 2) * 8);
}

uint8_t pci_read8(const struct pci_device *dev, unsigned offset)
{
    return (uint8_t)(pci_read32(dev, offset) >> (offset & 3) * 8);
}

void pci_write32(const struct pci_device *dev, unsigned offset, uint32_t v)
{
    config_access(dev, offset, true, v);
}

void pci_write16(const struct pci_device *dev, unsigned offset, uint16_t v)
{
    irqflags_t flags = spin_lock_irq(&pci_lock);
    outl(PORT_ADDRESS, ADDRESS_ON | (uint32_t)dev->bus << 16 | (uint32_t)dev->slot << 11 |
                           (uint32_t)dev->function << 8 | (offset & 0xfc));
    outw((uint16_t)(PORT_DATA + (offset & 2)), v);
    spin_unlock_irq(&pci_lock, flags);
}

bool pci_present(void)
{
    outl(PORT_ADDRESS, ADDRESS_ON);
    return inl(PORT_ADDRESS) == ADDRESS_ON;
}

static void scan_bus(uint8_t bus, void (*fn)(const struct pci_device *dev));

/* Reports one function and descends when it is a bridge to a higher bus. */
static void scan_function(struct pci_device *dev, void (*fn)(const struct pci_device *dev))
{
    uint32_t id = pci_read32(dev, PCI_VENDOR_ID);
    dev->vendor = (uint16_t)id;
    dev->device = (uint16_t)(id >> 16);
    if (dev->vendor == 0xffff)
        return;
    fn(dev);
    if ((pci_read8(dev, PCI_HEADER_TYPE) & 0x7f) != PCI_HEADER_TYPE_BRIDGE)
        return;
    uint8_t secondary = pci_read8(dev, PCI_SECONDARY_BUS);
    if (secondary > dev->bus) /* numbers only grow downwards, so this ends */
        scan_bus(secondary, fn);
}

static void scan_bus(uint8_t bus, void (*fn)(const struct pci_device *dev))
{
    for (uint8_t slot = 0; slot < 32; slot++) {
        struct pci_device dev = {.bus = bus, .slot = slot};
        if (pci_read16(&dev, PCI_VENDOR_ID) == 0xffff)
            continue;
        bool multi = pci_read8(&dev, PCI_HEADER_TYPE) & 0x80;
        for (uint8_t f = 0; f < (multi ? 8 : 1); f++) {
            dev = (struct pci_device){.bus = bus, .slot = slot, .function = f};
            scan_function(&dev, fn);
        }
    }
}

void pci_scan(void (*fn)(const struct pci_device *dev))
{
    scan_bus(0, fn);
}

void pci_enable(const struct pci_device *dev)
{
    uint16_t cmd = pci_read16(dev, PCI_COMMAND);
    pci_write16(dev, PCI_COMMAND, cmd | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_stop(const struct pci_device *dev)
{
    uint16_t cmd = pci_read16(dev, PCI_COMMAND);
    pci_write16(dev, PCI_COMMAND, (uint16_t)(cmd & ~PCI_COMMAND_MASTER));
}

unsigned pci_capability(const struct pci_device *dev, uint8_t id, unsigned from)
{
    if (!(pci_read16(dev, PCI_STATUS) & PCI_STATUS_CAP_LIST))
        return 0;
    unsigned pos = pci_read8(dev, from ? from + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST);
    for (unsigned i = 0; i < CAPS_MAX; i++) {
        pos &= 0xfc;
        if (pos < PCI_STD_HEADER_SIZEOF)
            return 0;
        if (pci_read8(dev, pos) == id)
            return pos;
        pos = pci_read8(dev, pos + PCI_CAP_LIST_NEXT);
    }
    return 0;
}

/* Address and size of a memory BAR; decoding is off while its size is asked for. */
static int bar_read(struct pci_device *dev, unsigned bar)
{
    unsigned reg = PCI_BASE_ADDRESS_0 + bar * 4;
    uint32_t low = pci_read32(dev, reg), high = 0, mask_high = UINT32_MAX;
    bool wide = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
    if (low & PCI_BASE_ADDRESS_SPACE_IO || (wide && bar == 5))
        return -EINVAL;
    uint16_t cmd = pci_read16(dev, PCI_COMMAND);
    pci_write16(dev, PCI_COMMAND, (uint16_t)(cmd & ~PCI_COMMAND_MEMORY));
    pci_write32(dev, reg, UINT32_MAX);
    uint32_t mask_low = pci_read32(dev, reg) & ~0xfu;
    pci_write32(dev, reg, low);
    if (wide) {
        high = pci_read32(dev, reg + 4);
        pci_write32(dev, reg + 4, UINT32_MAX);
        mask_high = pci_read32(dev, reg + 4);
        pci_write32(dev, reg + 4, high);
    }
    pci_write16(dev, PCI_COMMAND, cmd);
    uint64_t address = (uint64_t)high << 32 | (low & ~0xfu);
    if (!address || !mask_low)
        return -EINVAL;
    dev->bar[bar] = (struct pci_bar){address, ~((uint64_t)mask_high << 32 | mask_low) + 1};
    return 0;
}

int pci_map(struct pci_device *dev, unsigned bar, uint64_t offset, size_t size, volatile char **out)
{
    if (bar > 5 || !size || (!dev->bar[bar].size && bar_read(dev, bar)))
        return -EINVAL;
    const struct pci_bar *b = &dev->bar[bar];
    if (offset > b->size || size > b->size - offset)
        return -EINVAL;
    *out = paging_map_device(b->address + offset, size);
    return *out ? 0 : -ENOMEM;
}

uint16_t pci_ports(const struct pci_device *dev, unsigned bar, unsigned count)
{
    uint32_t v = pci_read32(dev, PCI_BASE_ADDRESS_0 + bar * 4);
    uint32_t port = v & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
    if (!(v & PCI_BASE_ADDRESS_SPACE_IO) || !port || port > 0x10000 - count)
        return 0;
    pci_write16(dev, PCI_COMMAND, pci_read16(dev, PCI_COMMAND) | PCI_COMMAND_IO);
    return (uint16_t)port;
}

int pci_msix_enable(struct pci_device *dev)
{
    unsigned cap = pci_capability(dev, PCI_CAP_ID_MSIX, 0);
    if (!cap)
        return -ENOENT;
    uint16_t control = pci_read16(dev, cap + PCI_MSIX_FLAGS);
    unsigned count = (control & PCI_MSIX_FLAGS_QSIZE) + 1u;
    uint32_t table = pci_read32(dev, cap + PCI_MSIX_TABLE);
    int err = pci_map(dev, table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET,
                      count * PCI_MSIX_ENTRY_SIZE, &dev->msix);
    if (err)
        return err;
    control = (uint16_t)((control | PCI_MSIX_FLAGS_ENABLE) & ~PCI_MSIX_FLAGS_MASKALL);
    pci_write16(dev, cap + PCI_MSIX_FLAGS, control);
    dev->msix_count = count;
    return 0;
}

int pci_msix_route(struct pci_device *dev, unsigned n, irq_handler_fn *fn, void *arg,
                   const char *name)
{
    uint64_t address;
    uint32_t data;
    if (n >= dev->msix_count)
        return -ENOSPC;
    int err = irq_register_msi(fn, arg, name, &address, &data);
    if (err)
        return err;
    volatile char *entry = dev->msix + n * PCI_MSIX_ENTRY_SIZE;
    mmio_write32(entry + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)address);
    mmio_write32(entry + PCI_MSIX_ENTRY_UPPER_ADDR, (uint32_t)(address >> 32));
    mmio_write32(entry + PCI_MSIX_ENTRY_DATA, data);
    mmio_write32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    return 0;
}

int pci_intx_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name)
{
    uint8_t line = pci_read8(dev, PCI_INTERRUPT_LINE);
    if (!pci_read8(dev, PCI_INTERRUPT_PIN) || line == 0 || line == 0xff)
        return -ENOENT;
    struct acpi_irq irq = acpi_isa_irq(line);
    return irq_register(irq.gsi, true, irq.active_low, fn, arg, name);
}

/* -ENOENT: no such capability. */
static int msi_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name)
{
    unsigned cap = pci_capability(dev, PCI_CAP_ID_MSI, 0);
    uint64_t address;
    uint32_t data;
    if (!cap)
        return -ENOENT;
    int err = irq_register_msi(fn, arg, name, &address, &data);
    if (err)
        return err;
    uint16_t flags = pci_read16(dev, cap + PCI_MSI_FLAGS);
    bool wide = flags & PCI_MSI_FLAGS_64BIT;
    pci_write32(dev, cap + PCI_MSI_ADDRESS_LO, (uint32_t)address);
    if (wide)
        pci_write32(dev, cap + PCI_MSI_ADDRESS_HI, (uint32_t)(address >> 32));
    pci_write16(dev, cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), (uint16_t)data);
    if (flags & PCI_MSI_FLAGS_MASKBIT)
        pci_write32(dev, cap + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 0);
    flags = (uint16_t)((flags & ~PCI_MSI_FLAGS_QSIZE) | PCI_MSI_FLAGS_ENABLE); /* one message */
    pci_write16(dev, cap + PCI_MSI_FLAGS, flags);
    return 0;
}

int pci_irq_route(const struct pci_device *dev, irq_handler_fn *fn, void *arg, const char *name)
{
    int err = msi_route(dev, fn, arg, name);
    return err ? pci_intx_route(dev, fn, arg, name) : 0;
}
