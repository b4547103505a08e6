/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices: Ethernet frames in and out. The driver knows nothing of the
 * stack above; the stack polls it. All calls on one device are serialised by the
 * caller (the stack lock) and are made in thread context; only `wake` comes from
 * the driver by itself, in an interrupt.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct netdev;

/* A piece of a frame to send: memory of the direct map, physically contiguous. */
struct net_piece {
    const void *data;
    uint32_t len;
};

#define NET_PIECES 40 /* most pieces of one frame */

enum net_segmentation { NET_WHOLE, NET_TCP4, NET_TCP6 };

/* What the device shall do to a frame; zeroes: nothing. */
struct net_offload {
    uint16_t checksum_start;  /* where summing begins, to the end; 0: no checksum */
    uint16_t checksum_offset; /* from there: the field, which holds the pseudo header's sum */
    enum net_segmentation segmentation;
    uint16_t segment; /* payload bytes of each segment */
    uint16_t header;  /* bytes of the headers that each segment repeats */
    uint8_t flow;     /* frames with the same one keep their order */
};

#define NET_BUFFER_ROOM 64 /* bytes at `room` for the stack */

/* A received piece: it stands at the end of the page that holds the data. */
struct net_buffer {
    struct net_buffer *next; /* of the same frame; the owner's when free */
    struct netdev *dev;
    uint8_t *data;
    uint32_t len;
    bool checked; /* first piece: the device vouches for the TCP or UDP checksum */
    uint64_t room[NET_BUFFER_ROOM / 8];
};

struct netdev_ops {
    /*
     * Takes the frame until sent() returns its token. -EAGAIN: no room before
     * something was sent, wake comes then; -EMSGSIZE, -EIO (lost for good).
     */
    int (*send)(struct netdev *d, const struct net_piece *piece, unsigned count,
                const struct net_offload *offload, void *token);
    void (*flush)(struct netdev *d); /* tells the device of what was sent since */
    void *(*sent)(struct netdev *d); /* the token of a frame that is out; NULL: none */
    /* The next received frame's first piece, NULL if none; all pieces belong to the caller. */
    struct net_buffer *(*receive)(struct netdev *d);
    void (*release)(struct netdev *d, struct net_buffer *b); /* gives one piece back */
    /* Fills the receive ring and asks for an interrupt. True: frames are there already. */
    bool (*listen)(struct netdev *d);
    /* What `announce` asked for was done; clears it, now or at a later call. */
    void (*announced)(struct netdev *d);
};

struct netdev {
    const struct netdev_ops *ops;
    char name[8]; /* eth0, eth1, ... in order of registration */
    uint8_t mac[6];
    uint16_t mtu;                      /* payload bytes of a frame */
    bool checksum, segment4, segment6; /* what send() can offload */
    unsigned queues;                   /* to send; with one, offload.flow means nothing */
    volatile bool link;                /* a cable is plugged in; wake() when it changes */
    volatile bool announce;            /* the network shall be told where we are; wake() */
    void (*wake)(struct netdev *d);    /* the stack's: look at the device; interrupt context */
    void *stack;                       /* the stack's */
    uint64_t received, received_bytes, sent, sent_bytes, dropped;
    struct list link_all;
};

/* At boot, one at a time; never removed. */
void netdev_register(struct netdev *d);
/* In order of registration, until fn returns non-zero. */
int netdev_for_each(int (*fn)(struct netdev *d, void *arg), void *arg);
