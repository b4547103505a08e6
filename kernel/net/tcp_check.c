/* SPDX-License-Identifier: Apache-2.0 */
/* Judgement of segments: see tcp_check.h. */
#include "net/tcp_check.h"

#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "lwip/stats.h"
#include "net/netstat.h"
#include "net/stack.h"
#include "net/tcp_state.h"

/* After so long without a segment timestamps say nothing: 24 days. */
#define STALE_TICKS (24u * 86400 * (1000 / TCP_SLOW_INTERVAL))

#define CHALLENGE_MS 500u /* net.ipv4.tcp_invalid_ratelimit */

static bool answers_ack; /* the segment at hand had an acknowledgement */

bool tcp_check_sum(struct pbuf *p, const struct netif *netif)
{
    return !(netif->chksum_flags & NETIF_CHECKSUM_CHECK_TCP) ||
           !ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, ip_current_src_addr(),
                             ip_current_dest_addr());
}

/*
 * RFC 9293 §3.10.7.4 and RFC 5961 §5.2: beyond the window, or acknowledging what was never sent
 * or was acknowledged long ago. lwIP would take data of all but the first.
 */
static bool is_blind(const struct tcp_pcb *pcb, u32_t seq, u32_t ack)
{
    u32_t edge = pcb->rcv_nxt + pcb->rcv_wnd;
    if (TCP_SEQ_LT(edge, pcb->rcv_ann_right_edge))
        edge = pcb->rcv_ann_right_edge;
    return TCP_SEQ_GT(seq, edge) || TCP_SEQ_GT(ack, pcb->snd_nxt) ||
           TCP_SEQ_LT(ack, pcb->lastack - pcb->snd_wnd_max);
}

/* The timestamp of a segment. */
static bool timestamp(const struct pbuf *p, u32_t *value)
{
    const u8_t *o = (const u8_t *)p->payload + TCP_HLEN;
    unsigned left = TCPH_HDRLEN_BYTES((const struct tcp_hdr *)p->payload);
    if (left < TCP_HLEN || left > p->len)
        return false;
    for (left -= TCP_HLEN; left && *o != LWIP_TCP_OPT_EOL;) {
        unsigned len = *o == LWIP_TCP_OPT_NOP ? 1 : left > 1 ? o[1] : 0;
        if (!len || len > left || (len == 1 && *o != LWIP_TCP_OPT_NOP))
            return false;
        if (*o == LWIP_TCP_OPT_TS && len == LWIP_TCP_OPT_LEN_TS) {
            *value = (u32_t)o[2] << 24 | (u32_t)o[3] << 16 | (u32_t)o[4] << 8 | o[5];
            return true;
        }
        o += len;
        left -= len;
    }
    return false;
}

/* An old segment of this connection or of one before (RFC 7323 §5: PAWS). */
static bool is_stale(const struct tcp_pcb *pcb, const struct pbuf *p)
{
    u32_t value;
    return pcb->flags & TF_TIMESTAMP && timestamp(p, &value) &&
           (s32_t)(value - pcb->ts_recent) < 0 && (u32_t)(tcp_ticks - pcb->tmr) < STALE_TICKS;
}

/*
 * Says where we are (RFC 5961 §7): at most twice a second for a connection, so that two machines
 * that are both wrong do not talk for ever. What carries data may be a retransmission whose
 * answer was lost, and is always answered.
 */
static void challenge(struct tcp_pcb *pcb, bool data)
{
    struct tcp_socket *t = tcp_socket_of(pcb);
    uint32_t now = stack_now_ms();
    if (t && !data && t->challenged && now - t->challenged < CHALLENGE_MS) {
        net_counters.unchallenged++;
        return;
    }
    if (t && !data)
        t->challenged = MAX(now, 1u); /* 0: never */
    net_counters.challenges++;
    tcp_send_empty_ack(pcb);
}

/*
 * A reset or a SYN for a connection that is open (RFC 5961 §3.2, §4.2): only a reset with exactly
 * the number that is awaited is believed.
 */
