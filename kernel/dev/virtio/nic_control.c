/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue of a network device (virtio 1.2 §5.1.6.5): how many queue pairs it
 * shall use, and that its announcements were made. Nobody waits for an answer: it is
 * looked for when the device is polled. Main struct: nic_control.
 */
#include <linux/errno.h>

#include "arch/x86_64/layout.h"
#include "core/log.h"
#include "dev/virtio/nic.h"

#define QUEUE_SIZE 4 /* the pieces of a command */

unsigned nic_pairs_offered(struct virtio_device *vdev)
{
    const unsigned at = offsetof(struct virtio_net_config, max_virtqueue_pairs);
    return virtio_has(vdev, VIRTIO_NET_F_MQ) ? MAX(virtio_config_u16(vdev, at), 1) : 1;
}

int nic_control_create(struct nic *nic, void (*done)(struct virtq *vq))
{
    if (!virtio_has(nic->vdev, VIRTIO_NET_F_CTRL_VQ))
        return 0;
    unsigned most = nic_pairs_offered(nic->vdev);
    if (2 * most >= VIRTIO_QUEUES_MAX) /* beyond our table: one pair, as it begins */
        return 0;
    return virtio_queue_create(nic->vdev, 2 * most, QUEUE_SIZE, done, nic, &nic->control.vq);
}

static int command_send(struct nic *nic, uint8_t class, uint8_t command, uint32_t data)
{
    struct nic_control *c = &nic->control;
    if (!c->vq || c->asked)
        return c->vq ? -EAGAIN : -ENODEV;
    c->command.head = (struct virtio_net_ctrl_hdr){class, command};
    c->command.ack = VIRTIO_NET_ERR;
    struct virtq_seg seg[3] = {{virt_to_phys(&c->command.head), sizeof c->command.head}};
    unsigned out = 1;
    if (data)
        seg[out++] = (struct virtq_seg){virt_to_phys(&c->command.pairs), data};
    seg[out] = (struct virtq_seg){virt_to_phys(&c->command.ack), sizeof c->command.ack};
    int err = virtq_add(c->vq, seg, out, 1, c);
    if (err)
        return err;
    c->asked = true;
    virtio_kick(c->vq);
    return 0;
}

void nic_control_begin(struct nic *nic)
{
    nic->control.asked = false;
    nic->pairs = 1; /* §5.1.5: until the command was answered */
    nic->control.command.pairs = (uint16_t)nic->pair_count;
    if (nic->pair_count > 1)
        command_send(nic, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                     sizeof nic->control.command.pairs);
}

static void answered(struct nic *nic)
{
    const struct nic_control *c = &nic->control;
    if (c->command.head.class != VIRTIO_NET_CTRL_MQ)
        return;
    if (c->command.ack == VIRTIO_NET_OK) {
        nic->pairs = nic->pair_count;
        log_info("%s: %u queue pairs", nic->dev.name, nic->pairs);
    } else {
        log_error("%s: the device refuses %u queue pairs", nic->dev.name, nic->pair_count);
    }
}

void nic_control_poll(struct nic *nic)
{
    struct nic_control *c = &nic->control;
    uint32_t written;
    if (!c->asked)
        return;
    while (virtq_pop(c->vq, &written) || virtq_irq_enable(c->vq)) {
        if (!c->asked)
            continue;
        c->asked = false;
        answered(nic);
    }
    if (c->vq->broken)
        virtio_break(nic->vdev);
}

int nic_control_announced(struct nic *nic)
{
    return command_send(nic, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0);
}
