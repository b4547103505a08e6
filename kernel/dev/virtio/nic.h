/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio network device, shared between virtio_net.c (frames) and
 * nic_control.c (the control queue). No lock: netdev.h says who serialises.
 */
#pragma once

#include <linux/virtio_net.h>

#include "dev/netdev.h"
#include "dev/virtio/virtio.h"

#define NIC_PAIRS 16  /* most queue pairs */
#define NIC_FLOWS 256 /* values of net_offload.flow */

/* A frame in flight. */
struct nic_slot {
    struct virtio_net_hdr_mrg_rxbuf header; /* the device reads it */
    uint8_t flow;
    void *token;
    struct nic_slot *next; /* free list, or list of the lost */
};

/* Queues that belong together: the device answers on rx what was asked on tx. */
struct nic_pair {
    struct virtq *rx, *tx;
    struct nic_slot *slots, *free;
};

/* Frames of one flow stay on one queue while any is under way, so they keep their order. */
struct nic_flow {
    uint8_t pair;
    uint16_t flying;
};

/* The control queue takes one command at a time. */
struct nic_control {
    struct virtq *vq; /* NULL: none */
    bool asked;       /* a command is under way */
    struct {
        struct virtio_net_ctrl_hdr head;
        uint16_t pairs;
        virtio_net_ctrl_ack ack;
    } command; /* the device's, while it is */
};

struct nic {
    struct netdev dev;
    struct virtio_device *vdev;
    struct nic_pair pair[NIC_PAIRS];
    unsigned pair_count;     /* set up */
    unsigned pairs;          /* that the device uses */
    unsigned turn;           /* the pair that is looked at next */
    unsigned rx_target;      /* buffers to keep in each receive ring */
    unsigned rx_count;       /* in the rings and in the pool */
    struct net_buffer *pool; /* given back, not in a ring yet */
    struct nic_slot *lost;   /* taken from the device by a restart */
    struct nic_flow flow[NIC_FLOWS];
    struct nic_control control;
    volatile bool failed; /* the device wants a reset */
    unsigned restarts;    /* since a frame came through */
    bool merge;
    uint32_t header; /* bytes before a frame: without `merge` an old device has fewer */
};

/* Queue pairs that the device has, 1 at least. */
unsigned nic_pairs_offered(struct virtio_device *vdev);
/* Makes the control queue if the device has one. 0 or -errno. */
int nic_control_create(struct nic *nic, void (*done)(struct virtq *vq));
/* The device works (again): tells it how many pairs there are. */
void nic_control_begin(struct nic *nic);
/* Takes the device's answer if it is there. */
void nic_control_poll(struct nic *nic);
/* Announcements have been made. -EAGAIN: to be told later. */
int nic_control_announced(struct nic *nic);