static bool sync_check(struct tcp_pcb *pcb, struct pbuf *p, const struct netif *netif)
{
    const struct tcp_hdr *h = p->payload;
    u32_t seq = lwip_ntohl(h->seqno);
    bool reset = TCPH_FLAGS(h) & TCP_RST;
    if (reset && seq == pcb->rcv_nxt)
        return true;
    if (reset && !TCP_SEQ_BETWEEN(seq, pcb->rcv_nxt, pcb->rcv_nxt + pcb->rcv_wnd))
        return false;
    if (tcp_check_sum(p, netif))
        challenge(pcb, false);
    return false;
}

bool tcp_check_segment(struct tcp_pcb *pcb, struct pbuf *p, const struct netif *netif)
{
    const struct tcp_hdr *h = p->payload;
    unsigned flags = TCPH_FLAGS(h);
    answers_ack = flags & TCP_ACK;
    if (!pcb)
        return true;
    if (pcb->state == SYN_SENT) /* its sequence number says nothing: only the ACK vouches for it */
        return !(flags & TCP_RST) || flags & TCP_ACK;
    if (pcb->state < ESTABLISHED)
        return true;
    if (flags & (TCP_SYN | TCP_RST))
        return sync_check(pcb, p, netif);
    if (!(flags & TCP_ACK))
        return false;
    if (is_blind(pcb, lwip_ntohl(h->seqno), lwip_ntohl(h->ackno)))
        net_counters.blind++;
    else if (is_stale(pcb, p))
        net_counters.stale++;
    else
        return true;
    if (tcp_check_sum(p, netif))
        challenge(pcb, p->tot_len > TCPH_HDRLEN_BYTES(h) || flags & TCP_FIN);
    return false;
}

/*
 * RFC 9293 §3.10.7.1: a segment with an acknowledgement is answered with a reset at that number
 * and no more; one without, with a reset at 0 that acknowledges it.
 */
static void reset_send(struct netif *netif, u32_t seq, u32_t ack, const ip_addr_t *from,
                       const ip_addr_t *to, u16_t from_port, u16_t to_port)
{
    struct pbuf *p = pbuf_alloc(PBUF_IP, TCP_HLEN, PBUF_RAM);
    if (!p)
        return;
    struct tcp_hdr *h = p->payload;
    *h = (struct tcp_hdr){.src = lwip_htons(from_port), .dest = lwip_htons(to_port)};
    h->seqno = answers_ack ? lwip_htonl(seq) : 0;
    h->ackno = answers_ack ? 0 : lwip_htonl(ack);
    TCPH_HDRLEN_FLAGS_SET(h, TCP_HLEN / 4, answers_ack ? TCP_RST : TCP_RST | TCP_ACK);
    if (netif->chksum_flags & NETIF_CHECKSUM_GEN_TCP)
        h->chksum = ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, from, to);
    net_counters.tcp_sent++;
    MIB2_STATS_INC(mib2.tcpoutrsts);
    ip_output_if(p, from, to, IP_DEFAULT_TTL, 0, IP_PROTO_TCP, netif);
    pbuf_free(p);
}

/* What tcp_in.c calls in place of lwIP's functions. */
void tcp_check_reset_netif(struct netif *netif, u32_t seqno, u32_t ackno, const ip_addr_t *local_ip,
                           const ip_addr_t *remote_ip, u16_t local_port, u16_t remote_port);
void tcp_check_reset(const struct tcp_pcb *pcb, u32_t seqno, u32_t ackno, const ip_addr_t *local_ip,
                     const ip_addr_t *remote_ip, u16_t local_port, u16_t remote_port);

void tcp_check_reset_netif(struct netif *netif, u32_t seqno, u32_t ackno, const ip_addr_t *local_ip,
                           const ip_addr_t *remote_ip, u16_t local_port, u16_t remote_port)
{
    if (netif)
        reset_send(netif, seqno, ackno, local_ip, remote_ip, local_port, remote_port);
}

void tcp_check_reset(const struct tcp_pcb *pcb, u32_t seqno, u32_t ackno, const ip_addr_t *local_ip,
                     const ip_addr_t *remote_ip, u16_t local_port, u16_t remote_port)
{
    struct netif *netif =
        pcb->netif_idx ? netif_get_by_index(pcb->netif_idx) : ip_route(local_ip, remote_ip);
    if (netif)
        reset_send(netif, seqno, ackno, local_ip, remote_ip, local_port, remote_port);
}
