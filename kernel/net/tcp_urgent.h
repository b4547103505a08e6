/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Urgent data (tcp(7), MSG_OOB): a mark in the stream of bytes, and the byte at it. lwIP knows of
 * the header's flag alone, so both ways stand beside it: what arrives is noted before lwIP sees the
 * segment, and a segment on its way out gets flag and pointer behind lwIP's back. Under the stack
 * lock, inside the connection's bucket.
 *
 * As on Linux (net.ipv4.tcp_stdurg 0), the pointer names the byte behind the urgent one.
 */
#pragma once

#include "lwip/tcp.h"
#include "net/tcp_state.h"

#define TCP_URGENT_ARG                                                                             \
    3 /* lwIP's extension argument: where the urgent data we send ends; 0: none */

/* A segment with URG that lwIP is going to get. */
void tcp_urgent_arrived(struct tcp_pcb *pcb, const struct pbuf *p);
/* recv(2) with MSG_OOB: the byte. -EINVAL (none, or taken), -EAGAIN (on its way), -ENOTCONN. */
ssize_t tcp_urgent_receive(struct socket *s, struct message *m);
/* The program's next byte is the urgent one. Poll asks without the lock. */
static inline bool tcp_urgent_here(const struct tcp_socket *t)
{
    return t->urgent && t->urgent_at == t->bytes_in - t->in_bytes;
}
/* The byte has come, and nobody has taken it. */
static inline bool tcp_urgent_ready(const struct tcp_socket *t)
{
    return t->urgent == TCP_URGENT_WAITS && t->urgent_at < t->bytes_in;
}
/* Bytes that can be read before the mark, or all. */
size_t tcp_urgent_before(const struct tcp_socket *t);

/* What has been given to the connection so far ends with an urgent byte. */
void tcp_urgent_send(struct tcp_pcb *pcb);
static inline bool tcp_urgent_sends(const struct tcp_pcb *pcb)
{
    return pcb->ext_args[TCP_URGENT_ARG].data;
}
/*
 * Sends the segment p, a TCP header and what follows, with what is to be said of urgent data. A
 * long one for the device to cut would carry the same pointer in all its parts: it is cut here.
 */
err_t tcp_urgent_output(struct tcp_pcb *pcb, struct pbuf *p, u8_t ttl, u8_t tos,
                        struct netif *netif);
