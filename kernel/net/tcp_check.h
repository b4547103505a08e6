/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lwIP takes more easily than Linux does: segments are judged here before it sees
 * them, and the resets that answer segments are ours. Under the stack lock.
 */
#pragma once

#include "lwip/tcp.h"

struct netif;

/* Is the checksum of the segment right, or vouched for by the device? */
bool tcp_check_sum(struct pbuf *p, const struct netif *netif);
/*
 * Of every segment, with the connection's bucket hung in; pcb: the connection, NULL if there is
 * none (TIME_WAIT counts as none). False: drop it; what is to be answered has been.
 */
bool tcp_check_segment(struct tcp_pcb *pcb, struct pbuf *p, const struct netif *netif);
