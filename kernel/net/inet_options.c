/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of IPPROTO_IP and IPPROTO_IPV6: see inet_options.h. */
#include "net/inet_options.h"

#include <linux/errno.h>

#include "lib/string.h"
#include "net/abi.h"
#include "net/options.h"
#include "net/path_mtu.h"
#include "vm/uaccess.h"

#define TTL_DEFAULT 64
#define IP_VERSION4 IPPROTO_IP
#define IP_VERSION6 IPPROTO_IPV6

struct plain {
    int level, name, min, max, initial;
    bool no_stream; /* not for SOCK_STREAM */
};

/* In the order of INET_*. A range of 0..1: any value counts as on. */
static const struct plain plains[INET_NUMBERS] = {
    [INET_TOS] = {IP_VERSION4, IP_TOS, INT32_MIN, INT32_MAX, 0, false},
    [INET_TTL] = {IP_VERSION4, IP_TTL, -1, 255, -1, false},
    [INET_MULTICAST_TTL] = {IP_VERSION4, IP_MULTICAST_TTL, -1, 255, 1, true},
    [INET_MULTICAST_LOOP] = {IP_VERSION4, IP_MULTICAST_LOOP, 0, 1, 1, false},
    [INET_MULTICAST_ALL] = {IP_VERSION4, IP_MULTICAST_ALL, 0, 1, 1, false},
    [INET_MTU_DISCOVER] = {IP_VERSION4, IP_MTU_DISCOVER, 0, 5, 1, false},
    [INET_RECV_TTL] = {IP_VERSION4, IP_RECVTTL, 0, 1, 0, false},
    [INET_RECV_TOS] = {IP_VERSION4, IP_RECVTOS, 0, 1, 0, false},
    [INET_PKTINFO] = {IP_VERSION4, IP_PKTINFO, 0, 1, 0, false},
    [INET_RECV_ERR] = {IP_VERSION4, IP_RECVERR, 0, 1, 0, false},
    [INET_FREEBIND] = {IP_VERSION4, IP_FREEBIND, 0, 1, 0, false},
    [INET_TRANSPARENT] = {IP_VERSION4, IP_TRANSPARENT, 0, 1, 0, false},
    [INET_BIND_NO_PORT] = {IP_VERSION4, IP_BIND_ADDRESS_NO_PORT, 0, 1, 0, false},
    [INET_MINTTL] = {IP_VERSION4, IP_MINTTL, 0, 255, 0, false},
    [INET6_TCLASS] = {IP_VERSION6, IPV6_TCLASS, -1, 255, 0, false},
    [INET6_HOPS] = {IP_VERSION6, IPV6_UNICAST_HOPS, -1, 255, -1, false},
    [INET6_MULTICAST_HOPS] = {IP_VERSION6, IPV6_MULTICAST_HOPS, -1, 255, 1, true},
    [INET6_MULTICAST_LOOP] = {IP_VERSION6, IPV6_MULTICAST_LOOP, 0, 1, 1, false},
    [INET6_MULTICAST_ALL] = {IP_VERSION6, IPV6_MULTICAST_ALL, 0, 1, 1, false},
    [INET6_MTU_DISCOVER] = {IP_VERSION6, IPV6_MTU_DISCOVER, 0, 5, 1, false},
    [INET6_RECV_PKTINFO] = {IP_VERSION6, IPV6_RECVPKTINFO, 0, 1, 0, false},
    [INET6_RECV_HOPLIMIT] = {IP_VERSION6, IPV6_RECVHOPLIMIT, 0, 1, 0, false},
    [INET6_RECV_TCLASS] = {IP_VERSION6, IPV6_RECVTCLASS, 0, 1, 0, false},
    [INET6_RECV_ERR] = {IP_VERSION6, IPV6_RECVERR, 0, 1, 0, false},
    [INET6_FREEBIND] = {IP_VERSION6, IPV6_FREEBIND, 0, 1, 0, false},
    [INET6_DONTFRAG] = {IP_VERSION6, IPV6_DONTFRAG, 0, 1, 0, false},
    [INET6_V6ONLY] = {IP_VERSION6, IPV6_V6ONLY, 0, 1, 0, false},
};

void inet_options_init(struct inet_options *o, int family)
{
    for (unsigned i = 0; i < INET_NUMBERS; i++)
        o->number[i] = plains[i].initial;
    o->number[INET6_V6ONLY] = family == AF_INET;
    o->multicast_device = 0;
    o->groups = NULL;
}

void inet_options_apply(const struct inet_options *o, bool v6, u8_t *ttl, u8_t *tos)
{
    int hops = o->number[v6 ? INET6_HOPS : INET_TTL];
    *ttl = (u8_t)(hops < 0 ? TTL_DEFAULT : hops);
    *tos = (u8_t)o->number[v6 ? INET6_TCLASS : INET_TOS];
}

