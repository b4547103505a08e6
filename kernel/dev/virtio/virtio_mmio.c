/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over memory-mapped registers (virtio 1.2 §4.2, version 2). The devices
 * stand on the kernel's command line as `virtio_mmio.device=SIZE@ADDRESS:IRQ`;
 * slots without a device have id 0. One level-triggered interrupt a device.
 * Main struct: mmio_device; no lock (see virtio.h).
 */
#include <errno.h>
#include <linux/virtio_mmio.h>

#include "arch/x86_64/boot.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "core/log.h"
#include "dev/virtio/virtio.h"
#include "lib/fmt.h"
#include "mem/kmalloc.h"

#define MMIO_MAGIC   0x74726976 /* "virt" */
#define MMIO_DEVICES 32         /* command-line entries looked at */
#define MMIO_SIZE    0x200

struct mmio_device {
    struct virtio_device vdev;
    volatile char *regs;
};

static uint32_t reg_read(struct virtio_device *vdev, unsigned reg)
{
    return mmio_read32(CONTAINER_OF(vdev, struct mmio_device, vdev)->regs + reg);
}

static void reg_write(struct virtio_device *vdev, unsigned reg, uint32_t v)
{
    mmio_write32(CONTAINER_OF(vdev, struct mmio_device, vdev)->regs + reg, v);
}

static uint8_t mmio_status(struct virtio_device *vdev)
{
    return (uint8_t)reg_read(vdev, VIRTIO_MMIO_STATUS);
}

static void mmio_set_status(struct virtio_device *vdev, uint8_t status)
{
    reg_write(vdev, VIRTIO_MMIO_STATUS, status);
}

static uint64_t mmio_features(struct virtio_device *vdev)
{
    reg_write(vdev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    uint64_t high = reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES);
    reg_write(vdev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return high << 32 | reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES);
}

static void mmio_set_features(struct virtio_device *vdev, uint64_t features)
{
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
}

static uint32_t mmio_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    struct mmio_device *dev = CONTAINER_OF(vdev, struct mmio_device, vdev);
    if (offset + size > MMIO_SIZE - VIRTIO_MMIO_CONFIG)
        return 0;
    return virtio_config_mapped(dev->regs + VIRTIO_MMIO_CONFIG + offset, size);
}

static uint32_t mmio_generation(struct virtio_device *vdev)
{
    return reg_read(vdev, VIRTIO_MMIO_CONFIG_GENERATION);
}

