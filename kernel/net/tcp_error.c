/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about TCP: see tcp_error.h. */
#include "net/tcp_error.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/path_mtu.h"
#include "net/tcp_socket.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"

#define MTU_MIN4 552u /* less is not believed (net.ipv4.route.min_pmtu), as a forger would */
#define MTU_MIN6 1280u

/* Hangs in the bucket and finds the connection; only one who has seen the segment knows its
 * number. NULL: none. */
static struct tcp_pcb *enter(const struct tcp_quote *q)
{
    tcp_table_enter_key(q->local_port, &q->remote_ip, q->remote_port);
    struct tcp_pcb *pcb = tcp_active_pcbs;
    while (pcb && (pcb->local_port != q->local_port || pcb->remote_port != q->remote_port ||
                   !ip_addr_eq(&pcb->remote_ip, &q->remote_ip)))
        pcb = pcb->next;
    return pcb && TCP_SEQ_BETWEEN(q->seq, pcb->lastack, pcb->snd_nxt) ? pcb : NULL;
}

void tcp_error_report(const struct tcp_quote *q, int error)
{
    struct tcp_pcb *pcb = enter(q);
    struct tcp_socket *t = pcb ? tcp_socket_of(pcb) : NULL;
    if (t)
        t->soft_error = error;
    if (t && pcb->state == SYN_SENT)
        tcp_abandon(pcb, 0);
    tcp_table_leave();
}

/* Segments that wait or are to be sent again become short enough. */
static void queue_cut(struct tcp_pcb *pcb, u16_t most)
{
    struct tcp_seg *first = pcb->unsent;
    for (struct tcp_seg *s = first; s; s = s->next) {
        if (s->len <= most)
            continue;
        pcb->unsent = s; /* lwIP cuts the first one */
        if (tcp_table_split(pcb, most) != ERR_OK)
            break;
    }
    pcb->unsent = first;
}

void tcp_error_mtu(const struct tcp_quote *q, unsigned mtu)
{
    struct tcp_pcb *pcb = enter(q);
    bool v6 = IP_IS_V6(&q->remote_ip);
    unsigned headers = TCP_HLEN + (v6 ? IP6_HLEN : IP_HLEN);
    mtu = MAX(mtu, v6 ? MTU_MIN6 : MTU_MIN4);
    if (pcb && pcb->state >= ESTABLISHED && mtu - headers < tcp_table_mss(pcb)) {
        if (!v6)
            path_mtu_learn(ip_2_ip4(&pcb->remote_ip), mtu);
        tcp_table_mss_lower(pcb, mtu - headers);
        tcp_rexmit_rto_prepare(pcb); /* what is under way is lost, at once */
        queue_cut(pcb,
                  (u16_t)(pcb->mss - (pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0)));
        tcp_output(pcb);
    }
    tcp_table_leave();
}
