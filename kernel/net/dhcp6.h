/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IPv6 address by DHCPv6 (RFC 8415), where a router says that addresses come so (M in its
 * advertisements): one of each interface, renewed, rebound, declined if another machine has it.
 * Under the stack lock.
 */
#pragma once

#include "lwip/netif.h"

#define DHCP6_SERVERS 3

/* Once a second, behind nd6_tmr(), for every Ethernet interface. */
void dhcp6_tick(struct netif *netif);
/* Name servers of the leases; how many. */
unsigned dhcp6_servers(ip_addr_t to[DHCP6_SERVERS]);
