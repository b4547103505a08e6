/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 routes: see route.h. No state of its own: lwIP's interfaces are the table. */
#include "net/route.h"

#include "lwip/ip4_addr.h"
#include "net/lwip/hooks.h"

static bool has_address(const struct netif *netif)
{
    return netif_is_up(netif) && !ip4_addr_isany_val(*netif_ip4_addr(netif));
}

bool route_is_default(const struct netif *netif)
{
    return netif->flags & NETIF_FLAG_ETHERNET && has_address(netif) &&
           !ip4_addr_isany_val(*netif_ip4_gw(netif));
}

unsigned route_metric(const struct netif *netif)
{
    unsigned before = 0;
    for (unsigned i = 1; i < netif_get_index(netif); i++) {
        const struct netif *other = netif_get_by_index((u8_t)i);
        before += other && route_is_default(other);
    }
    return before;
}

/*
 * What lwIP asks when no interface that is connected leads to `dest`. One without a cable is an
 * answer, too: what is sent gets lost, and connections wait for the cable instead of failing.
 */
struct netif *net_ip4_route(const ip4_addr_t *dest)
{
    struct netif *first = NULL, *n;
    if (ip4_addr_isloopback(dest))
        return NULL;
    for (unsigned i = 1; (n = netif_get_by_index((u8_t)i)) != NULL; i++) {
        if (has_address(n) && ip4_addr_net_eq(dest, netif_ip4_addr(n), netif_ip4_netmask(n)))
            return n;
        if (route_is_default(n) && (!first || (!netif_is_link_up(first) && netif_is_link_up(n))))
            first = n;
    }
    return first;
}
