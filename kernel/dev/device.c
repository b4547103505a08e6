/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which devices are looked for. No state. */
#include "dev/device.h"

#include "core/log.h"
#include "dev/acpi.h"
#include "dev/ahci/ahci.h"
#include "dev/e1000.h"
#include "dev/ide.h"
#include "dev/nvme/nvme.h"
#include "dev/pci.h"
#include "dev/serial.h"
#include "dev/stream.h"
#include "dev/virtio/virtio.h"

/* Classes of functions that have a driver (PCI code and id assignment). */
#define CLASS_IDE  0x0101 /* any interface */
#define CLASS_NVME 0x010802
#define CLASS_AHCI 0x010601

static void pci_found(const struct pci_device *pci)
{
    if (virtio_pci_probe(pci) || e1000_probe(pci))
        return;
    uint32_t class = pci_class(pci);
    if (class >> 8 == CLASS_IDE)
        ide_probe(pci);
    switch (class) {
    case CLASS_NVME:
        nvme_probe(pci);
        break;
    case CLASS_AHCI:
        ahci_probe(pci);
        break;
    }
}

void device_probe_all(void)
{
    acpi_map_registers();
    virtio_mmio_probe_all();
    if (pci_present())
        pci_scan(pci_found);
    if (!stream_expected() && serial_register_streams())
        log_warn("no console: neither virtio-console nor a serial line");
}
