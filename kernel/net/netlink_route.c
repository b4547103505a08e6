/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to rtnetlink(7) requests: interfaces, addresses, routes, neighbours as
 * lwIP has them. They cannot be changed from here.
 */
#include <linux/errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "dev/netdev.h"
#include "lib/string.h"
#include "lwip/etharp.h"
#include "lwip/ip.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "net/abi.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/link.h"
#include "net/lwip/hooks.h"
#include "net/netlink.h"
#include "net/route.h"

#define GROUP_IP4 0x10u /* RTMGRP_* */
#define GROUP_IP6 0x100u

/* The bytes of an address, and how many. */
static const void *address_bytes(const ip_addr_t *ip, size_t *len)
{
    *len = IP_IS_V6(ip) ? 16 : 4;
    return IP_IS_V6(ip) ? (const void *)ip_2_ip6(ip)->addr : &ip_2_ip4(ip)->addr;
}

static void attribute_address(struct netlink_answer *a, unsigned type, const ip_addr_t *ip)
{
    size_t len;
    const void *bytes = address_bytes(ip, &len);
    netlink_attribute(a, type, bytes, len);
}

static void attribute_text(struct netlink_answer *a, unsigned type, const char *text)
{
    netlink_attribute(a, type, text, strlen(text) + 1);
}

static void link_statistics(struct netlink_answer *a, const struct netdev *d)
{
    struct rtnl_link_stats64 s = {0};
    if (d) {
        s.rx_packets = d->received;
        s.tx_packets = d->sent;
        s.rx_bytes = d->received_bytes;
        s.tx_bytes = d->sent_bytes;
        s.tx_dropped = d->dropped;
    }
    netlink_attribute(a, IFLA_STATS64, &s, sizeof s);
}

static void link_tell(struct netlink_answer *a, const struct netif *netif)
{
    static const uint8_t zero[6], all[6] = {255, 255, 255, 255, 255, 255};
    char name[INTERFACE_NAME];
    const struct netdev *d = link_device(netif);
    const uint8_t state = d ? (netif_is_link_up(netif) ? 6 : 2) : 0; /* IF_OPER_* */
    const uint8_t carrier = netif_is_link_up(netif);
    struct ifinfomsg *m = netlink_message(a, RTM_NEWLINK, sizeof *m);
    if (!m)
        return;
    m->ifi_type = d ? ARPHRD_ETHER : ARPHRD_LOOPBACK;
    m->ifi_index = netif_get_index(netif);
    m->ifi_flags = interface_flags(netif);
    interface_name(netif_get_index(netif), name);
    attribute_text(a, IFLA_IFNAME, name);
    netlink_attribute_u32(a, IFLA_TXQLEN, 1000);
    netlink_attribute(a, IFLA_OPERSTATE, &state, 1);
    netlink_attribute_u32(a, IFLA_MTU, interface_mtu(netif));
    netlink_attribute_u32(a, IFLA_NUM_TX_QUEUES, d ? d->queues : 1);
    netlink_attribute_u32(a, IFLA_NUM_RX_QUEUES, d ? d->queues : 1);
    netlink_attribute(a, IFLA_CARRIER, &carrier, 1);
    netlink_attribute(a, IFLA_ADDRESS, d ? d->mac : zero, 6);
    netlink_attribute(a, IFLA_BROADCAST, d ? all : zero, 6);
    attribute_text(a, IFLA_QDISC, d ? "fq" : "noqueue");
    link_statistics(a, d);
}

static void address_tell(struct netlink_answer *a, const struct netif *netif, const ip_addr_t *ip,
                         unsigned bits, unsigned flags)
{
    char name[INTERFACE_NAME];
    bool v6 = IP_IS_V6(ip);
    struct ifaddrmsg *m = netlink_message(a, RTM_NEWADDR, sizeof *m);
    if (!m)
        return;
    m->ifa_family = v6 ? AF_INET6 : AF_INET;
    m->ifa_prefixlen = (uint8_t)bits;
    m->ifa_flags = (uint8_t)flags;
    m->ifa_index = netif_get_index(netif);
    m->ifa_scope = ip_addr_isloopback(ip)                     ? RT_SCOPE_HOST
                   : v6 && ip6_addr_islinklocal(ip_2_ip6(ip)) ? RT_SCOPE_LINK
                                                              : RT_SCOPE_UNIVERSE;
    attribute_address(a, IFA_ADDRESS, ip);
    if (!v6) {
        attribute_address(a, IFA_LOCAL, ip);
        if (netif->flags & NETIF_FLAG_BROADCAST)
            netlink_attribute_u32(a, IFA_BROADCAST, interface_broadcast(netif));
        interface_name(netif_get_index(netif), name);
        attribute_text(a, IFA_LABEL, name);
    }
    netlink_attribute_u32(a, IFA_FLAGS, flags);
}

