/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP keeps its connections in two lists that it walks for every segment and at
 * every tick. Here they are cut into buckets, by a hash of ports and peer, and
 * only the bucket of one connection is hung into lwIP's lists while lwIP works on
 * it: look-up and timers cost the same with ten connections and with ten thousand (the buckets
 * become more with the connections).
 * Every call into TCP is made between enter and leave; calls do not nest. Under
 * the stack lock.
 */
#pragma once

#include "lwip/tcp.h"
#include "net/stack.h"

/* -ENOMEM. */
int tcp_table_init(void);
/* The bucket of the connection, or of the four values that make one. */
void tcp_table_enter(const struct tcp_pcb *pcb);
void tcp_table_enter_key(u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port);
/* No bucket: for calls on listening and unconnected pcbs. */
void tcp_table_enter_none(void);
void tcp_table_leave(void);

/* Retransmission and delayed acknowledgements, where something waits for them. */
void tcp_table_tick(void);
/* What counts in seconds (keep-alive, TIME_WAIT), for every connection. Once a second. */
void tcp_table_sweep(void);
bool tcp_table_busy(void); /* something waits for a tick */
bool tcp_table_any(void);  /* there are connections */

/* The largest segment on the wire; pcb->mss is a multiple where the device cuts segments. */
unsigned tcp_table_mss(const struct tcp_pcb *pcb);
/* The path takes only so much; what is queued stays as it is. Inside the bucket. */
void tcp_table_mss_lower(struct tcp_pcb *pcb, unsigned mss);
/*
 * Cuts the first unsent segment: FIN and PSH go to the second part, while lwIP's own function, for
 * which tcp.c calls this, leaves them on the first too.
 */
err_t tcp_table_split(struct tcp_pcb *pcb, u16_t split);
/*
 * The program has closed the connection: so long it may wait in FIN_WAIT_2 for the other end to do
 * so (a closed connection sends no keep-alive: the time of that is free for it).
 */
void tcp_lifetime_set(struct tcp_pcb *pcb, uint32_t ms);
/* Before a listening pcb is closed: half-open connections point to it. */
void tcp_table_forget_listener(const struct tcp_pcb_listen *listener);
/* Calls fn for every connection that lwIP has, in TIME_WAIT too. */
void tcp_table_each(void (*fn)(const struct tcp_pcb *pcb, void *arg), void *arg);
