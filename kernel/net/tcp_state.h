/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP socket's state, for the files that share it: tcp_socket.c (life of a
 * connection), tcp_data.c (bytes in and out), tcp_options.c. Changed under the
 * stack lock; poll reads single words without it.
 */
#pragma once

#include "lwip/tcp.h"
#include "net/inet.h"
#include "net/tcp_send.h"
#include "sched/waitq.h"

enum tcp_phase { FRESH, LISTENING, CONNECTING, OPEN, GONE };

struct tcp_socket {
    struct socket socket;
    struct tcp_pcb *pcb; /* NULL: none, or gone */
    enum tcp_phase phase;
    struct inet_bind bind;
    bool any_version; /* AF_INET6 without IPV6_V6ONLY */
    bool no_delay, cork;
    volatile bool got_fin, shut_read, shut_write;
    volatile bool told; /* connect() has answered 0 */
    volatile int error; /* SO_ERROR, a positive errno */
    ip_addr_t peer;
    u16_t peer_port;
    struct pbuf *in_first, *in_last;
    volatile size_t in_bytes;
    size_t unreported; /* read, and lwIP's window does not know */
    struct tcp_queue out;
    struct list accepted, accept_link; /* of a listener, of a connection that waits there */
    volatile unsigned waiting, backlog;
    struct waitq readable, writable;
};

static inline struct tcp_socket *tcp_of(struct socket *s)
{
    return (struct tcp_socket *)s;
}

/* tcp_data.c: a pbuf that lwIP hands over, the acknowledgement of n bytes. */
void tcp_data_arrived(struct tcp_socket *t, struct tcp_pcb *pcb, struct pbuf *p);
void tcp_data_sent(struct tcp_socket *t, size_t n);
void tcp_data_drop(struct tcp_socket *t); /* frees what was received */
void tcp_wake(struct tcp_socket *t, uint32_t in, uint32_t out);
void tcp_wake_all(struct tcp_socket *t);
ssize_t tcp_data_send(struct socket *s, struct message *m);
ssize_t tcp_data_receive(struct socket *s, struct message *m);
uint32_t tcp_data_poll(struct socket *s, struct poll_table *pt);
size_t tcp_data_queued(struct socket *s, bool out);

/* tcp_options.c: levels of the family and the protocol. */
int tcp_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len);
int tcp_option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len);
