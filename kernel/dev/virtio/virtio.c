/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio device life: negotiation by the steps of virtio 1.2 §3.1.1, the driver
 * table, queues. Main struct: virtio_device; no lock (see the header).
 */
#include "dev/virtio/virtio.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "core/log.h"

#define RESET_POLLS 100000

static const struct virtio_driver *const drivers[] = {
    &virtio_9p_driver,  &virtio_balloon_driver, &virtio_blk_driver,  &virtio_console_driver,
    &virtio_net_driver, &virtio_rng_driver,     &virtio_scsi_driver,
};

#define RING_FEATURES                                                                              \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |                                \
     1ull << VIRTIO_RING_F_INDIRECT_DESC)

static const struct virtio_driver *driver_find(uint32_t id)
{
    for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
        if (drivers[i]->id == id)
            return drivers[i];
    return NULL;
}

static void status_add(struct virtio_device *vdev, uint8_t bits)
{
    vdev->status |= bits;
    vdev->transport->set_status(vdev, vdev->status);
}

/* Writes 0 and waits until the device says it is reset (§4.1.4.3.2). */
static int device_reset(struct virtio_device *vdev)
{
    vdev->status = 0;
    vdev->transport->set_status(vdev, 0);
    for (unsigned i = 0; i < RESET_POLLS; i++)
        if (vdev->transport->status(vdev) == 0)
            return 0;
    return -EIO;
}

/* Steps 5 and 6: the device agrees to what was chosen. */
static int features_settle(struct virtio_device *vdev)
{
    vdev->transport->set_features(vdev, vdev->features);
    if (vdev->legacy) /* there was no such step (§3.1.2) */
        return 0;
    status_add(vdev, VIRTIO_CONFIG_S_FEATURES_OK);
    if (vdev->transport->status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK)
        return 0;
    log_error("%s: the device refuses features %#llx", vdev->name,
              (unsigned long long)vdev->features);
    return -ENOTSUP;
}

/* Steps 4 to 6: the subset of features both sides know. */
static int features_negotiate(struct virtio_device *vdev, const struct virtio_driver *drv)
{
    vdev->features = vdev->transport->features(vdev) & (drv->features | RING_FEATURES);
    if (drv->accept)
        vdev->features = drv->accept(vdev->features);
    if (!virtio_has(vdev, VIRTIO_F_VERSION_1) && !vdev->legacy) {
        log_error("%s: a legacy virtio device (no VIRTIO_F_VERSION_1) is not supported here",
                  vdev->name);
        return -ENOTSUP;
    }
    return features_settle(vdev);
}

static void queues_destroy(struct virtio_device *vdev)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtq *vq = vdev->queue[i];
        vdev->queue[i] = NULL;
        virtq_destroy(vq);
    }
}

int virtio_device_add(struct virtio_device *vdev)
{
    const struct virtio_driver *drv = driver_find(vdev->id);
    if (!drv) {
        log_debug("%s: no driver for virtio device %u", vdev->name, vdev->id);
        return -ENODEV;
    }
    int err = device_reset(vdev); /* step 1 */
    if (err)
        goto failed;
    status_add(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE); /* 2 */
    status_add(vdev, VIRTIO_CONFIG_S_DRIVER);      /* 3 */
    err = features_negotiate(vdev, drv);           /* 4..6 */
    vdev->driver = drv;
    if (!err)
        err = drv->probe(vdev); /* 7; the driver does 8 by virtio_ready() */
    if (!err)
        return 0;
    vdev->driver = NULL;
    status_add(vdev, VIRTIO_CONFIG_S_FAILED);
    if (device_reset(vdev) == 0) /* else the device may still write to its queues */
        queues_destroy(vdev);
failed:
    log_error("%s: virtio device %u does not start: error %d", vdev->name, vdev->id, -err);
    return err;
}

int virtio_queue_create(struct virtio_device *vdev, unsigned index, unsigned max_size,
                        void (*done)(struct virtq *vq), void *owner, struct virtq **out)
{
    unsigned size = index < VIRTIO_QUEUES_MAX ? vdev->transport->queue_size(vdev, index) : 0;
    if (!size)
        return -ENOENT;
    if (vdev->legacy && size > VIRTQ_SIZE_MAX)
        return -ENOTSUP; /* its size cannot be changed (§4.1.5.1.3.1) */
    struct virtq *vq = virtq_create(vdev->legacy ? size : MIN(size, max_size), vdev->features);
    if (!vq)
        return -ENOMEM;
    vq->index = (uint16_t)index;
    vq->done = done;
    vq->owner = owner;
    vq->vdev = vdev;
    if (!done)
        virtq_irq_disable(vq);
    int err = vdev->transport->queue_enable(vdev, vq);
    if (err) {
        virtq_destroy(vq);
        return err;
    }
    *out = vdev->queue[index] = vq;
    return 0;
}

