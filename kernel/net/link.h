/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between lwIP's interfaces and the network devices: frames become pbufs without a
 * copy, pbufs frames; checksums and TCP segmentation go to the device where it can.
 * Everything under the stack lock.
 */
#pragma once

#include "lwip/netif.h"
#include "net/stack.h"

struct netdev;

/* An interface for the device, up but without addresses. NULL: no memory. */
struct netif *link_add(struct netdev *dev);
struct netdev *link_device(const struct netif *netif); /* NULL: the loopback */
/* The network takes packets of so many bytes; the device may take fewer. */
void link_set_mtu(struct netif *netif, u16_t mtu);
bool link_any(void);
/* Receives a batch; true if there is more. */
bool link_poll(void);
/* Have the devices taken every frame? Gives back what they took. */
bool link_sent_all(void);
/* Delivers what programs sent to themselves. */
void link_loop(void);
/* Frames that the devices have but were not told of, and their bytes. */
struct link_unkicked {
    unsigned frames;
    size_t bytes;
};
struct link_unkicked link_unkicked(void);
/* Tells them. */
void link_kick(void);

/*
 * Memory that a frame in flight may still point to: `fn` frees it when every frame
 * sent so far is out.
 */
struct link_grave {
    struct link_grave *next;
    void (*fn)(struct link_grave *g);
};
void link_bury(struct link_grave *g, void (*fn)(struct link_grave *g));

/* May frames to that address have data in memory that changes on its way? The device gathers it
 * and computes the sum. */
bool link_gathers(const ip_addr_t *from, const ip_addr_t *to);

/*
 * For the TCP sender: as many times the real segment size as one frame may hold,
 * for a connection through this interface; 1 without segmentation offload.
 */
unsigned link_segments(const struct netif *netif, bool v6, unsigned mss);
