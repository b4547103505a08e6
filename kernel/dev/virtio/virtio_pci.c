/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI (virtio 1.2 §4.1): the structures are found through vendor
 * capabilities, also on transitional devices; a device without them has the old
 * interface (virtio_pci_legacy.c). Each queue gets an
 * MSI-X vector of its own while they last; vector 0 takes the rest; without
 * MSI-X there is INTx. Main struct: vpci_device; no lock (see virtio.h).
 */
#include <errno.h>
#include <linux/virtio_pci.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/virtio/virtio_pci.h"
#include "lib/fmt.h"
#include "mem/kmalloc.h"

#define VENDOR_VIRTIO      0x1af4
#define DEVICE_LEGACY_MIN  0x1000 /* transitional: the id is the subsystem's */
#define DEVICE_MODERN_BASE 0x1040 /* virtio 1.0 and later: + virtio device id */
#define DEVICE_MODERN_MAX  0x107f
#define CAPS_MAX           16 /* vendor capabilities looked at */

static uint8_t vpci_status(struct virtio_device *vdev)
{
    return mmio_read8(vpci(vdev)->common.base + VIRTIO_PCI_COMMON_STATUS);
}

static void vpci_set_status(struct virtio_device *vdev, uint8_t status)
{
    mmio_write8(vpci(vdev)->common.base + VIRTIO_PCI_COMMON_STATUS, status);
}

static uint64_t vpci_features(struct virtio_device *vdev)
{
    volatile char *c = vpci(vdev)->common.base;
    mmio_write32(c + VIRTIO_PCI_COMMON_DFSELECT, 1);
    uint64_t high = mmio_read32(c + VIRTIO_PCI_COMMON_DF);
    mmio_write32(c + VIRTIO_PCI_COMMON_DFSELECT, 0);
    return high << 32 | mmio_read32(c + VIRTIO_PCI_COMMON_DF);
}

static void vpci_set_features(struct virtio_device *vdev, uint64_t features)
{
    volatile char *c = vpci(vdev)->common.base;
    mmio_write32(c + VIRTIO_PCI_COMMON_GFSELECT, 1);
    mmio_write32(c + VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32));
    mmio_write32(c + VIRTIO_PCI_COMMON_GFSELECT, 0);
    mmio_write32(c + VIRTIO_PCI_COMMON_GF, (uint32_t)features);
}

static uint32_t vpci_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    struct vpci_region *r = &vpci(vdev)->config;
    return offset + size <= r->size ? virtio_config_mapped(r->base + offset, size) : 0;
}

static uint32_t vpci_generation(struct virtio_device *vdev)
{
    return mmio_read8(vpci(vdev)->common.base + VIRTIO_PCI_COMMON_CFGGENERATION);
}

static unsigned vpci_queue_size(struct virtio_device *vdev, unsigned index)
{
    volatile char *c = vpci(vdev)->common.base;
    if (index >= mmio_read16(c + VIRTIO_PCI_COMMON_NUMQ))
        return 0;
    mmio_write16(c + VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)index);
    return mmio_read16(c + VIRTIO_PCI_COMMON_Q_SIZE);
}

/* Ties a queue to a vector; the device answers NO_VECTOR if it cannot (§4.1.5.1.2). */
static bool vector_assign(struct vpci_device *dev, uint16_t vector)
{
    volatile char *c = dev->common.base;
    mmio_write16(c + VIRTIO_PCI_COMMON_Q_MSIX, vector);
    return mmio_read16(c + VIRTIO_PCI_COMMON_Q_MSIX) == vector;
}

int vpci_queue_route(struct vpci_device *dev, struct virtq *vq,
                     bool (*assign)(struct vpci_device *dev, uint16_t vector))
{
    uint16_t vector = (uint16_t)(vq->index + 1);
    if (!dev->pci.msix || !vq->done)
        return 0;
    /* The vector outlives a reset of the device, its place in the queue does not. */
    bool routed = vq->own_vector || (vector < dev->pci.msix_count &&
                                     !pci_msix_route(&dev->pci, vector, virtio_queue_irq,
                                                     &dev->vdev.queue[vq->index], dev->vdev.name));
    vq->own_vector = routed && assign(dev, vector);
    return vq->own_vector || assign(dev, 0) ? 0 : -EIO;
}

static void write_address(volatile char *low, const void *p)
{
    paddr_t pa = virt_to_phys(p);
    mmio_write32(low, (uint32_t)pa);
    mmio_write32(low + 4, (uint32_t)(pa >> 32));
}

