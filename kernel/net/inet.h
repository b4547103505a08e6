/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Internet families share: addresses between Linux' form and lwIP's, and
 * who holds which port. Under the stack lock.
 */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "lib/list.h"
#include "lwip/ip_addr.h"
#include "lwip/err.h"
#include "net/socket.h"
#include "net/stack.h"

/* AF_INET or AF_INET6. -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM. */
int inet_create(int family, int type, int protocol, uint32_t flags, struct file **out);

/* A hold on a port. */
struct inet_bind {
    struct list link;
    ip_addr_t address; /* any: all of its version, or of both (IPADDR_TYPE_ANY) */
    u16_t port;        /* 0: none held */
    u8_t protocol;     /* IPPROTO_TCP, IPPROTO_UDP */
    bool reuse_address, reuse_port, listening;
    bool foreign; /* the address need not be ours */
};

/*
 * The address in m for a socket of `family`: v4-mapped IPv6 addresses become IPv4.
 * -EINVAL (too short), -EAFNOSUPPORT.
 */
int inet_address_of(const struct message *m, int family, ip_addr_t *ip, u16_t *port);
/* The other way, as a socket of `family` shows it; the length. */
unsigned inet_name(int family, const ip_addr_t *ip, u16_t port,
                   struct __kernel_sockaddr_storage *out);
/* Where connecting to the unspecified address leads: 127.0.0.1. */
ip_addr_t inet_this_machine(void);
/* Takes the port, or a free one for 0. -EADDRINUSE, -EADDRNOTAVAIL (not ours). */
int inet_bind_take(struct inet_bind *b, u8_t protocol, const ip_addr_t *ip, u16_t port);
/* The same port and options for an accepted connection. */
void inet_bind_share(struct inet_bind *b, const struct inet_bind *from, const ip_addr_t *ip);
void inet_bind_release(struct inet_bind *b);
/*
 * The member of b's SO_REUSEPORT group that a datagram or connection with this hash
 * belongs to; b itself where there is no group.
 */
struct inet_bind *inet_bind_member(struct inet_bind *b, uint32_t hash);
/* Another hold that forbids listening here. */
bool inet_bind_listened(const struct inet_bind *b);
/* 0 or -errno. */
int inet_error(err_t err);