static void addresses_tell(struct netlink_answer *a, const struct netif *netif, int family)
{
    const ip4_addr_t *v4 = netif_ip4_addr(netif);
    if (family != AF_INET6 && !ip4_addr_isany(v4)) {
        ip_addr_t ip;
        ip_addr_copy_from_ip4(ip, *v4);
        address_tell(a, netif, &ip, interface_bits(netif), IFA_F_PERMANENT);
    }
    for (s8_t i = 0; family != AF_INET && i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        u8_t state = netif_ip6_addr_state(netif, i);
        if (ip6_addr_isinvalid(state))
            continue;
        bool permanent = netif_ip6_addr_isstatic(netif, i);
        address_tell(a, netif, netif_ip_addr6(netif, i), link_device(netif) ? 64 : 128,
                     (permanent ? IFA_F_PERMANENT : 0) |
                         (ip6_addr_istentative(state) ? IFA_F_TENTATIVE : 0));
    }
}

/* A route: to `to`/bits (NULL: default) by a gateway (NULL: on the link). */
static void route_tell(struct netlink_answer *a, const struct netif *netif, bool v6,
                       const ip_addr_t *to, unsigned bits, const ip_addr_t *gateway,
                       const ip_addr_t *source)
{
    struct rtmsg *m = netlink_message(a, RTM_NEWROUTE, sizeof *m);
    if (!m)
        return;
    m->rtm_family = v6 ? AF_INET6 : AF_INET;
    m->rtm_dst_len = (uint8_t)bits;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = gateway ? RTPROT_BOOT : RTPROT_KERNEL;
    m->rtm_scope = gateway || v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    m->rtm_type = RTN_UNICAST;
    netlink_attribute_u32(a, RTA_TABLE, RT_TABLE_MAIN);
    if (to)
        attribute_address(a, RTA_DST, to);
    if (gateway)
        attribute_address(a, RTA_GATEWAY, gateway);
    if (source)
        attribute_address(a, RTA_PREFSRC, source);
    netlink_attribute_u32(a, RTA_OIF, netif_get_index(netif));
}

static void routes4_tell(struct netlink_answer *a, const struct netif *netif)
{
    if (!link_device(netif) || ip4_addr_isany(netif_ip4_addr(netif)))
        return;
    ip_addr_t net, gateway;
    ip_addr_set_ip4_u32_val(net, ip4_addr_get_u32(netif_ip4_addr(netif)) &
                                     ip4_addr_get_u32(netif_ip4_netmask(netif)));
    ip_addr_copy_from_ip4(gateway, *netif_ip4_gw(netif));
    if (route_is_default(netif)) {
        route_tell(a, netif, false, NULL, 0, &gateway, NULL);
        if (route_metric(netif))
            netlink_attribute_u32(a, RTA_PRIORITY, route_metric(netif));
    }
    route_tell(a, netif, false, &net, interface_bits(netif), NULL, &netif->ip_addr);
    const struct lease_route *r;
    for (unsigned i = 0; (r = route_lease_nth(i)) != NULL; i++) {
        if (r->index != netif_get_index(netif))
            continue;
        ip_addr_set_ip4_u32_val(net, r->net);
        ip_addr_set_ip4_u32_val(gateway, r->gateway);
        route_tell(a, netif, false, &net, r->bits, r->gateway ? &gateway : NULL, NULL);
    }
}

