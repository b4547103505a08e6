/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of virtio over PCI before 1.0 (virtio 1.2 §4.1.4.10): registers in
 * I/O ports, queues of a size that the device chose, features of 32 bits. Main struct:
 * vpci_device; no lock (see virtio.h).
 */
#include <errno.h>
#include <linux/virtio_pci.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "dev/virtio/virtio_pci.h"

#define PORTS_MIN 0x18 /* without the device's own configuration */

static uint16_t port_of(struct virtio_device *vdev, unsigned reg)
{
    return (uint16_t)(vpci(vdev)->port + reg);
}

static uint8_t legacy_status(struct virtio_device *vdev)
{
    return inb(port_of(vdev, VIRTIO_PCI_STATUS));
}

static void legacy_set_status(struct virtio_device *vdev, uint8_t status)
{
    outb(port_of(vdev, VIRTIO_PCI_STATUS), status);
}

static uint64_t legacy_features(struct virtio_device *vdev)
{
    return inl(port_of(vdev, VIRTIO_PCI_HOST_FEATURES));
}

static void legacy_set_features(struct virtio_device *vdev, uint64_t features)
{
    outl(port_of(vdev, VIRTIO_PCI_GUEST_FEATURES), (uint32_t)features);
}

static uint32_t legacy_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    unsigned begin = VIRTIO_PCI_CONFIG_OFF(vpci(vdev)->pci.msix != NULL);
    uint16_t port = port_of(vdev, begin + offset);
    return size == 4 ? inl(port) : size == 2 ? inw(port) : inb(port);
}

/* There is no register that tells of a change: each interrupt for it may be one. */
static uint32_t legacy_generation(struct virtio_device *vdev)
{
    return vpci(vdev)->changes;
}

static unsigned legacy_queue_size(struct virtio_device *vdev, unsigned index)
{
    outw(port_of(vdev, VIRTIO_PCI_QUEUE_SEL), (uint16_t)index);
    return inw(port_of(vdev, VIRTIO_PCI_QUEUE_NUM));
}

static bool vector_assign(struct vpci_device *dev, uint16_t vector)
{
    outw((uint16_t)(dev->port + VIRTIO_MSI_QUEUE_VECTOR), vector);
    return inw((uint16_t)(dev->port + VIRTIO_MSI_QUEUE_VECTOR)) == vector;
}

static int legacy_queue_enable(struct virtio_device *vdev, struct virtq *vq)
{
    paddr_t frame = virt_to_phys(vq->ring.desc) >> VIRTIO_PCI_QUEUE_ADDR_SHIFT;
    if (frame > UINT32_MAX)
        return -ENOMEM;
    outw(port_of(vdev, VIRTIO_PCI_QUEUE_SEL), vq->index);
    outl(port_of(vdev, VIRTIO_PCI_QUEUE_PFN), (uint32_t)frame);
    return vpci_queue_route(vpci(vdev), vq, vector_assign);
}

static void legacy_notify(struct virtio_device *vdev, struct virtq *vq)
{
    outw(port_of(vdev, VIRTIO_PCI_QUEUE_NOTIFY), vq->index);
}

static void legacy_config_irq_enable(struct virtio_device *vdev)
{
    if (vpci(vdev)->pci.msix)
        outw(port_of(vdev, VIRTIO_MSI_CONFIG_VECTOR), 0);
}

static const struct virtio_transport legacy_transport = {
    .status = legacy_status,
    .set_status = legacy_set_status,
    .features = legacy_features,
    .set_features = legacy_set_features,
    .config = legacy_config,
    .generation = legacy_generation,
    .queue_size = legacy_queue_size,
    .queue_enable = legacy_queue_enable,
    .notify = legacy_notify,
    .config_irq_enable = legacy_config_irq_enable,
};

uint8_t vpci_legacy_why(struct vpci_device *dev)
{
    return inb((uint16_t)(dev->port + VIRTIO_PCI_ISR));
}

bool vpci_legacy_find(struct vpci_device *dev)
{
    dev->port = pci_ports(&dev->pci, 0, PORTS_MIN);
    dev->vdev.legacy = dev->port;
    if (dev->port)
        dev->vdev.transport = &legacy_transport;
    return dev->port;
}
