/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stack has counted since it started: lwIP's own counters (RFC 1213) and those of what
 * we do beside it. Told by /proc/net/snmp and /proc/net/netstat. Under the stack lock.
 */
#pragma once

#include "lib/types.h"

struct net_counters {
    uint64_t tcp_sent;         /* segments, retransmissions too */
    uint64_t connects_failed;  /* before they were open */
    uint64_t resets;           /* open connections that did not end by FIN */
    uint64_t listen_overflows; /* connections refused because nobody accepts */
    uint64_t half_open_drops;  /* forgotten because too many did not answer */
    uint64_t blind;            /* segments that are no answer to ours (RFC 5961) */
    uint64_t stale;            /* older than what has come (PAWS) */
    uint64_t challenges;       /* acknowledgements sent because of these two */
    uint64_t unchallenged;     /* not sent, as there were some just before */
    uint64_t udp_full;         /* datagrams that a socket had no room for */
};
extern struct net_counters net_counters;

struct seq;
int netstat_snmp_text(struct seq *s);
int netstat_text(struct seq *s);
