/* SPDX-License-Identifier: Apache-2.0 */
/* SOCK_STREAM sockets of the Internet families: tcp(7). */
#pragma once

#include "net/socket.h"

/* AF_INET or AF_INET6; flags: O_NONBLOCK. -ENOMEM. */
int tcp_create(int family, uint32_t flags, struct file **out);
/* Set by proc/: the program listens on a port. NULL: nobody cares. Under the stack lock. */
extern void (*tcp_listening)(uint16_t port);
