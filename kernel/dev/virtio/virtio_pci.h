/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two interfaces of virtio over PCI share: virtio_pci.c has the modern one,
 * finds devices and serves their interrupts; virtio_pci_legacy.c has the old one.
 */
#pragma once

#include "dev/pci.h"
#include "dev/virtio/virtio.h"

struct vpci_region {
    volatile char *base;
    uint32_t size;
};

struct vpci_device {
    struct virtio_device vdev;
    struct pci_device pci;
    struct vpci_region common, notify, isr, config;
    uint32_t notify_multiplier;
    uint16_t port;             /* where the old interface's registers are; 0: a modern device */
    volatile uint32_t changes; /* interrupts that may tell of a new configuration */
};

static inline struct vpci_device *vpci(struct virtio_device *vdev)
{
    return CONTAINER_OF(vdev, struct vpci_device, vdev);
}

/*
 * Gives the selected queue a vector of its own, or the shared one; `assign` tells the
 * device and returns whether it agrees. Without MSI-X nothing is to be done.
 */
int vpci_queue_route(struct vpci_device *dev, struct virtq *vq,
                     bool (*assign)(struct vpci_device *dev, uint16_t vector));

/* True if the device has the old interface: then it is set up for that. */
bool vpci_legacy_find(struct vpci_device *dev);
/* Why it interrupts (its ISR register), which acknowledges. */
uint8_t vpci_legacy_why(struct vpci_device *dev);
