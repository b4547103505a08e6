/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which devices are looked for. No state. */
#include "dev/device.h"

#include "core/log.h"
#include "dev/acpi.h"
#include "dev/e1000.h"
#include "dev/pci.h"
#include "dev/serial.h"
#include "dev/stream.h"
#include "dev/virtio/virtio.h"

void device_probe_all(void)
{
    acpi_map_registers();
    virtio_mmio_probe_all();
    if (pci_present()) {
        virtio_pci_probe_all();
        e1000_probe_all();
    }
    if (!stream_expected() && serial_register_streams())
        log_warn("no console: neither virtio-console nor a serial line");
}
