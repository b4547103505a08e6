/* SPDX-License-Identifier: Apache-2.0 */
/* Urgent data: see tcp_urgent.h. */
#include "net/tcp_urgent.h"

#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/poll.h>
#include <asm/signal.h>

#include "file/file.h"
#include "lib/string.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/abi.h"
#include "net/netstat.h"
#include "net/tcp_table.h"

#define ENDS_SET (1ull << 32) /* beside the sequence number in TCP_URGENT_ARG */

/*
 * The mark, as a number of received bytes: lwIP has given us all that rcv_nxt counts, so they are
 * the same distance away.
 */
void tcp_urgent_arrived(struct tcp_pcb *pcb, const struct pbuf *p)
{
    struct tcp_socket *t = tcp_socket_of(pcb);
    const struct tcp_hdr *h = p->payload;
    u32_t seq = lwip_ntohl(h->seqno), pointer = lwip_ntohs(h->urgp);
    if (!t || pcb->state < ESTABLISHED || t->got_fin)
        return;
    s32_t distance = (s32_t)(seq + (pointer ? pointer - 1 : 0) - pcb->rcv_nxt);
    uint64_t at = t->bytes_in + (uint64_t)(int64_t)distance;
    if (distance < 0 || (t->urgent && at <= t->urgent_at)) /* an old segment again */
        return;
    if (file_owner_signal && t->socket.file)
        file_owner_signal(t->socket.file, SIGURG);
    /* A mark that was reached and not passed is no more one: its byte goes with it. */
    if (tcp_urgent_here(t) && t->in_bytes && !socket_option_on(&t->socket, SO_OOBINLINE))
        tcp_data_skip(t, 1);
    t->urgent_at = at;
    t->urgent = TCP_URGENT_WAITS;
}

size_t tcp_urgent_before(const struct tcp_socket *t)
{
    uint64_t read = t->bytes_in - t->in_bytes;
    return t->urgent && t->urgent_at > read ? MIN(t->urgent_at - read, t->in_bytes) : t->in_bytes;
}

/* The byte at the mark, which waits among the others. */
static char urgent_byte(const struct tcp_socket *t)
{
    uint64_t skip = t->urgent_at - (t->bytes_in - t->in_bytes);
    const struct pbuf *p = t->in_first;
    while (skip >= p->len) {
        skip -= p->len;
        p = p->next;
    }
    return ((const char *)p->payload)[skip];
}

static ssize_t receive_locked(struct tcp_socket *t, struct message *m)
{
    if (t->phase == LISTENING)
        return -ENOTCONN;
    if (socket_option_on(&t->socket, SO_OOBINLINE) || t->urgent != TCP_URGENT_WAITS)
        return -EINVAL;
    if (!tcp_urgent_ready(t))
        return t->phase == GONE || t->shut_read ? 0 : -EAGAIN;
    char byte = urgent_byte(t);
    if (!(m->flags & MSG_PEEK))
        t->urgent = TCP_URGENT_TAKEN;
    m->out_flags |= m->uio->left ? MSG_OOB : MSG_OOB | MSG_TRUNC;
    if (!m->uio->left)
        return 0;
    int err = m->flags & MSG_TRUNC ? 0 : uio_copy_out(m->uio, &byte, 1);
    return err ? err : 1;
}

ssize_t tcp_urgent_receive(struct socket *s, struct message *m)
{
    m->name_len = 0;
    stack_lock();
    ssize_t r = receive_locked(tcp_of(s), m);
    stack_unlock();
    return r;
}

void tcp_urgent_send(struct tcp_pcb *pcb)
{
    pcb->ext_args[TCP_URGENT_ARG].data = (void *)(uintptr_t)(ENDS_SET | pcb->snd_lbb);
}

/* Flag and pointer, if urgent data ends in the segment or behind it, and a checksum for them. */
static void mark(const struct tcp_pcb *pcb, u32_t end, struct pbuf *p, const struct netif *netif)
{
    struct tcp_hdr *h = p->payload;
    u32_t distance = end - lwip_ntohl(h->seqno);
    if (distance && distance <= UINT16_MAX) { /* no pointer says more: a later segment tells */
        TCPH_SET_FLAG(h, TCP_URG);
        h->urgp = lwip_htons((u16_t)distance);
    }
    h->chksum = 0;
    if (netif->chksum_flags & NETIF_CHECKSUM_GEN_TCP)
        h->chksum = ip_chksum_pseudo(p, IP_PROTO_TCP, p->tot_len, &pcb->local_ip, &pcb->remote_ip);
}

/* Bytes `from` to `from + n` of the data of the segment p, as a segment of its own. */
static struct pbuf *part(const struct pbuf *p, unsigned from, unsigned n)
{
    const struct tcp_hdr *h = p->payload;
    unsigned header = TCPH_HDRLEN_BYTES(h);
    struct pbuf *q = pbuf_alloc(PBUF_IP, (u16_t)(header + n), PBUF_RAM);
    if (!q)
        return NULL;
    struct tcp_hdr *to = q->payload;
    memcpy(to, h, header);
    pbuf_copy_partial(p, (char *)to + header, (u16_t)n, (u16_t)(header + from));
    to->seqno = lwip_htonl(lwip_ntohl(h->seqno) + from);
    if (header + from + n < p->tot_len)
        TCPH_UNSET_FLAG(to, TCP_FIN | TCP_PSH);
    return q;
}

err_t tcp_urgent_output(struct tcp_pcb *pcb, struct pbuf *p, u8_t ttl, u8_t tos,
                        struct netif *netif)
{
    u32_t end = (u32_t)(uintptr_t)pcb->ext_args[TCP_URGENT_ARG].data;
    unsigned header = TCPH_HDRLEN_BYTES((const struct tcp_hdr *)p->payload);
    unsigned data = p->tot_len - header, most = tcp_table_mss(pcb) - (header - TCP_HLEN);
    err_t err = ERR_OK;
    if (TCP_SEQ_GEQ(pcb->lastack, end))
        pcb->ext_args[TCP_URGENT_ARG].data = NULL;
    if (data <= most) {
        net_counters.tcp_sent++;
        mark(pcb, end, p, netif);
        return ip_output_if(p, &pcb->local_ip, &pcb->remote_ip, ttl, tos, IP_PROTO_TCP, netif);
    }
    for (unsigned at = 0; at < data && err == ERR_OK; at += most) {
        struct pbuf *q = part(p, at, MIN(most, data - at));
        if (!q)
            return ERR_MEM;
        net_counters.tcp_sent++;
        mark(pcb, end, q, netif);
        err = ip_output_if(q, &pcb->local_ip, &pcb->remote_ip, ttl, tos, IP_PROTO_TCP, netif);
        pbuf_free(q);
    }
    return err;
}
