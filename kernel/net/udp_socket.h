/* SPDX-License-Identifier: Apache-2.0 */
/* SOCK_DGRAM sockets of the Internet families: udp(7). */
#pragma once

#include "lwip/ip_addr.h"
#include "net/socket.h"

/* AF_INET or AF_INET6; flags: O_NONBLOCK. -ENOMEM. */
int udp_create(int family, uint32_t flags, struct file **out);
struct inet_view;
/* Calls fn for every socket with an address. Under the stack lock. */
void udp_each(void (*fn)(void *arg, const struct inet_view *v), void *arg);
struct network_error;
/* The network says that a datagram did not arrive: its sender is told. Under the stack lock. */
void udp_network_error(const struct network_error *e);