void virtio_ready(struct virtio_device *vdev)
{
    if (vdev->driver->config_changed) {
        vdev->generation = vdev->transport->generation(vdev);
        if (vdev->transport->config_irq_enable)
            vdev->transport->config_irq_enable(vdev);
    }
    status_add(vdev, VIRTIO_CONFIG_S_DRIVER_OK);
}

int virtio_restart(struct virtio_device *vdev, void (*taken)(struct virtq *vq, void *token))
{
    int err = device_reset(vdev);
    for (unsigned i = 0; !err && i < VIRTIO_QUEUES_MAX; i++) {
        struct virtq *vq = vdev->queue[i];
        for (void *token; vq && (token = virtq_take(vq)) != NULL;)
            taken(vq, token);
        if (vq)
            virtq_restart(vq);
    }
    if (err)
        return err;
    status_add(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    status_add(vdev, VIRTIO_CONFIG_S_DRIVER);
    err = features_settle(vdev);
    for (unsigned i = 0; !err && i < VIRTIO_QUEUES_MAX; i++)
        if (vdev->queue[i])
            err = vdev->transport->queue_enable(vdev, vdev->queue[i]);
    return err ? -EIO : 0;
}

void virtio_kick(struct virtq *vq)
{
    if (virtq_kick_wanted(vq))
        vq->vdev->transport->notify(vq->vdev, vq);
}

void virtio_break(struct virtio_device *vdev)
{
    if (__atomic_exchange_n(&vdev->broken, true, __ATOMIC_ACQ_REL))
        return;
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
        if (vdev->queue[i])
            vdev->queue[i]->broken = true;
    vdev->transport->set_status(vdev, 0);
    log_error("%s: virtio device %u misbehaves and is not used any more", vdev->name, vdev->id);
    if (vdev->driver && vdev->driver->broken)
        vdev->driver->broken(vdev);
}

void virtio_queue_irq(void *queue_slot)
{
    struct virtq *vq = *(struct virtq **)queue_slot;
    if (vq && vq->done)
        vq->done(vq);
}

void virtio_shared_irq(struct virtio_device *vdev)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        if (vdev->queue[i] && !vdev->queue[i]->own_vector)
            virtio_queue_irq(&vdev->queue[i]);
    }
}

void virtio_config_irq(struct virtio_device *vdev)
{
    if (!vdev->driver || !(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK))
        return;
    if (vdev->driver->needs_reset && vdev->transport->status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
        vdev->driver->needs_reset(vdev);
        return;
    }
    if (!vdev->driver->config_changed)
        return;
    uint32_t now = vdev->transport->generation(vdev);
    if (now == vdev->generation)
        return;
    vdev->generation = now;
    vdev->driver->config_changed(vdev);
}

uint8_t virtio_config_u8(struct virtio_device *vdev, unsigned offset)
{
    return (uint8_t)vdev->transport->config(vdev, offset, 1);
}

uint16_t virtio_config_u16(struct virtio_device *vdev, unsigned offset)
{
    return (uint16_t)vdev->transport->config(vdev, offset, 2);
}

uint32_t virtio_config_u32(struct virtio_device *vdev, unsigned offset)
{
    return vdev->transport->config(vdev, offset, 4);
}

/* Two reads, repeated when the configuration changed between them (§2.5.1). */
uint64_t virtio_config_u64(struct virtio_device *vdev, unsigned offset)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint32_t before = vdev->transport->generation(vdev);
        v = vdev->transport->config(vdev, offset, 4);
        v |= (uint64_t)vdev->transport->config(vdev, offset + 4, 4) << 32;
        if (vdev->transport->generation(vdev) == before)
            break;
    }
    return v;
}

uint32_t virtio_config_mapped(const volatile void *p, unsigned size)
{
    return size == 4 ? mmio_read32(p) : size == 2 ? mmio_read16(p) : mmio_read8(p);
}
