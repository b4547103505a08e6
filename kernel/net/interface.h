/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces and their addresses: from the manifest or by DHCP; lo is always there. */
#pragma once

#include "core/manifest.h"
#include "net/stack.h"

/* Before the stack starts; the list must stay. */
void interface_configure(const struct manifest_list *list);
/* Brings up every device. Under the stack lock, once. */
void interface_start(void);
/* Once a second. */
void interface_tick(void);

struct netif;
struct seq;
struct ip_addr;

#define NAME_SERVERS 3

/* Tells the network where its addresses are (ARP, neighbour advertisements) and its groups. */
void interface_announce(struct netif *netif);

/* Sleeps while DHCP is at work, till `deadline`; true: it has come to an end. The stack runs. */
bool interface_wait(uint64_t deadline);
/* Those in use, in order, at most NAME_SERVERS; how many. Under the stack lock. */
unsigned interface_name_servers(struct ip_addr *to);
/* /proc/net/pnp: the name servers of the lease or the manifest, as resolv.conf(5) has them; waits
 * for a lease. */
int interface_pnp_text(struct seq *s);

#define INTERFACE_NAME 16 /* IFNAMSIZ */
/* What programs call an interface: "lo", "eth0". */
void interface_name(unsigned index, char name[INTERFACE_NAME]); /* "" if there is none */
unsigned interface_flags(const struct netif *netif);            /* IFF_* */
unsigned interface_mtu(const struct netif *netif);
unsigned interface_bits(const struct netif *netif);      /* of the IPv4 netmask */
uint32_t interface_broadcast(const struct netif *netif); /* network order */
unsigned interface_index(const char *name);              /* 0 if there is none */
