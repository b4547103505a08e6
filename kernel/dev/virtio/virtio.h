/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices (virtio 1.2 §2, §3): what transports offer and drivers use.
 * A transport finds a device and hands it to virtio_device_add(), which
 * negotiates features and calls the driver for its id. Legacy devices (before
 * 1.0) need a transport that knows them. Devices are found at boot and stay; nothing is locked
 * here: a driver serialises the calls on its own device.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "dev/virtio/virtq.h"

#define VIRTIO_QUEUES_MAX 33 /* network devices: 16 pairs and the control queue */

struct pci_device;
struct virtio_device;
struct virtio_driver;

struct virtio_transport {
    uint8_t (*status)(struct virtio_device *vdev);
    void (*set_status)(struct virtio_device *vdev, uint8_t status); /* 0 resets */
    uint64_t (*features)(struct virtio_device *vdev);
    void (*set_features)(struct virtio_device *vdev, uint64_t features);
    /* One field of device configuration, 1, 2 or 4 bytes, naturally aligned. */
    uint32_t (*config)(struct virtio_device *vdev, unsigned offset, unsigned size);
    uint32_t (*generation)(struct virtio_device *vdev);
    /* Largest size of queue `index`; 0 if there is none. */
    unsigned (*queue_size)(struct virtio_device *vdev, unsigned index);
    /* Tells the device where the queue is and routes its interrupt. */
    int (*queue_enable)(struct virtio_device *vdev, struct virtq *vq);
    void (*notify)(struct virtio_device *vdev, struct virtq *vq);
    /* The driver wants to hear of changes of the configuration. NULL: it does anyway. */
    void (*config_irq_enable)(struct virtio_device *vdev);
};

struct virtio_device {
    const struct virtio_transport *transport;
    char name[24];     /* for log lines: where it is */
    uint32_t id;       /* VIRTIO_ID_* */
    uint64_t features; /* negotiated */
    uint8_t status;    /* as last written */
    bool broken;
    bool legacy;                            /* the transport's: the interface of before 1.0 */
    uint32_t generation;                    /* of the configuration, as the driver knows it */
    struct virtq *queue[VIRTIO_QUEUES_MAX]; /* NULL where not created */
    const struct virtio_driver *driver;
    void *priv; /* the driver's */
};

struct virtio_driver {
    uint32_t id;
    uint64_t features; /* wanted beyond the ring's; the intersection is taken */
    /* What of the offered features makes sense together. NULL: all. */
    uint64_t (*accept)(uint64_t offered);
    /* Creates queues, calls virtio_ready(), starts. 0, or -errno: the device is reset. */
    int (*probe)(struct virtio_device *vdev);
    /* The device was given up by virtio_break(): nothing in flight comes back. May be NULL. */
    void (*broken)(struct virtio_device *vdev);
    /* The device changed its configuration. Interrupt context. May be NULL. */
    void (*config_changed)(struct virtio_device *vdev);
    /* The device stopped and wants virtio_restart(). Interrupt context. May be NULL. */
    void (*needs_reset)(struct virtio_device *vdev);
};

extern const struct virtio_driver virtio_9p_driver, virtio_balloon_driver, virtio_blk_driver,
    virtio_console_driver, virtio_net_driver, virtio_rng_driver, virtio_scsi_driver;

/* Negotiates and probes. 0, -ENODEV: no driver for it, or another -errno (logged). May sleep. */
int virtio_device_add(struct virtio_device *vdev);

static inline bool virtio_has(const struct virtio_device *vdev, unsigned feature)
{
    return vdev->features >> feature & 1;
}

/*
 * Queue `index` with at most `max_size` descriptors. `done` (may be NULL) runs
 * in interrupt context when chains were used. -ENOENT: the device has no such
 * queue. Before virtio_ready().
 */
int virtio_queue_create(struct virtio_device *vdev, unsigned index, unsigned max_size,
                        void (*done)(struct virtq *vq), void *owner, struct virtq **out);
/* All queues are set up: the device may work. */
void virtio_ready(struct virtio_device *vdev);
/*
 * Resets a device that works or wants it, hands each chain in flight to `taken`, and sets up
 * the same features and queues again; virtio_ready() follows. -EIO: it does not come back.
 * With all the driver's locks.
 */
int virtio_restart(struct virtio_device *vdev, void (*taken)(struct virtq *vq, void *token));
/* Tells the device of added chains if it wants to know. */
void virtio_kick(struct virtq *vq);
/*
 * The device wrote nonsense: resets it, marks its queues broken, logs one line
 * and tells the driver; the first call counts. Without the driver's locks.
 */
void virtio_break(struct virtio_device *vdev);

uint8_t virtio_config_u8(struct virtio_device *vdev, unsigned offset);
uint16_t virtio_config_u16(struct virtio_device *vdev, unsigned offset);
uint32_t virtio_config_u32(struct virtio_device *vdev, unsigned offset);
uint64_t virtio_config_u64(struct virtio_device *vdev, unsigned offset);

/*
 * For transports: an interrupt for one queue (the argument is &vdev->queue[i]),
 * or for all that have no vector of their own.
 */
void virtio_queue_irq(void *queue_slot);
void virtio_shared_irq(struct virtio_device *vdev);
/* The configuration may have changed, or the device needs a reset; looks whether it is so. */
void virtio_config_irq(struct virtio_device *vdev);
/* Reads a field of `size` bytes of mapped configuration. */
uint32_t virtio_config_mapped(const volatile void *p, unsigned size);

/* Transports: find their devices and add them. */
void virtio_mmio_probe_all(void);
/* Adds the function if it is a virtio device, else returns false. */
bool virtio_pci_probe(const struct pci_device *pci);
