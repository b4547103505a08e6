/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which devices are looked for. No state. */
#include "dev/device.h"

#include "core/log.h"
#include "dev/acpi.h"
#include "dev/ahci/ahci.h"
#include "dev/e1000.h"
#include "dev/nvme/nvme.h"
#include "dev/pci.h"
#include "dev/serial.h"
#include "dev/stream.h"
#include "dev/virtio/virtio.h"

/* Classes of functions that have a driver (PCI code and id assignment). */
#define CLASS_NVME 0x010802
#define CLASS_AHCI 0x010601

static void pci_found(const struct pci_device *pci)
{
    if (virtio_pci_probe(pci) || e1000_probe(pci))
        return;
    switch (pci_class(pci)) {
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
