/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about our own datagrams and segments: lwIP drops them, Linux tells the socket
 * (udp(7), ECONNREFUSED) and sends shorter segments. Seen before lwIP sees the packet; nothing
 * is consumed.
 */
#include <linux/errno.h>

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/udp.h"
#include "lwip/pbuf.h"
#include "lwip/stats.h"
#include "net/error_queue.h"
#include "net/lwip/hooks.h"
#include "net/tcp_error.h"
#include "net/udp_socket.h"

#define ICMP_HEADER 8u

#define QUOTE_MAX                                                                                  \
    548u /* bytes of a packet that an error quotes: 576 in all (RFC 1812 §4.3.2.3)                \
          */

/* What a kind of error means, and whether it is told to who has not asked for errors. */
struct meaning {
    int error;
    bool fatal;
};

static const struct meaning unreachable4[] = {
    [ICMP_DUR_NET] = {ENETUNREACH, false},
    [ICMP_DUR_HOST] = {EHOSTUNREACH, false},
    [ICMP_DUR_PROTO] = {ENOPROTOOPT, true},
    [ICMP_DUR_PORT] = {ECONNREFUSED, true},
    [ICMP_DUR_FRAG] = {EMSGSIZE, true},
    [ICMP_DUR_SR] = {EOPNOTSUPP, false},
    [6] = {ENETUNREACH, true}, /* 6 and more: RFC 1812 §5.2.7.1 */
    [7] = {EHOSTDOWN, true},
    [8] = {ENONET, true},
    [9] = {ENETUNREACH, true},
    [10] = {EHOSTUNREACH, true},
    [11] = {ENETUNREACH, false},
    [12] = {EHOSTUNREACH, false},
    [13] = {EHOSTUNREACH, true},
    [14] = {EHOSTUNREACH, true},
    [15] = {EHOSTUNREACH, true},
};

