/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 routes: see route.h. The table is lwIP's interfaces, and what leases say besides. */
#include "net/route.h"

#include "lib/types.h"
#include "lwip/etharp.h"
#include "lwip/ip4_addr.h"
#include "net/lwip/hooks.h"

static struct lease_route leased[LEASE_ROUTES];

u32_t route_mask(unsigned bits)
{
    return bits ? lwip_htonl(~0u << (32 - bits)) : 0;
}

static bool is_leased(const struct netif *netif)
{
    for (unsigned i = 0; i < LEASE_ROUTES; i++)
        if (leased[i].index == netif_get_index(netif))
            return true;
    return false;
}

void route_lease_set(const struct netif *netif, const struct lease_route *list, unsigned count)
{
    unsigned index = netif_get_index(netif), n = 0;
    for (unsigned i = 0; i < LEASE_ROUTES; i++) {
        if (leased[i].index == index)
            leased[i].index = 0;
        if (leased[i].index || n == count)
            continue;
        leased[i] = list[n++];
        leased[i].index = (u8_t)index;
    }
}

bool route_lease_default(const struct netif *netif, ip4_addr_t *gateway)
{
    ip4_addr_set_any(gateway);
    for (unsigned i = 0; i < LEASE_ROUTES; i++)
        if (leased[i].index == netif_get_index(netif) && !leased[i].bits)
            ip4_addr_set_u32(gateway, leased[i].gateway);
    return is_leased(netif);
}

const struct lease_route *route_lease_nth(unsigned n)
{
    for (unsigned i = 0; i < LEASE_ROUTES; i++)
        if (leased[i].index && leased[i].bits && !n--)
            return &leased[i];
    return NULL;
}

/* The longest prefix that holds `to`, of one interface or (NULL) of all. */
static const struct lease_route *lease_find(const struct netif *netif, const ip4_addr_t *to)
{
    const struct lease_route *best = NULL;
    for (unsigned i = 0; i < LEASE_ROUTES; i++) {
        const struct lease_route *r = &leased[i];
        if (r->index && r->bits && (!netif || r->index == netif_get_index(netif)) &&
            r->net == (ip4_addr_get_u32(to) & route_mask(r->bits)) &&
            (!best || r->bits > best->bits))
            best = r;
    }
    return best;
}

const ip4_addr_t *route_gateway(const struct netif *netif, const ip4_addr_t *to)
{
    static ip4_addr_t gateway;
    const struct lease_route *r = lease_find(netif, to);
    if (r && !r->gateway)
        return to;
    if (r)
        ip4_addr_set_u32(&gateway, r->gateway);
    else
        gateway = *netif_ip4_gw(netif);
    return ip4_addr_isany_val(gateway) ? NULL : &gateway;
}

err_t route_output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    const ip4_addr_t *gateway =
        ip4_addr_islinklocal(to) &&
                !ip4_addr_net_eq(to, netif_ip4_addr(netif), netif_ip4_netmask(netif))
            ? route_gateway(netif, to)
            : NULL;
    return etharp_output(netif, p, gateway ? gateway : to);
}

/* What lwIP asks for the next hop; one that is asked for itself is on the link. */
const ip4_addr_t *net_ip4_gateway(const struct netif *netif, const ip4_addr_t *to)
{
    for (unsigned i = 0; i < LEASE_ROUTES; i++)
        if (leased[i].index == netif_get_index(netif) && leased[i].gateway == ip4_addr_get_u32(to))
            return to;
    return ip4_addr_eq(to, netif_ip4_gw(netif)) ? to : route_gateway(netif, to);
}

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
    const struct lease_route *r = lease_find(NULL, dest);
    for (unsigned i = 1; (n = netif_get_by_index((u8_t)i)) != NULL; i++) {
        if (has_address(n) && ip4_addr_net_eq(dest, netif_ip4_addr(n), netif_ip4_netmask(n)))
            return n;
        if (r && r->index == i && has_address(n))
            return n;
        if (route_is_default(n) && (!first || (!netif_is_link_up(first) && netif_is_link_up(n))))
            first = n;
    }
    return first;
}
