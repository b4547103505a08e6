/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IPPROTO_IP and IPPROTO_IPV6 that all protocols have: ip(7), ipv6(7).
 * Most are numbers that are kept here; whoever sends or receives asks for them.
 * Under the stack lock.
 */
#pragma once

#include "lwip/ip.h"
#include "net/inet.h"

/* Which number: INET_* of IPv4 first. */
enum {
    INET_TOS,
    INET_TTL, /* -1: the default */
    INET_MULTICAST_TTL,
    INET_MULTICAST_LOOP,
    INET_MULTICAST_ALL,
    INET_MTU_DISCOVER,
    INET_RECV_TTL,
    INET_RECV_TOS,
    INET_PKTINFO,
    INET_RECV_ERR,
    INET_FREEBIND,
    INET_TRANSPARENT,
    INET_BIND_NO_PORT,
    INET_MINTTL,
    INET6_TCLASS,
    INET6_HOPS, /* -1: the default */
    INET6_MULTICAST_HOPS,
    INET6_MULTICAST_LOOP,
    INET6_MULTICAST_ALL,
    INET6_MTU_DISCOVER,
    INET6_RECV_PKTINFO,
    INET6_RECV_HOPLIMIT,
    INET6_RECV_TCLASS,
    INET6_RECV_ERR,
    INET6_FREEBIND,
    INET6_DONTFRAG,
    INET6_V6ONLY,
    INET_NUMBERS
};

/* A multicast group that a socket has joined. */
struct inet_group {
    struct inet_group *next;
    unsigned device;
    ip_addr_t address;
};

struct inet_options {
    int number[INET_NUMBERS];
    unsigned multicast_device; /* index of the interface; 0: by the routes */
    struct inet_group *groups;
};

void inet_options_init(struct inet_options *o, int family);
void inet_options_fini(struct inet_options *o); /* leaves the groups */
/* TOS and TTL of packets to addresses of that version. */
void inet_options_apply(const struct inet_options *o, bool v6, u8_t *ttl, u8_t *tos);
static inline bool inet_any_version(const struct inet_options *o)
{
    return !o->number[INET6_V6ONLY];
}

/* As option_set(), for s of a protocol with these options; `bound`: it has an address. Take the
 * stack lock. */
int inet_option_set(struct socket *s, struct inet_options *o, bool bound, int level, int name,
                    struct uptr value, unsigned len);
/* `peer`: NULL while not connected. */
int inet_option_get(struct socket *s, const struct inet_options *o, const ip_addr_t *peer,
                    int level, int name, struct uptr value, unsigned *len);

/* inet_groups.c: options that name a group or an interface; -ENOPROTOOPT: it is none of those. */
int inet_group_option(struct socket *s, struct inet_options *o, int level, int name,
                      struct uptr value, unsigned len);

/* What came with a packet, for control messages. */
struct inet_arrival {
    ip_addr_t to;
    u8_t device, ttl, tos;
    uint64_t time; /* of day, ns */
};
void inet_arrival_now(struct inet_arrival *a); /* of the packet that lwIP hands over */
/* Control messages that the options ask for; family: the socket's. */
void inet_arrival_tell(const struct inet_arrival *a, const struct socket *s,
                       const struct inet_options *o, struct message *m);
/* What a send's control messages ask for. */
struct inet_departure {
    bool has_source;
    ip_addr_t source;
    unsigned device; /* 0: by the routes */
    int ttl, tos;    /* -1: as the options say */
    int segment;     /* UDP_SEGMENT: bytes of each datagram; -1: as the option says */
};
/* -EINVAL. */
int inet_departure_get(const struct message *m, struct inet_departure *d);
