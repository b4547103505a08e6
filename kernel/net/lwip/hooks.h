/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP calls at its hooks. */
#pragma once

#include "lwip/ip_addr.h"

struct netif;
struct pbuf;

/* Each IP packet before lwIP looks at it (net/icmp_error.c); 0: go on. */
int net_ip4_input(struct pbuf *p, struct netif *netif);
int net_ip6_input(struct pbuf *p, struct netif *netif);
/* Where to send what no connected interface's network holds (net/route.c); NULL: lwIP knows. */
struct netif *net_ip4_route(const ip4_addr_t *dest);
/* Whom to hand a packet to that is not on the interface's network (net/route.c); NULL: unknown. */
const ip4_addr_t *net_ip4_gateway(const struct netif *netif, const ip4_addr_t *to);
/* An option of a DHCP message that lwIP does not know (net/dhcp_options.c). */
struct dhcp_msg;
void net_dhcp_option(struct netif *netif, const struct dhcp_msg *msg, u8_t type, u8_t option,
                     u8_t len, struct pbuf *p, u16_t offset);
/* Initial sequence number: a keyed hash of the addresses and the clock (RFC 6528). */
u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port);
/* The router that the manifest names for IPv6 (net/interface.c); NULL: those that advertise. */
const ip6_addr_t *net_ip6_gateway(const struct netif *netif);
