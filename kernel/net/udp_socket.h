/* SPDX-License-Identifier: Apache-2.0 */
/* SOCK_DGRAM sockets of the Internet families: udp(7). */
#pragma once

#include "net/socket.h"

/* AF_INET or AF_INET6; flags: O_NONBLOCK. -ENOMEM. */
int udp_create(int family, uint32_t flags, struct file **out);
