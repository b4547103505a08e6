/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What paths take, by IPv4 destination, as routers have said of segments of ours (RFC 1191). New
 * connections begin with it. lwIP keeps the same for IPv6 (nd6.c). Under the stack lock.
 */
#pragma once

#include "lwip/ip4_addr.h"

/* Packets of that many bytes go through; for ten minutes, unless less is learnt. */
void path_mtu_learn(const ip4_addr_t *to, unsigned mtu);
/* `otherwise` where nothing is known, or nothing that is less. */
unsigned path_mtu_of(const ip4_addr_t *to, unsigned otherwise);
