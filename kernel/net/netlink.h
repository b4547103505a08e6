/* SPDX-License-Identifier: Apache-2.0 */
/* AF_NETLINK sockets, NETLINK_ROUTE only: netlink(7), rtnetlink(7). */
#pragma once

#include "net/socket.h"

/* -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
int netlink_create(int type, int protocol, uint32_t flags, struct file **out);

/* What a socket is going to receive, while it is made: messages in datagrams. */
struct netlink_answer {
    struct list *datagrams;   /* struct netlink_datagram */
    uint32_t port, sequence;  /* of whom it answers */
    uint16_t flags;           /* NLM_F_MULTI in dumps */
    struct nlmsghdr *message; /* open: in the last datagram */
    int err;                  /* -ENOMEM once memory was out; later calls do nothing */
};

/* A message with a fixed part of `size` bytes; NULL after an error. */
void *netlink_message(struct netlink_answer *a, unsigned type, size_t size);
void netlink_attribute(struct netlink_answer *a, unsigned type, const void *data, size_t len);
static inline void netlink_attribute_u32(struct netlink_answer *a, unsigned type, uint32_t v)
{
    netlink_attribute(a, type, &v, sizeof v);
}

struct nlmsghdr;
/*
 * Answers a request of `len` bytes (netlink_route.c). 0 or -errno, which the asker is
 * told. *dump: a list was asked for, and its end has to be told.
 */
int netlink_route_request(const struct nlmsghdr *request, struct netlink_answer *a, bool *dump);

#define NETLINK_LINK      1u /* RTMGRP_* */
#define NETLINK_ADDRESSES (0x10u | 0x100u)

/* What an interface's members of these multicast groups hear of has changed. Stack lock. */
void netlink_changed(unsigned device, uint32_t groups);
/* netlink_route.c: the interface as it is now, as news for the groups. */
void netlink_route_news(struct netlink_answer *a, unsigned device, uint32_t groups);
