/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP calls at its hooks. */
#pragma once

#include "lwip/ip_addr.h"

struct netif;
struct pbuf;

/* Each IP packet before lwIP looks at it (net/icmp_error.c); 0: go on. */
int net_ip4_input(struct pbuf *p, struct netif *netif);
int net_ip6_input(struct pbuf *p, struct netif *netif);
/* Initial sequence number: a keyed hash of the addresses and the clock (RFC 6528). */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port);
/* The router that the manifest names for IPv6 (net/interface.c); NULL: those that advertise. */
const ip6_addr_t *net_ip6_gateway(const struct netif *netif);
