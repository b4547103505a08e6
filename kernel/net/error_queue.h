/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network said of datagrams that did not arrive (IP_RECVERR, ip(7)): a queue of a
 * socket's, read by recvmsg(2) with MSG_ERRQUEUE. Under the stack lock.
 */
#pragma once

#include "lib/list.h"
#include "lwip/ip_addr.h"
#include "net/socket.h"

struct pbuf;

/* An ICMP error, as the socket is told. */
struct network_error {
    int error;  /* positive errno */
    bool fatal; /* also for who has not asked for errors; the others are a hint */
    uint8_t type, code;
    uint32_t info;      /* the MTU of the path, for EMSGSIZE */
    ip_addr_t offender; /* who says so */
    ip_addr_t own, to;  /* where the datagram came from, and should have gone */
    u16_t own_port, port;
    struct pbuf *packet; /* the ICMP message; what it quotes of our bytes begins at `quoted` */
    u16_t quoted;
};

struct error_queue {
    struct list entries;
    size_t used; /* bytes, with their cost */
};

void error_queue_init(struct error_queue *q);
void error_queue_fini(struct error_queue *q);
/* Keeps the error if the queue holds less than `room` bytes; else it is lost. */
void error_queue_add(struct error_queue *q, const struct network_error *e, size_t room);
/*
 * recvmsg(2) with MSG_ERRQUEUE on a socket of `family`: the bytes quoted, where they should have
 * gone, and the error as control message. *next: the error that waits behind it, or 0. -EAGAIN.
 */
ssize_t error_queue_receive(struct error_queue *q, int family, struct message *m, int *next);