static const struct meaning unreachable6[] = {
    {ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
    {ECONNREFUSED, true}, {EACCES, true}, {EACCES, true},
};

/* False: no error of a packet of ours. */
static bool meaning4(const struct icmp_hdr *h, struct network_error *e)
{
    struct meaning m = {EHOSTUNREACH, false};
    if (h->type == ICMP_DUR && h->code < ARRAY_SIZE(unreachable4))
        m = unreachable4[h->code];
    else if (h->type == ICMP_PP)
        m = (struct meaning){EPROTO, true};
    else if (h->type != ICMP_DUR && h->type != ICMP_TE)
        return false;
    e->error = m.error;
    e->fatal = m.fatal;
    e->type = h->type;
    e->code = h->code;
    if (h->type == ICMP_PP)
        e->info = lwip_ntohl(h->data) >> 24;
    else if (m.error == EMSGSIZE)
        e->info = lwip_ntohl(h->data) & 0xffff;
    return true;
}

static bool meaning6(const struct icmp6_hdr *h, struct network_error *e)
{
    struct meaning m = {EPROTO, true};
    if (h->type == ICMP6_TYPE_DUR && h->code < ARRAY_SIZE(unreachable6))
        m = unreachable6[h->code];
    else if (h->type == ICMP6_TYPE_PTB)
        m = (struct meaning){EMSGSIZE, true};
    else if (h->type == ICMP6_TYPE_TE)
        m = (struct meaning){EHOSTUNREACH, false};
    else if (h->type != ICMP6_TYPE_DUR && h->type != ICMP6_TYPE_PP)
        return false;
    e->error = m.error;
    e->fatal = m.fatal;
    e->type = h->type;
    e->code = h->code;
    if (h->type == ICMP6_TYPE_PTB || h->type == ICMP6_TYPE_PP)
        e->info = lwip_ntohl(h->data);
    return true;
}

/* The header that our datagram or segment begins with, as the error quotes it, stands at `at`. */
static void report(struct network_error *e, unsigned at, unsigned protocol)
{
    struct udp_hdr udp; /* TCP's begins with ports too, then the sequence number */
    if (pbuf_copy_partial(e->packet, &udp, sizeof udp, (u16_t)at) != sizeof udp)
        return;
    e->own_port = lwip_ntohs(udp.src);
    e->port = lwip_ntohs(udp.dest);
    e->quoted = (u16_t)(at + sizeof udp);
    if (protocol == IP_PROTO_UDP) {
        udp_network_error(e);
    } else if (protocol == IP_PROTO_TCP) {
        struct tcp_quote q = {e->own_port, e->port, e->to,
                              (u32_t)lwip_ntohs(udp.len) << 16 | lwip_ntohs(udp.chksum)};
        if (e->error == EMSGSIZE)
            tcp_error_mtu(&q, e->info);
        else if (e->type == (IP_IS_V6(&e->to) ? (int)ICMP6_TYPE_DUR : ICMP_DUR))
            tcp_error_report(&q, e->error);
    }
}

int net_ip4_input(struct pbuf *p, struct netif *netif)
{
    const struct ip_hdr *ip = p->payload;
    struct icmp_hdr icmp;
    struct ip_hdr quoted;
    struct network_error e = {.packet = p};
    (void)netif;
    if (p->len < IP_HLEN || IPH_PROTO(ip) != IP_PROTO_ICMP || IPH_OFFSET(ip) & PP_HTONS(0x3fff))
        return 0;
    unsigned at = IPH_HL_BYTES(ip);
    if (pbuf_copy_partial(p, &icmp, sizeof icmp, (u16_t)at) != sizeof icmp || !meaning4(&icmp, &e))
        return 0;
    at += ICMP_HEADER;
    if (pbuf_copy_partial(p, &quoted, sizeof quoted, (u16_t)at) != sizeof quoted)
        return 0;
    ip_addr_set_ip4_u32_val(e.to, quoted.dest.addr);
    ip_addr_set_ip4_u32_val(e.own, quoted.src.addr);
    ip_addr_set_ip4_u32_val(e.offender, ip->src.addr);
    report(&e, at + IPH_HL_BYTES(&quoted), IPH_PROTO(&quoted));
    return 0;
}

static void address6(ip_addr_t *to, const ip6_addr_p_t *from, struct netif *netif)
{
    ip_addr_copy_from_ip6_packed(*to, *from);
    ip6_addr_assign_zone(ip_2_ip6(to), IP6_UNICAST, netif);
}

int net_ip6_input(struct pbuf *p, struct netif *netif)
{
    const struct ip6_hdr *ip = p->payload;
    struct icmp6_hdr icmp;
    struct ip6_hdr quoted;
    struct network_error e = {.packet = p};
    if (p->len < IP6_HLEN || IP6H_NEXTH(ip) != IP6_NEXTH_ICMP6 ||
        pbuf_copy_partial(p, &icmp, sizeof icmp, IP6_HLEN) != sizeof icmp || !meaning6(&icmp, &e))
        return 0;
    const unsigned at = IP6_HLEN + ICMP_HEADER;
    if (pbuf_copy_partial(p, &quoted, sizeof quoted, at) != sizeof quoted)
        return 0;
    address6(&e.to, &quoted.dest, netif);
    address6(&e.own, &quoted.src, netif);
    address6(&e.offender, &ip->src, netif);
    report(&e, at + IP6_HLEN, IP6H_NEXTH(&quoted));
    return 0;
}

/*
 * What udp.c and ip4.c call in place of lwIP's, which quotes eight bytes of a datagram: its sender
 * may want to know what was in it. `p` begins with the IP header.
 */
void icmp_dest_unreach(struct pbuf *p, enum icmp_dur_type kind)
{
    const struct ip_hdr *ip = p->payload;
    u16_t quote = (u16_t)MIN((unsigned)p->tot_len, QUOTE_MAX);
    ip4_addr_t from;
    ip4_addr_copy(from, ip->src);
    struct netif *netif = ip4_route(&from);
    struct pbuf *q = pbuf_alloc(PBUF_IP, (u16_t)(ICMP_HEADER + quote), PBUF_RAM);
    if (q && netif) {
        struct icmp_hdr *h = q->payload;
        *h = (struct icmp_hdr){.type = ICMP_DUR, .code = (u8_t)kind};
        pbuf_copy_partial(p, (u8_t *)q->payload + ICMP_HEADER, quote, 0);
        h->chksum = inet_chksum(h, q->len);
        MIB2_STATS_INC(mib2.icmpoutmsgs);
        MIB2_STATS_INC(mib2.icmpoutdestunreachs);
        ip4_output_if(q, NULL, &from, ICMP_TTL, 0, IP_PROTO_ICMP, netif);
    }
    if (q)
        pbuf_free(q);
}