static int vpci_queue_enable(struct virtio_device *vdev, struct virtq *vq)
{
    struct vpci_device *dev = vpci(vdev);
    volatile char *c = dev->common.base;
    mmio_write16(c + VIRTIO_PCI_COMMON_Q_SELECT, vq->index);
    uint64_t at = (uint64_t)mmio_read16(c + VIRTIO_PCI_COMMON_Q_NOFF) * dev->notify_multiplier;
    if (at + 2 > dev->notify.size)
        return -EINVAL;
    vq->doorbell = dev->notify.base + at;
    int err = vpci_queue_route(dev, vq, vector_assign);
    if (err)
        return err;
    mmio_write16(c + VIRTIO_PCI_COMMON_Q_SIZE, (uint16_t)vq->ring.num);
    write_address(c + VIRTIO_PCI_COMMON_Q_DESCLO, vq->ring.desc);
    write_address(c + VIRTIO_PCI_COMMON_Q_AVAILLO, vq->ring.avail);
    write_address(c + VIRTIO_PCI_COMMON_Q_USEDLO, vq->ring.used);
    mmio_write16(c + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    return 0;
}

static void vpci_notify(struct virtio_device *vdev, struct virtq *vq)
{
    (void)vdev;
    mmio_write16(vq->doorbell, vq->index);
}

static void vpci_config_irq_enable(struct virtio_device *vdev)
{
    if (vpci(vdev)->pci.msix)
        mmio_write16(vpci(vdev)->common.base + VIRTIO_PCI_COMMON_MSIX, 0);
}

static const struct virtio_transport vpci_transport = {
    .status = vpci_status,
    .set_status = vpci_set_status,
    .features = vpci_features,
    .set_features = vpci_set_features,
    .config = vpci_config,
    .generation = vpci_generation,
    .queue_size = vpci_queue_size,
    .queue_enable = vpci_queue_enable,
    .notify = vpci_notify,
    .config_irq_enable = vpci_config_irq_enable,
};

static void vpci_vector0_irq(void *arg)
{
    struct vpci_device *dev = arg;
    virtio_shared_irq(&dev->vdev);
    dev->changes++;
    virtio_config_irq(&dev->vdev);
}

/* INTx: reading the ISR byte acknowledges (§4.1.4.5). */
static void vpci_intx_irq(void *arg)
{
    struct vpci_device *dev = arg;
    uint8_t why = dev->port ? vpci_legacy_why(dev) : mmio_read8(dev->isr.base);
    if (why & 1)
        virtio_shared_irq(&dev->vdev);
    if (why & VIRTIO_PCI_ISR_CONFIG) {
        dev->changes++;
        virtio_config_irq(&dev->vdev);
    }
}

static void region_map(struct vpci_device *dev, unsigned cap, struct vpci_region *r, size_t max)
{
    uint32_t offset = pci_read32(&dev->pci, cap + VIRTIO_PCI_CAP_OFFSET);
    uint32_t size = pci_read32(&dev->pci, cap + VIRTIO_PCI_CAP_LENGTH);
    size = (uint32_t)MIN(size, max);
    if (r->base ||
        pci_map(&dev->pci, pci_read8(&dev->pci, cap + VIRTIO_PCI_CAP_BAR), offset, size, &r->base))
        return; /* the first usable capability of a type counts (§4.1.4.1) */
    r->size = size;
}

/* Finds and maps the structures; false if a required one is missing. */
static bool regions_find(struct vpci_device *dev)
{
    unsigned cap = 0;
    for (unsigned i = 0; i < CAPS_MAX; i++) {
        cap = pci_capability(&dev->pci, PCI_CAP_ID_VNDR, cap);
        if (!cap)
            break;
        switch (pci_read8(&dev->pci, cap + VIRTIO_PCI_CAP_CFG_TYPE)) {
        case VIRTIO_PCI_CAP_COMMON_CFG:
            region_map(dev, cap, &dev->common, PAGE_SIZE);
            break;
        case VIRTIO_PCI_CAP_NOTIFY_CFG:
            region_map(dev, cap, &dev->notify, 64 * PAGE_SIZE);
            dev->notify_multiplier = pci_read32(&dev->pci, cap + VIRTIO_PCI_NOTIFY_CAP_MULT);
            break;
        case VIRTIO_PCI_CAP_ISR_CFG:
            region_map(dev, cap, &dev->isr, PAGE_SIZE);
            break;
        case VIRTIO_PCI_CAP_DEVICE_CFG:
            region_map(dev, cap, &dev->config, PAGE_SIZE);
            break;
        }
    }
    return dev->common.size >= VIRTIO_PCI_COMMON_Q_USEDHI + 4 && dev->notify.base && dev->isr.base;
}

static int interrupts_setup(struct vpci_device *dev)
{
    int err = pci_msix_enable(&dev->pci);
    return err ? pci_intx_route(&dev->pci, vpci_intx_irq, dev, dev->vdev.name)
               : pci_msix_route(&dev->pci, 0, vpci_vector0_irq, dev, dev->vdev.name);
}

static int vpci_device_add(const struct pci_device *pci, uint32_t id)
{
    struct vpci_device *dev = kzalloc(sizeof *dev);
    if (!dev)
        return -ENOMEM;
    dev->pci = *pci;
    dev->vdev.transport = &vpci_transport;
    dev->vdev.id = id;
    snprintf(dev->vdev.name, sizeof dev->vdev.name, "pci@%02x:%02x.%x", pci->bus, pci->slot,
             pci->function);
    pci_enable(pci);
    if (!regions_find(dev) && !vpci_legacy_find(dev)) {
        log_error("%s: virtio device without an interface that we know", dev->vdev.name);
        kfree(dev);
        return -ENOTSUP;
    }
    int err = interrupts_setup(dev);
    if (err) {
        log_error("%s: no interrupt: error %d", dev->vdev.name, -err);
        kfree(dev);
        return err;
    }
    return virtio_device_add(&dev->vdev); /* the interrupts keep `dev` for good */
}

bool virtio_pci_probe(const struct pci_device *pci)
{
    if (pci->vendor != VENDOR_VIRTIO || pci->device < DEVICE_LEGACY_MIN ||
        pci->device > DEVICE_MODERN_MAX)
        return false;
    vpci_device_add(pci, pci->device >= DEVICE_MODERN_BASE ? pci->device - DEVICE_MODERN_BASE
                                                           : pci_read16(pci, PCI_SUBSYSTEM_ID));
    return true;
}
