/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 routes beyond what lwIP finds by itself, as Linux has them: each interface leads to
 * its network, also while its cable is out; a lease's routes (RFC 3442) come next, the longest
 * prefix first, and the default route is the first interface's that has a gateway. Under the
 * stack lock.
 */
#pragma once

#include "lwip/netif.h"

#define LEASE_ROUTES 24

/* Network order. */
struct lease_route {
    u32_t net, gateway; /* gateway 0: on the link */
    u8_t bits, index;   /* index: of the interface; 0: the entry is free */
};

/* The interface has a gateway, so it is a default route. */
bool route_is_default(const struct netif *netif);
/* Its metric: the smaller are tried first. */
unsigned route_metric(const struct netif *netif);
u32_t route_mask(unsigned bits);
/* The routes of an interface's lease replace those of the one before. */
void route_lease_set(const struct netif *netif, const struct lease_route *list, unsigned count);
/* A lease with routes names the gateway (any: none) itself; false: it has no routes. */
bool route_lease_default(const struct netif *netif, ip4_addr_t *gateway);
/* The n-th from 0 of all that are no default routes; NULL: there are no more. */
const struct lease_route *route_lease_nth(unsigned n);
/* Whom to hand a packet to, where `to` is not on the interface's own network; NULL: nobody. */
const ip4_addr_t *route_gateway(const struct netif *netif, const ip4_addr_t *to);
struct pbuf;
/* netif->output of a card: lwIP takes link-local addresses to be on the link; clouds do not. */
err_t route_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to);
