/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening TCP sockets. lwIP has one listener for an address; here it belongs to a
 * `struct tcp_port`, whose members are the sockets that share it (SO_REUSEPORT) and
 * get new connections in turn. Connections that have not answered yet are counted:
 * when there are too many, the oldest is forgotten. Under the stack lock, but the
 * two calls of sockets.
 */
#pragma once

#include "lwip/tcp.h"
#include "net/socket.h"

struct tcp_socket;

int tcp_listen_begin(struct socket *s, int backlog);
int tcp_listen_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name);
/* It listens no more; connections that wait there are reset. */
void tcp_listen_close(struct tcp_socket *t);
/*
 * May a connection to that address begin now? Before lwIP sees it, outside of all
 * buckets; true where nobody listens.
 */
bool tcp_listen_admit(const ip_addr_t *to, u16_t port);
/* TCP_DEFER_ACCEPT: the connection has data, or is gone (t is freed). */
void tcp_listen_ready(struct tcp_socket *t);
void tcp_listen_drop(struct tcp_socket *t);
void tcp_listen_tick(void); /* once a second */
