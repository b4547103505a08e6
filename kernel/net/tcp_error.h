/* SPDX-License-Identifier: Apache-2.0 */
/* What ICMP says about TCP connections of ours. Under the stack lock, outside of all buckets. */
#pragma once

#include "lwip/ip_addr.h"

/* The segment of ours that an ICMP error quotes. */
struct tcp_quote {
    u16_t local_port, remote_port;
    ip_addr_t remote_ip;
    u32_t seq;
};

/* It did not arrive: ends a connection that is beginning; else it is why one that times out does.
 */
void tcp_error_report(const struct tcp_quote *q, int error);
/* It was too long for the path, which takes packets of that size. */
void tcp_error_mtu(const struct tcp_quote *q, unsigned mtu);
