/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about our own datagrams and segments: lwIP drops them, Linux tells the socket
 * (udp(7), ECONNREFUSED) and sends shorter segments. Seen before lwIP sees the packet; nothing
 * is consumed.
 */
#include <linux/errno.h>

#include "lwip/icmp.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/udp.h"
#include "lwip/pbuf.h"
#include "net/lwip/hooks.h"
#include "net/tcp_error.h"
#include "net/udp_socket.h"

#define ICMP_HEADER 8u

static int unreachable_errno(unsigned code)
{
    switch (code) {
    case ICMP_DUR_NET:
        return ENETUNREACH;
    case ICMP_DUR_PROTO:
        return ENOPROTOOPT;
    case ICMP_DUR_PORT:
        return ECONNREFUSED;
    case ICMP_DUR_FRAG:
        return EMSGSIZE;
    default:
        return EHOSTUNREACH;
    }
}

/* The error's meaning: too long for a path of that MTU, or (0) what became of it. */
struct verdict {
    int error;
    unsigned mtu;
};

/* The header that our datagram or segment begins with, as the error quotes it, stands at `at`. */
static void report(struct pbuf *p, unsigned at, unsigned protocol, const ip_addr_t *to,
                   const struct verdict *v)
{
    struct udp_hdr udp; /* TCP's begins with ports too, then the sequence number */
    if (pbuf_copy_partial(p, &udp, sizeof udp, (u16_t)at) != sizeof udp)
        return;
    u16_t own = lwip_ntohs(udp.src), port = lwip_ntohs(udp.dest);
    if (protocol == IP_PROTO_UDP) {
        udp_peer_error(own, to, port, v->error);
    } else if (protocol == IP_PROTO_TCP) {
        struct tcp_quote q = {own, port, *to,
                              (u32_t)lwip_ntohs(udp.len) << 16 | lwip_ntohs(udp.chksum)};
        if (v->error == EMSGSIZE)
            tcp_error_mtu(&q, v->mtu);
        else
            tcp_error_report(&q, v->error);
    }
}

int net_ip4_input(struct pbuf *p, struct netif *netif)
{
    const struct ip_hdr *ip = p->payload;
    struct icmp_hdr icmp;
    struct ip_hdr quoted;
    (void)netif;
    if (p->len < IP_HLEN || IPH_PROTO(ip) != IP_PROTO_ICMP || IPH_OFFSET(ip) & PP_HTONS(0x3fff))
        return 0;
    unsigned at = IPH_HL_BYTES(ip);
    if (pbuf_copy_partial(p, &icmp, sizeof icmp, (u16_t)at) != sizeof icmp || icmp.type != ICMP_DUR)
        return 0;
    at += ICMP_HEADER;
    if (pbuf_copy_partial(p, &quoted, sizeof quoted, (u16_t)at) != sizeof quoted)
        return 0;
    ip_addr_t to;
    ip_addr_set_ip4_u32_val(to, quoted.dest.addr);
    const struct verdict v = {unreachable_errno(icmp.code), lwip_ntohl(icmp.data) & 0xffff};
    report(p, at + IPH_HL_BYTES(&quoted), IPH_PROTO(&quoted), &to, &v);
    return 0;
}

int net_ip6_input(struct pbuf *p, struct netif *netif)
{
    const struct ip6_hdr *ip = p->payload;
    struct icmp6_hdr icmp;
    struct ip6_hdr quoted;
    (void)netif;
    if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_ICMP6 ||
        pbuf_copy_partial(p, &icmp, sizeof icmp, IP6_HLEN) != sizeof icmp ||
        (icmp.type != ICMP6_TYPE_DUR && icmp.type != ICMP6_TYPE_PTB))
        return 0;
    const unsigned at = IP6_HLEN + ICMP_HEADER;
    if (pbuf_copy_partial(p, &quoted, sizeof quoted, at) != sizeof quoted)
        return 0;
    ip_addr_t to;
    ip_addr_copy_from_ip6_packed(to, quoted.dest);
    ip6_addr_assign_zone(ip_2_ip6(&to), IP6_UNICAST, netif);
    struct verdict v = {icmp.code == ICMP6_DUR_PORT ? ECONNREFUSED : EHOSTUNREACH, 0};
    if (icmp.type == ICMP6_TYPE_PTB)
        v = (struct verdict){EMSGSIZE, lwip_ntohl(icmp.data)};
    report(p, at + IP6_HLEN, IP6H_NEXTH(&quoted), &to, &v);
    return 0;
}