static void routes6_tell(struct netlink_answer *a)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        const ip6_addr_t *gateway = net_ip6_gateway(netif);
        ip_addr_t ip;
        if (!gateway)
            continue;
        ip_addr_copy_from_ip6(ip, *gateway);
        route_tell(a, netif, true, NULL, 0, &ip, NULL);
    }
    for (unsigned i = 0; i < LWIP_ND6_NUM_PREFIXES; i++) {
        const struct nd6_prefix_list_entry *p = &prefix_list[i];
        ip_addr_t ip;
        if (!p->netif || !p->invalidation_timer)
            continue;
        ip_addr_copy_from_ip6(ip, p->prefix);
        route_tell(a, p->netif, true, &ip, 64, NULL, NULL);
    }
    for (unsigned i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
        const struct nd6_router_list_entry *r = &default_router_list[i];
        ip_addr_t ip;
        if (!r->neighbor_entry || !r->invalidation_timer)
            continue;
        ip_addr_copy_from_ip6(ip, r->neighbor_entry->next_hop_address);
        route_tell(a, r->neighbor_entry->netif, true, NULL, 0, &ip, NULL);
    }
}

static void neighbour_tell(struct netlink_answer *a, const struct netif *netif, const ip_addr_t *ip,
                           const void *mac, unsigned state)
{
    struct ndmsg *m = netlink_message(a, RTM_NEWNEIGH, sizeof *m);
    if (!m)
        return;
    m->ndm_family = IP_IS_V6(ip) ? AF_INET6 : AF_INET;
    m->ndm_ifindex = netif_get_index(netif);
    m->ndm_state = (uint16_t)state;
    m->ndm_type = RTN_UNICAST;
    attribute_address(a, NDA_DST, ip);
    netlink_attribute(a, NDA_LLADDR, mac, 6);
}

static void neighbours_tell(struct netlink_answer *a, int family)
{
    for (size_t i = 0; family != AF_INET6 && i < ARP_TABLE_SIZE; i++) {
        ip4_addr_t *v4;
        struct netif *netif;
        struct eth_addr *mac;
        ip_addr_t ip;
        if (!etharp_get_entry(i, &v4, &netif, &mac))
            continue;
        ip_addr_copy_from_ip4(ip, *v4);
        neighbour_tell(a, netif, &ip, mac, NUD_REACHABLE);
    }
    for (unsigned i = 0; family != AF_INET && i < LWIP_ND6_NUM_NEIGHBORS; i++) {
        const struct nd6_neighbor_cache_entry *n = &neighbor_cache[i];
        ip_addr_t ip;
        if (n->state == ND6_NO_ENTRY || n->state == ND6_INCOMPLETE)
            continue;
        ip_addr_copy_from_ip6(ip, n->next_hop_address);
        neighbour_tell(a, n->netif, &ip, n->lladdr,
                       n->state == ND6_REACHABLE ? NUD_REACHABLE : NUD_STALE);
    }
}

/* An attribute of a request whose fixed part has `size` bytes; NULL: none of that type. */
static const void *request_attribute(const struct nlmsghdr *r, size_t size, unsigned type,
                                     size_t *len)
{
    size_t at = NLMSG_SPACE(size);
    while (at + NLA_HDRLEN <= r->nlmsg_len) {
        const struct nlattr *x = (const void *)((const char *)r + at);
        if (x->nla_len < NLA_HDRLEN || at + x->nla_len > r->nlmsg_len)
            return NULL;
        if ((x->nla_type & NLA_TYPE_MASK) == type) {
            *len = x->nla_len - NLA_HDRLEN;
            return (const char *)x + NLA_HDRLEN;
        }
        at += NLA_ALIGN(x->nla_len);
    }
    return NULL;
}