static unsigned mmio_queue_size(struct virtio_device *vdev, unsigned index)
{
    reg_write(vdev, VIRTIO_MMIO_QUEUE_SEL, index);
    return reg_read(vdev, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static void reg_write_address(struct virtio_device *vdev, unsigned reg_low, const void *p)
{
    paddr_t pa = virt_to_phys(p);
    reg_write(vdev, reg_low, (uint32_t)pa);
    reg_write(vdev, reg_low + 4, (uint32_t)(pa >> 32));
}

static int mmio_queue_enable(struct virtio_device *vdev, struct virtq *vq)
{
    struct mmio_device *dev = CONTAINER_OF(vdev, struct mmio_device, vdev);
    reg_write(vdev, VIRTIO_MMIO_QUEUE_SEL, vq->index);
    reg_write(vdev, VIRTIO_MMIO_QUEUE_NUM, vq->ring.num);
    reg_write_address(vdev, VIRTIO_MMIO_QUEUE_DESC_LOW, vq->ring.desc);
    reg_write_address(vdev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, vq->ring.avail);
    reg_write_address(vdev, VIRTIO_MMIO_QUEUE_USED_LOW, vq->ring.used);
    reg_write(vdev, VIRTIO_MMIO_QUEUE_READY, 1);
    vq->doorbell = dev->regs + VIRTIO_MMIO_QUEUE_NOTIFY;
    return 0;
}

static void mmio_notify(struct virtio_device *vdev, struct virtq *vq)
{
    (void)vdev;
    mmio_write32(vq->doorbell, vq->index);
}

static const struct virtio_transport mmio_transport = {
    .status = mmio_status,
    .set_status = mmio_set_status,
    .features = mmio_features,
    .set_features = mmio_set_features,
    .config = mmio_config,
    .generation = mmio_generation,
    .queue_size = mmio_queue_size,
    .queue_enable = mmio_queue_enable,
    .notify = mmio_notify,
};

static void mmio_irq(void *arg)
{
    struct mmio_device *dev = arg;
    uint32_t why = reg_read(&dev->vdev, VIRTIO_MMIO_INTERRUPT_STATUS);
    reg_write(&dev->vdev, VIRTIO_MMIO_INTERRUPT_ACK, why);
    if (why & VIRTIO_MMIO_INT_VRING)
        virtio_shared_irq(&dev->vdev);
    if (why & VIRTIO_MMIO_INT_CONFIG)
        virtio_config_irq(&dev->vdev);
}

static int mmio_device_add(paddr_t address, unsigned irq)
{
    volatile char *regs = paging_map_device(address, MMIO_SIZE);
    if (!regs)
        return -ENOMEM;
    uint32_t id = mmio_read32(regs + VIRTIO_MMIO_DEVICE_ID);
    if (!id)
        return 0; /* an empty slot (§4.2.2.2) */
    if (mmio_read32(regs + VIRTIO_MMIO_MAGIC_VALUE) != MMIO_MAGIC)
        return -ENODEV;
    if (mmio_read32(regs + VIRTIO_MMIO_VERSION) != 2) {
        log_error("virtio-mmio at %#llx: a legacy device; QEMU needs "
                  "-global virtio-mmio.force-legacy=false",
                  (unsigned long long)address);
        return -ENOTSUP;
    }
    struct mmio_device *dev = kzalloc(sizeof *dev);
    if (!dev)
        return -ENOMEM;
    dev->regs = regs;
    dev->vdev.transport = &mmio_transport;
    dev->vdev.id = id;
    snprintf(dev->vdev.name, sizeof dev->vdev.name, "mmio@%llx", (unsigned long long)address);
    int err = irq_register(irq, true, false, mmio_irq, dev, dev->vdev.name);
    if (err) {
        log_error("%s: no interrupt %u: error %d", dev->vdev.name, irq, -err);
        kfree(dev);
        return err;
    }
    return virtio_device_add(&dev->vdev); /* the interrupt keeps `dev` for good */
}

/* A number in C notation at *s, which moves behind it; false if there is none. */
static bool number_parse(const char **s, uint64_t *out)
{
    const char *p = *s;
    unsigned base = 10;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    const char *first = p;
    uint64_t v = 0;
    for (;; p++) {
        unsigned c = (unsigned char)*p, digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        else
            break;
        if (digit >= base || v > (UINT64_MAX - digit) / base)
            return false;
        v = v * base + digit;
    }
    *s = p;
    *out = v;
    return p != first;
}

/* SIZE@ADDRESS:IRQ, where SIZE may end in K; an id after the irq is ignored. */
static int entry_parse(const char *s, uint64_t *address, uint64_t *irq)
{
    uint64_t size;
    if (!number_parse(&s, &size))
        return -EINVAL;
    if (*s == 'K' || *s == 'k') {
        size <<= 10;
        s++;
    }
    if (*s++ != '@' || !number_parse(&s, address) || *s++ != ':' || !number_parse(&s, irq))
        return -EINVAL;
    return size < MMIO_SIZE || (*s && *s != ':') ? -EINVAL : 0;
}

void virtio_mmio_probe_all(void)
{
    char text[64];
    for (unsigned i = 0; i < MMIO_DEVICES; i++) {
        uint64_t address, irq;
        if (!boot_option_nth("virtio_mmio.device", i, text, sizeof text))
            break;
        if (entry_parse(text, &address, &irq) || irq > 255)
            log_error("virtio_mmio.device=%s: expected SIZE@ADDRESS:IRQ", text);
        else
            mmio_device_add(address, (unsigned)irq);
    }
}
