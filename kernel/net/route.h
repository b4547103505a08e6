/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 routes beyond what lwIP finds by itself, as Linux has them: each interface leads to
 * its network, also while its cable is out, and the default route is the first interface's
 * that has a gateway. Under the stack lock.
 */
#pragma once

#include "lwip/netif.h"

/* The interface has a gateway, so it is a default route. */
bool route_is_default(const struct netif *netif);
/* Its metric: the smaller are tried first. */
unsigned route_metric(const struct netif *netif);