static int index_of(int level, int name)
{
    for (int i = 0; i < INET_NUMBERS; i++)
        if (plains[i].level == level && plains[i].name == name)
            return i;
    return -1;
}

/* ip(7): an int, or one byte. */
static int number_from_user(struct uptr value, unsigned len, int *v)
{
    uint8_t byte;
    if (len >= sizeof *v)
        return copy_from_user(v, value, sizeof *v);
    if (!len)
        return -EINVAL;
    if (copy_from_user(&byte, value, 1))
        return -EFAULT;
    *v = byte;
    return 0;
}

static int number_set(const struct socket *s, struct inet_options *o, bool bound, int index, int v)
{
    const struct plain *p = &plains[index];
    bool is_switch = p->min == 0 && p->max == 1;
    if (p->no_stream && s->type == SOCK_STREAM)
        return p->level == IP_VERSION4 ? -EINVAL : -ENOPROTOOPT;
    if (is_switch)
        v = !!v;
    if (v < p->min || v > p->max || (index == INET_TTL && !v))
        return -EINVAL;
    if (index == INET6_V6ONLY && bound)
        return -EINVAL;
    if (index == INET_TRANSPARENT && v && !socket_process.privileged())
        return -EPERM;
    if (v == -1 && index != INET_TTL && index != INET6_HOPS && index != INET_TOS)
        v = p->initial;
    if (index == INET_TOS && s->type == SOCK_STREAM) /* the ECN bits are TCP's */
        v = (v & ~3) | (o->number[INET_TOS] & 3);
    o->number[index] = index == INET_TOS ? v & 255 : v;
    return 0;
}

int inet_option_set(struct socket *s, struct inet_options *o, bool bound, int level, int name,
                    struct uptr value, unsigned len)
{
    int v, err, index = index_of(level, name);
    if (level == IPPROTO_IPV6 && s->family != AF_INET6)
        return -ENOPROTOOPT;
    if (index < 0) {
        stack_lock();
        err = inet_group_option(s, o, level, name, value, len);
        stack_unlock();
        return err;
    }
    if (level == IPPROTO_IPV6 && len < sizeof v)
        return -EINVAL;
    err = number_from_user(value, len, &v);
    if (err)
        return err;
    stack_lock();
    err = number_set(s, o, bound, index, v);
    stack_unlock();
    return err;
}

/* What IP_MTU tells. */
static int path_mtu(const ip_addr_t *peer, int *v)
{
    if (!peer)
        return -ENOTCONN;
    const struct netif *netif = ip_route(IP_IS_V6(peer) ? IP6_ADDR_ANY : IP4_ADDR_ANY, peer);
    if (!netif)
        return -ENOTCONN;
    *v = netif->mtu ? netif->mtu : UINT16_MAX;
    if (IP_IS_V4(peer))
        *v = (int)path_mtu_of(ip_2_ip4(peer), (unsigned)*v);
    return 0;
}

static int number_get(const struct inet_options *o, const ip_addr_t *peer, int level, int name,
                      int *v)
{
    int index = index_of(level, name);
    if (index >= 0) {
        *v = o->number[index];
        if (index == INET_TTL || index == INET6_HOPS)
            *v = *v < 0 ? TTL_DEFAULT : *v;
        return 0;
    }
    if (level == IPPROTO_IP ? name == IP_MTU : name == IPV6_MTU)
        return path_mtu(peer, v);
    if (level == IPPROTO_IPV6 && name == IPV6_MULTICAST_IF) {
        *v = (int)o->multicast_device;
        return 0;
    }
    return -ENOPROTOOPT;
}

int inet_option_get(struct socket *s, const struct inet_options *o, const ip_addr_t *peer,
                    int level, int name, struct uptr value, unsigned *len)
{
    int v = 0;
    if (level == IPPROTO_IPV6 && s->family != AF_INET6)
        return -ENOPROTOOPT;
    if (level == IPPROTO_IP && name == IP_OPTIONS) {
        *len = 0;
        return 0;
    }
    stack_lock();
    int err = number_get(o, peer, level, name, &v);
    if (err && level == IPPROTO_IP && name == IP_MULTICAST_IF) {
        const struct netif *netif = netif_get_by_index((u8_t)o->multicast_device);
        v = netif ? (int)ip4_addr_get_u32(netif_ip4_addr(netif)) : 0;
        err = 0;
    }
    stack_unlock();
    if (err)
        return err;
    const uint8_t byte = (uint8_t)v;
    if (level == IPPROTO_IP && *len<sizeof v && * len> 0 && v >= 0 && v <= 255)
        return option_put(value, len, &byte, 1);
    return option_put(value, len, &v, sizeof v);
}
