/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of the Internet families: what came with a datagram, what shall go with one. */
#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/udp.h>

#include "lib/string.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "net/abi.h"
#include "net/control_message.h"
#include "net/inet_options.h"
#include "sched/clock.h"

struct packet_info6 { /* struct in6_pktinfo */
    uint32_t address[4];
    int device;
};

void inet_arrival_now(struct inet_arrival *a)
{
    a->to = *ip_current_dest_addr();
    a->device = netif_get_index(ip_current_input_netif());
    if (ip_current_is_v6()) {
        a->ttl = IP6H_HOPLIM(ip6_current_header());
        a->tos = (u8_t)IP6H_TC(ip6_current_header());
    } else {
        a->ttl = IPH_TTL(ip4_current_header());
        a->tos = IPH_TOS(ip4_current_header());
    }
    a->time = clock_wall();
}

static void tell_time(const struct inet_arrival *a, const struct socket *s, struct message *m)
{
    bool ns = socket_option_on(s, SO_TIMESTAMPNS_OLD);
    if (!ns && !socket_option_on(s, SO_TIMESTAMP_OLD))
        return;
    const int64_t time[2] = {(int64_t)(a->time / NSEC_PER_SEC),
                             (int64_t)(a->time % NSEC_PER_SEC / (ns ? 1 : 1000))};
    control_put(m, SOL_SOCKET, ns ? SO_TIMESTAMPNS_OLD : SO_TIMESTAMP_OLD, time, sizeof time);
}

static void tell4(const struct inet_arrival *a, const struct inet_options *o, struct message *m)
{
    if (o->number[INET_PKTINFO]) {
        uint32_t to = ip4_addr_get_u32(ip_2_ip4(&a->to)), local = to;
        const struct netif *netif = netif_get_by_index(a->device);
        if (ip_addr_ismulticast(&a->to) && netif)
            local = ip4_addr_get_u32(netif_ip4_addr(netif));
        const struct in_pktinfo info = {a->device, {local}, {to}};
        control_put(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
    const int ttl = a->ttl;
    if (o->number[INET_RECV_TTL])
        control_put(m, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    if (o->number[INET_RECV_TOS])
        control_put(m, IPPROTO_IP, IP_TOS, &a->tos, 1);
}

static void tell6(const struct inet_arrival *a, const struct inet_options *o, struct message *m)
{
    const int ttl = a->ttl, tos = a->tos;
    if (o->number[INET6_RECV_PKTINFO]) {
        struct __kernel_sockaddr_storage name;
        struct packet_info6 info = {.device = a->device};
        inet_name(AF_INET6, &a->to, 0, &name);
        memcpy(info.address, &((struct sockaddr_in6 *)&name)->sin6_addr, sizeof info.address);
        control_put(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    if (IP_IS_V4(&a->to))
        return;
    if (o->number[INET6_RECV_HOPLIMIT])
        control_put(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof ttl);
    if (o->number[INET6_RECV_TCLASS])
        control_put(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
}

void inet_arrival_tell(const struct inet_arrival *a, const struct socket *s,
                       const struct inet_options *o, struct message *m)
{
    tell_time(a, s, m);
    if (s->family == AF_INET6)
        tell6(a, o, m);
    if (IP_IS_V4(&a->to))
        tell4(a, o, m);
}

static int number_get(const struct control_message *c, int min, int *out)
{
    if (c->len != sizeof *out)
        return -EINVAL;
    memcpy(out, c->data, sizeof *out);
    return *out < min || *out > 255 ? -EINVAL : 0;
}

static int departure4(const struct control_message *c, struct inet_departure *d)
{
    struct in_pktinfo info;
    uint8_t byte;
    switch (c->type) {
    case IP_PKTINFO:
        if (c->len != sizeof info)
            return -EINVAL;
        memcpy(&info, c->data, sizeof info);
        d->device = (unsigned)info.ipi_ifindex;
        d->has_source = info.ipi_spec_dst.s_addr;
        ip_addr_set_ip4_u32_val(d->source, info.ipi_spec_dst.s_addr);
        return 0;
    case IP_TTL:
        return number_get(c, 1, &d->ttl);
    case IP_TOS:
        if (c->len != sizeof byte)
            return number_get(c, 0, &d->tos);
        memcpy(&byte, c->data, 1);
        d->tos = byte;
        return 0;
    default:
        return -EINVAL;
    }
}

static int departure6(const struct control_message *c, struct inet_departure *d)
{
    struct packet_info6 info;
    switch (c->type) {
    case IPV6_PKTINFO:
        if (c->len < sizeof info)
            return -EINVAL;
        memcpy(&info, c->data, sizeof info);
        d->device = (unsigned)info.device;
        d->has_source = info.address[0] | info.address[1] | info.address[2] | info.address[3];
        if (!info.address[0] && !info.address[1] && info.address[2] == lwip_htonl(0xffff))
            ip_addr_set_ip4_u32_val(d->source, info.address[3]);
        else
            IP_ADDR6(&d->source, info.address[0], info.address[1], info.address[2],
                     info.address[3]);
        return 0;
    case IPV6_HOPLIMIT:
        return number_get(c, -1, &d->ttl);
    case IPV6_TCLASS:
        return number_get(c, -1, &d->tos);
    default:
        return -EINVAL;
    }
}

static int departure_udp(const struct control_message *c, struct inet_departure *d)
{
    uint16_t segment;
    if (c->type != UDP_SEGMENT || c->len != sizeof segment)
        return -EINVAL;
    memcpy(&segment, c->data, sizeof segment);
    d->segment = segment;
    return 0;
}

int inet_departure_get(const struct message *m, struct inet_departure *d)
{
    struct control_message c;
    size_t at = 0;
    int err;
    *d = (struct inet_departure){.ttl = -1, .tos = -1, .segment = -1};
    while ((err = control_next(m, &at, &c)) > 0) {
        if (c.level == SOL_SOCKET)
            err = c.type == SCM_RIGHTS || c.type == SCM_CREDENTIALS ? 0 : -EINVAL;
        else if (c.level == IPPROTO_IP)
            err = departure4(&c, d);
        else if (c.level == IPPROTO_IPV6)
            err = departure6(&c, d);
        else if (c.level == IPPROTO_UDP)
            err = departure_udp(&c, d);
        else
            err = 0;
        if (err)
            break;
    }
    return err;
}