/* ip route get: the way to one address. */
static int route_get(const struct nlmsghdr *r, struct netlink_answer *a)
{
    const struct rtmsg *m = NLMSG_DATA(r);
    ip_addr_t to;
    size_t len;
    if (r->nlmsg_len < NLMSG_SPACE(sizeof *m))
        return -EINVAL;
    bool v6 = m->rtm_family == AF_INET6;
    const void *bytes = request_attribute(r, sizeof *m, RTA_DST, &len);
    if (!bytes || len != (v6 ? 16u : 4u))
        return -EINVAL;
    u32_t words[4];
    memcpy(words, bytes, len);
    if (v6)
        IP_ADDR6(&to, words[0], words[1], words[2], words[3]);
    else
        ip_addr_set_ip4_u32_val(to, words[0]);
    struct netif *netif = ip_route(v6 ? IP6_ADDR_ANY : IP4_ADDR_ANY, &to);
    const ip_addr_t *source = netif ? ip_netif_get_local_ip(netif, &to) : NULL;
    if (!source)
        return -ENETUNREACH;
    ip_addr_t gateway;
    const ip4_addr_t *hop = v6 ? NULL : route_gateway(netif, ip_2_ip4(&to));
    ip_addr_set_ip4_u32_val(gateway, hop ? ip4_addr_get_u32(hop) : 0);
    bool direct = !hop || !link_device(netif) || ip4_addr_eq(hop, ip_2_ip4(&to)) ||
                  ip4_addr_net_eq(ip_2_ip4(&to), netif_ip4_addr(netif), netif_ip4_netmask(netif));
    route_tell(a, netif, v6, &to, v6 ? 128 : 32, direct ? NULL : &gateway, source);
    return 0;
}

/* One interface, by its number or its name. */
static int link_get(const struct nlmsghdr *r, struct netlink_answer *a)
{
    const struct ifinfomsg *m = NLMSG_DATA(r);
    size_t len = 0;
    char name[INTERFACE_NAME] = "";
    if (r->nlmsg_len < NLMSG_SPACE(sizeof *m))
        return -EINVAL;
    unsigned index = m->ifi_index > 0 ? (unsigned)m->ifi_index : 0;
    const char *wanted = request_attribute(r, sizeof *m, IFLA_IFNAME, &len);
    if (!index && wanted) {
        memcpy(name, wanted, MIN(len, sizeof name - 1));
        index = interface_index(name);
    } else if (!index) {
        return -EINVAL;
    }
    const struct netif *netif = index && index < 256 ? netif_get_by_index((u8_t)index) : NULL;
    if (!netif)
        return -ENODEV;
    link_tell(a, netif);
    return 0;
}

static void interfaces_tell(struct netlink_answer *a, unsigned type, int family)
{
    const struct netif *netif;
    for (unsigned i = 1; i < 256 && (netif = netif_get_by_index((u8_t)i)) != NULL; i++) {
        if (type == RTM_GETLINK)
            link_tell(a, netif);
        else if (type == RTM_GETADDR)
            addresses_tell(a, netif, family);
        else if (family != AF_INET6)
            routes4_tell(a, netif);
    }
}

static int request_locked(const struct nlmsghdr *r, struct netlink_answer *a, bool *dump)
{
    unsigned type = r->nlmsg_type;
    int family = r->nlmsg_len > sizeof *r ? *(const uint8_t *)NLMSG_DATA(r) : AF_UNSPEC;
    *dump = (r->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP || (r->nlmsg_flags & NLM_F_ROOT);
    if (type % 4 != 2) /* RTM_NEW*, RTM_DEL*, RTM_SET* */
        return socket_process.privileged() ? -EOPNOTSUPP : -EPERM;
    if (!*dump)
        return type == RTM_GETLINK    ? link_get(r, a)
               : type == RTM_GETROUTE ? route_get(r, a)
                                      : -EOPNOTSUPP;
    a->flags = NLM_F_MULTI;
    switch (type) {
    case RTM_GETLINK:
    case RTM_GETADDR:
        interfaces_tell(a, type, family);
        return 0;
    case RTM_GETROUTE:
        interfaces_tell(a, type, family);
        if (family != AF_INET)
            routes6_tell(a);
        return 0;
    case RTM_GETNEIGH:
        neighbours_tell(a, family);
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

int netlink_route_request(const struct nlmsghdr *request, struct netlink_answer *a, bool *dump)
{
    stack_lock();
    int err = request_locked(request, a, dump);
    stack_unlock();
    return err;
}

void netlink_route_news(struct netlink_answer *a, unsigned device, uint32_t groups)
{
    const struct netif *netif = netif_get_by_index((u8_t)device);
    if (!netif)
        return;
    if (groups & NETLINK_LINK)
        link_tell(a, netif);
    if (groups & GROUP_IP4)
        addresses_tell(a, netif, AF_INET);
    if (groups & GROUP_IP6)
        addresses_tell(a, netif, AF_INET6);
}
