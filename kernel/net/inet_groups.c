/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast groups: who has joined what, and the interface for multicast. lwIP
 * counts the members of a group on an interface; here stands which socket is one.
 */
#include <linux/errno.h>

#include "lib/string.h"
#include "lwip/igmp.h"
#include "lwip/mld6.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/inet_options.h"
#include "vm/uaccess.h"

struct ipv6_request { /* struct ipv6_mreq */
    uint32_t address[4];
    int device;
};

static err_t group_change(struct netif *netif, const ip_addr_t *group, bool join)
{
    /* Everybody is a member of these, for ever. */
    if (IP_IS_V6(group) ? ip6_addr_isallnodes_linklocal(ip_2_ip6(group))
                        : ip4_addr_get_u32(ip_2_ip4(group)) == PP_HTONL(INADDR_ALLHOSTS_GROUP))
        return ERR_OK;
    if (IP_IS_V6(group))
        return join ? mld6_joingroup_netif(netif, ip_2_ip6(group))
                    : mld6_leavegroup_netif(netif, ip_2_ip6(group));
    return join ? igmp_joingroup_netif(netif, ip_2_ip4(group))
                : igmp_leavegroup_netif(netif, ip_2_ip4(group));
}

void inet_options_fini(struct inet_options *o)
{
    while (o->groups) {
        struct inet_group *g = o->groups;
        struct netif *netif = netif_get_by_index((u8_t)g->device);
        if (netif)
            group_change(netif, &g->address, false);
        o->groups = g->next;
        kfree(g);
    }
}

static struct inet_group **group_find(struct inet_options *o, unsigned device, const ip_addr_t *ip)
{
    struct inet_group **p = &o->groups;
    while (*p && ((device && (*p)->device != device) || !ip_addr_eq(&(*p)->address, ip)))
        p = &(*p)->next;
    return p;
}

static int group_join(struct inet_options *o, struct netif *netif, const ip_addr_t *ip)
{
    unsigned device = netif_get_index(netif);
    if (*group_find(o, device, ip))
        return -EADDRINUSE;
    struct inet_group *g = kmalloc(sizeof *g);
    if (!g)
        return -ENOBUFS;
    err_t err = group_change(netif, ip, true);
    if (err != ERR_OK) {
        kfree(g);
        return err == ERR_MEM ? -ENOBUFS : -ENODEV;
    }
    *g = (struct inet_group){o->groups, device, *ip};
    o->groups = g;
    return 0;
}

static int group_leave(struct inet_options *o, unsigned device, const ip_addr_t *ip)
{
    struct inet_group **p = group_find(o, device, ip), *g = *p;
    if (!g)
        return -EADDRNOTAVAIL;
    struct netif *netif = netif_get_by_index((u8_t)g->device);
    if (netif)
        group_change(netif, ip, false);
    *p = g->next;
    kfree(g);
    return 0;
}

/* The interface that a request means: by index, by one of its addresses, by the routes. */
static struct netif *request_netif(unsigned device, uint32_t address, const ip_addr_t *group)
{
    struct netif *netif;
    if (device)
        return netif_get_by_index((u8_t)device);
    if (address) {
        NETIF_FOREACH(netif)
        if (ip4_addr_get_u32(netif_ip4_addr(netif)) == address)
            return netif;
        return NULL;
    }
    return netif_default ? netif_default : group ? netif_get_by_index(1) : NULL;
}

/* struct ip_mreq, ip_mreqn or in_addr; what is missing is 0. */
static int request4_get(struct uptr value, unsigned len, bool group, struct ip_mreqn *r)
{
    *r = (struct ip_mreqn){0};
    if (len >= sizeof *r)
        return copy_from_user(r, value, sizeof *r);
    if (len >= 8)
        return copy_from_user(r, value, 8);
    if (group || len < 4)
        return -EINVAL;
    return copy_from_user(&r->imr_address, value, 4);
}

static int option4(struct inet_options *o, int name, struct uptr value, unsigned len)
{
    struct ip_mreqn r;
    ip_addr_t ip;
    int err = request4_get(value, len, name != IP_MULTICAST_IF, &r);
    if (err)
        return err;
    uint32_t address = r.imr_address.s_addr;
    if (name == IP_MULTICAST_IF) {
        struct netif *own = request_netif((unsigned)r.imr_ifindex, address, NULL);
        if (!r.imr_ifindex && !address) {
            o->multicast_device = 0;
            return 0;
        }
        o->multicast_device = own ? netif_get_index(own) : o->multicast_device;
        return own ? 0 : -EADDRNOTAVAIL;
    }
    ip_addr_set_ip4_u32_val(ip, r.imr_multiaddr.s_addr);
    if (!ip_addr_ismulticast(&ip))
        return -EINVAL;
    struct netif *netif = request_netif((unsigned)r.imr_ifindex, address, &ip);
    if (name == IP_DROP_MEMBERSHIP)
        return group_leave(o, r.imr_ifindex || address ? (netif ? netif_get_index(netif) : 255) : 0,
                           &ip);
    return netif ? group_join(o, netif, &ip) : -ENODEV;
}

static int option6(struct inet_options *o, int name, struct uptr value, unsigned len)
{
    struct ipv6_request r;
    ip_addr_t ip;
    if (name == IPV6_MULTICAST_IF) {
        int index;
        if (len < sizeof index)
            return -EINVAL;
        if (copy_from_user(&index, value, sizeof index))
            return -EFAULT;
        if (index && (index < 0 || index > 255 || !netif_get_by_index((u8_t)index)))
            return -ENODEV;
        o->multicast_device = (unsigned)index;
        return 0;
    }
    if (len < sizeof r)
        return -EINVAL;
    if (copy_from_user(&r, value, sizeof r))
        return -EFAULT;
    IP_ADDR6(&ip, r.address[0], r.address[1], r.address[2], r.address[3]);
    if (!ip_addr_ismulticast(&ip))
        return -EINVAL;
    struct netif *netif = request_netif((unsigned)r.device, 0, &ip);
    if (netif)
        ip6_addr_assign_zone(ip_2_ip6(&ip), IP6_MULTICAST, netif);
    if (name == IPV6_DROP_MEMBERSHIP)
        return group_leave(o, r.device ? (netif ? netif_get_index(netif) : 255) : 0, &ip);
    return netif ? group_join(o, netif, &ip) : -ENODEV;
}

int inet_group_option(struct socket *s, struct inet_options *o, int level, int name,
                      struct uptr value, unsigned len)
{
    bool v4 = level == IPPROTO_IP &&
              (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP || name == IP_MULTICAST_IF);
    bool v6 = level == IPPROTO_IPV6 && (name == IPV6_ADD_MEMBERSHIP ||
                                        name == IPV6_DROP_MEMBERSHIP || name == IPV6_MULTICAST_IF);
    if (!v4 && !v6)
        return -ENOPROTOOPT;
    if (s->type == SOCK_STREAM)
        return v4 && name == IP_MULTICAST_IF ? -EINVAL : v4 ? -EPROTO : -ENOPROTOOPT;
    return v4 ? option4(o, name, value, len) : option6(o, name, value, len);
}
