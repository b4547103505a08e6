/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP socket's state, for the files that share it: tcp_socket.c (life of a
 * connection), tcp_data.c (bytes in and out), tcp_options.c. Changed under the
 * stack lock; poll reads single words without it.
 */
#pragma once

#include "lwip/tcp.h"
#include "net/inet_options.h"
#include "net/tcp_send.h"
#include "sched/waitq.h"

/* Options of IPPROTO_TCP that are one number. */
enum {
    TCP_N_KEEP_IDLE, /* seconds */
    TCP_N_KEEP_INTERVAL,
    TCP_N_KEEP_COUNT,
    TCP_N_USER_TIMEOUT, /* ms, 0: none */
    TCP_N_SYN_COUNT,
    TCP_N_DEFER_ACCEPT, /* seconds, 0: off */
    TCP_N_MSS,          /* 0: as the network says */
    TCP_N_QUICK_ACK,
    TCP_N_FAST_OPEN,
    TCP_N_FAST_OPEN_CONNECT,
    TCP_N_LINGER2,
    TCP_N_WINDOW_CLAMP,
    TCP_N_NOT_SENT,
    TCP_N_THIN_LINEAR,
    TCP_N_SAVE_SYN,
    TCP_NUMBERS
};

/* The byte at the mark of urgent data: none; on its way or here; taken by MSG_OOB. */
enum tcp_urgent { TCP_URGENT_NONE, TCP_URGENT_WAITS, TCP_URGENT_TAKEN };

enum tcp_phase { FRESH, LISTENING, CONNECTING, OPEN, GONE };

struct tcp_socket {
    struct socket socket;
    struct tcp_pcb *pcb; /* NULL: none, or gone */
    enum tcp_phase phase;
    struct inet_bind bind;
    struct inet_options options;
    int number[TCP_NUMBERS];
    bool no_delay, cork;
    volatile bool got_fin, shut_read, shut_write;
    volatile bool told; /* connect() has answered 0 */
    volatile int error; /* SO_ERROR, a positive errno */
    int soft_error;     /* the network's last word, which becomes the error when time is up; or 0 */
    ip_addr_t peer;
    u16_t peer_port;
    struct pbuf *in_first, *in_last;
    volatile size_t in_bytes;
    volatile enum tcp_urgent urgent; /* net/tcp_urgent.h */
    uint64_t urgent_at;              /* the mark: so many bytes had come before it */
    size_t unreported;               /* read, and lwIP's window does not know */
    size_t window_excess;            /* what lwIP's window is still larger than SO_RCVBUF allows */
    struct tcp_queue out;
    struct tcp_port *port; /* of a listener (tcp_listen.c), on whose list port_link is */
    struct list port_link;
    struct list accepted, deferred; /* of a listener: accept(2) may take them; wait for data */
    struct list accept_link;        /* of a connection, there */
    struct tcp_socket *deferring;   /* the listener where it waits for data */
    volatile unsigned waiting, backlog;
    struct list watch_link; /* sockets with limits that lwIP does not know */
    uint32_t challenged; /* stack_now_ms() of the last answer to a segment that was none of ours */
    uint32_t progress;   /* stack_now_ms() when the peer last acknowledged, or we began */
    uint64_t bytes_acked, bytes_in; /* for TCP_INFO */
    struct waitq readable, writable;
};

static inline struct tcp_socket *tcp_of(struct socket *s)
{
    return (struct tcp_socket *)s;
}

/* Bytes not acknowledged that the socket may hold. */
static inline size_t tcp_send_limit(const struct tcp_socket *t)
{
    const size_t most = 256 * 1024;
    return t->socket.send_sized ? MIN((size_t)t->socket.send_size, most) : most;
}

/* tcp_socket.c */
struct tcp_socket *tcp_socket_new(int family); /* without a file; NULL: no memory */
void tcp_socket_destroy(struct tcp_socket *t);
void tcp_socket_attach(struct tcp_socket *t, struct tcp_pcb *pcb);
/* NULL: half open, closed by the program, in TIME_WAIT. */
struct tcp_socket *tcp_socket_of(const struct tcp_pcb *pcb);
const ip_addr_t *tcp_socket_any(const struct tcp_socket *t);
int tcp_socket_bind(struct tcp_socket *t, const ip_addr_t *ip, u16_t port);
int tcp_socket_pcb(struct tcp_socket *t, struct tcp_pcb **out); /* new, with our address */

/* tcp_data.c: a pbuf that lwIP hands over, the acknowledgement of n bytes. */
void tcp_data_arrived(struct tcp_socket *t, struct tcp_pcb *pcb, struct pbuf *p);
void tcp_data_sent(struct tcp_socket *t, size_t n);
/* What is queued leaves as far as the windows let it; not `all`: but for a last piece that may
 * grow. Inside the bucket. */
void tcp_data_push(struct tcp_socket *t, bool all);
void tcp_data_drop(struct tcp_socket *t); /* frees what was received */
/* The first n bytes of what was received count as read. */
void tcp_data_skip(struct tcp_socket *t, size_t n);
void tcp_wake(struct tcp_socket *t, uint32_t in, uint32_t out);
void tcp_wake_all(struct tcp_socket *t);
ssize_t tcp_data_send(struct socket *s, struct message *m);
ssize_t tcp_data_send_pages(struct socket *s, struct file_pages *p);
ssize_t tcp_data_receive(struct socket *s, struct message *m);
uint32_t tcp_data_poll(struct socket *s, struct poll_table *pt);
size_t tcp_data_queued(struct socket *s, bool out);

/* tcp_options.c: levels of the family and the protocol. */
void tcp_options_init(struct tcp_socket *t);
/* What they say about a connection goes to its pcb. */
void tcp_options_apply(struct tcp_socket *t, struct tcp_pcb *pcb);
int tcp_option_changed(struct socket *s, int name);
void tcp_options_fini(struct tcp_socket *t);
int tcp_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len);
int tcp_option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len);
