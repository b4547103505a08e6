/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP sockets over lwIP's raw interface: how they come, connect and go. Main
 * struct: tcp_socket (net/tcp_state.h). Everything under the stack lock.
 */
#include "net/tcp_socket.h"

#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/poll.h>

#include "lwip/priv/tcp_priv.h"
#include "net/abi.h"
#include "net/netstat.h"
#include "net/tcp_listen.h"
#include "net/tcp_options.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"
#include "net/tcp_urgent.h"
#include "sched/clock.h"
#include "sched/thread.h"

#define FLUSH_TICKS (200 / TCP_SLOW_INTERVAL)
#define PORT_TRIES  64 /* ports of ours whose connection to that peer is still in TIME_WAIT */
static const struct socket_ops tcp_ops;

struct tcp_socket *tcp_socket_new(int family)
{
    struct tcp_socket *t = kzalloc(sizeof *t);
    if (!t)
        return NULL;
    socket_init(&t->socket, &tcp_ops, family, SOCK_STREAM, IPPROTO_TCP);
    inet_options_init(&t->options, family);
    tcp_options_init(t);
    list_init(&t->port_link);
    list_init(&t->watch_link);
    list_init(&t->accepted);
    list_init(&t->deferred);
    list_init(&t->accept_link);
    waitq_init(&t->readable);
    waitq_init(&t->writable);
    return t;
}

int tcp_create(int family, uint32_t flags, struct file **out)
{
    struct tcp_socket *t = tcp_socket_new(family);
    if (!t)
        return -ENOMEM;
    int err = socket_file(&t->socket, flags, out);
    if (err)
        kfree(t);
    return err;
}

/* What lwIP calls, inside a bucket. */

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcp_socket *t = arg;
    (void)err;
    if (!p) {
        t->got_fin = true;
        tcp_wake(t, POLLIN | POLLRDNORM | POLLRDHUP, POLLOUT);
        if (t->deferring)
            tcp_listen_ready(t);
        return ERR_OK;
    }
    t->bytes_in += p->tot_len;
    tcp_data_arrived(t, pcb, p);
    if (t->deferring)
        tcp_listen_ready(t);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    struct tcp_socket *t = arg;
    (void)pcb;
    t->progress = stack_now_ms();
    t->bytes_acked += n;
    tcp_data_sent(t, n);
    if (!t->out.bytes) /* also what waits for the end of everything */
        tcp_wake(t, 0, POLLOUT | POLLWRNORM);
    return ERR_OK;
}

/* The pcb is gone. */
static void on_error(void *arg, err_t err)
{
    struct tcp_socket *t = arg;
    bool connecting = t->phase == CONNECTING;
    net_counters.connects_failed += connecting;
    net_counters.resets += !connecting && err != ERR_CLSD;
    t->pcb = NULL;
    t->phase = GONE;
    tcp_queue_free(&t->out);
    if (err == ERR_RST)
        t->error = connecting ? ECONNREFUSED : ECONNRESET;
    else if (err != ERR_CLSD)
        t->error = t->soft_error ? t->soft_error : ETIMEDOUT;
    else
        t->got_fin = true;
    tcp_wake_all(t);
    if (t->deferring)
        tcp_listen_drop(t);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_socket *t = arg;
    (void)err;
    t->phase = OPEN;
    t->progress = stack_now_ms();
    tcp_options_apply(t, pcb);
    tcp_wake(t, 0, POLLOUT | POLLWRNORM);
    return ERR_OK;
}

void tcp_socket_attach(struct tcp_socket *t, struct tcp_pcb *pcb)
{
    t->pcb = pcb;
    tcp_arg(pcb, t);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    ip_set_option(pcb, SOF_REUSEADDR); /* who may have which port: net/inet.c */
    tcp_poll(pcb, NULL, FLUSH_TICKS);  /* corked data leaves at last */
    if (t->no_delay)
        tcp_nagle_disable(pcb);
    tcp_options_apply(t, pcb);
}

struct tcp_socket *tcp_socket_of(const struct tcp_pcb *pcb)
{
    return pcb->errf == on_error ? pcb->callback_arg : NULL;
}

/* TCP_LINGER2 of tcp(7), ms: 0 is the default, less is none. */
static uint32_t closed_lifetime(const struct tcp_socket *t)
{
    const int usual = 60, most = 120, seconds = t->number[TCP_N_LINGER2];
    return (uint32_t)(seconds < 0 ? 0 : seconds ? MIN(seconds, most) : usual) * 1000;
}

/* Closes the connection: data unread, or SO_LINGER with 0, resets it. */
static void connection_close(struct tcp_socket *t)
{
    struct tcp_pcb *pcb = t->pcb;
    bool reset = t->in_bytes || (t->socket.linger[0] && !t->socket.linger[1]);
    t->pcb = NULL;
    tcp_table_enter(pcb);
    tcp_recv(pcb, NULL);
    if (reset || !tcp_queue_orphan(&t->out, pcb)) {
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
        tcp_queue_free(&t->out);
    } else {
        tcp_lifetime_set(pcb, closed_lifetime(t));
        pcb->rcv_wnd = TCP_WND_MAX(pcb); /* all was read: lwIP would reset the connection */
        if (tcp_close(pcb) != ERR_OK)
            tcp_abort(pcb);
    }
    tcp_table_leave();
}

void tcp_socket_destroy(struct tcp_socket *t)
{
    if (t->phase == LISTENING)
        tcp_listen_close(t);
    else if (t->pcb)
        connection_close(t);
    tcp_options_fini(t);
    tcp_data_drop(t);
    tcp_queue_free(&t->out);
    inet_bind_release(&t->bind);
    kfree(t);
}

/* What was sent is not acknowledged yet, nor the end of it. */
static bool unfinished(const struct tcp_socket *t)
{
    return t->pcb && t->pcb->state != TIME_WAIT && t->pcb->state != FIN_WAIT_2 && !t->in_bytes;
}

/* SO_LINGER with a time: close(2) waits until everything has arrived. */
static void linger(struct tcp_socket *t)
{
    uint64_t deadline = clock_now() + (uint64_t)t->socket.linger[1] * NSEC_PER_SEC;
    struct waiter w;
    int err = 0;
    waiter_init(&w);
    for (;;) {
        waitq_add(&t->writable, &w);
        stack_lock();
        bool wait = unfinished(t);
        stack_unlock();
        if (!wait || err)
            break;
        err = thread_block(deadline, true);
    }
    waitq_remove(&w);
}

static void tcp_sock_release(struct socket *s)
{
    struct tcp_socket *t = tcp_of(s);
    stack_lock();
    bool waits = s->linger[0] && s->linger[1] > 0 && t->phase == OPEN && unfinished(t);
    if (waits && !t->shut_write) {
        t->shut_write = true;
        tcp_table_enter(t->pcb);
        tcp_shutdown(t->pcb, 0, 1);
        tcp_table_leave();
    }
    stack_unlock();
    if (waits)
        linger(t);
    stack_lock();
    tcp_socket_destroy(t);
    stack_unlock();
}

const ip_addr_t *tcp_socket_any(const struct tcp_socket *t)
{
    return t->socket.family == AF_INET     ? IP4_ADDR_ANY
           : inet_any_version(&t->options) ? IP_ANY_TYPE
                                           : IP6_ADDR_ANY;
}

int tcp_socket_bind(struct tcp_socket *t, const ip_addr_t *ip, u16_t port)
{
    t->bind.reuse_address = socket_option_on(&t->socket, SO_REUSEADDR);
    t->bind.reuse_port = socket_option_on(&t->socket, SO_REUSEPORT);
    t->bind.foreign = t->options.number[INET_FREEBIND] || t->options.number[INET6_FREEBIND] ||
                      t->options.number[INET_TRANSPARENT];
    return inet_bind_take(&t->bind, IPPROTO_TCP, ip, port);
}

static int tcp_sock_bind(struct socket *s, const struct message *name)
{
    struct tcp_socket *t = tcp_of(s);
    ip_addr_t ip;
    u16_t port;
    stack_lock();
    int err = inet_address_of(name, s->family, &ip, &port);
    if (!err && (t->bind.port || t->phase != FRESH))
        err = -EINVAL;
    if (!err)
        err =
            tcp_socket_bind(t, ip_addr_isany(&ip) && IP_IS_V6(&ip) ? tcp_socket_any(t) : &ip, port);
    stack_unlock();
    return err;
}

int tcp_socket_pcb(struct tcp_socket *t, struct tcp_pcb **out)
{
    tcp_table_enter_none();
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&t->bind.address));
    if (!pcb)
        return -ENOMEM;
    ip_set_option(pcb, SOF_REUSEADDR);
    pcb->netif_idx = (u8_t)t->socket.device;
    int err = inet_error(tcp_bind(pcb, &t->bind.address, t->bind.port));
    if (err)
        tcp_abort(pcb);
    *out = pcb;
    return err;
}

/* The address that packets to `ip` leave with. */
static int source_address(const ip_addr_t *ip, ip_addr_t *own)
{
    ip_addr_t any = IP_IS_V6(ip) ? *IP6_ADDR_ANY : *IP4_ADDR_ANY;
    struct netif *netif = ip_route(&any, ip);
    const ip_addr_t *from = netif ? ip_netif_get_local_ip(netif, ip) : NULL;
    if (!from)
        return -ENETUNREACH;
    *own = *from;
    return 0;
}

/* Sends the first segment, from the port that is bound. -EADDRINUSE: such a connection exists. */
static int connect_start(struct tcp_socket *t, const ip_addr_t *ip, u16_t port)
{
    struct tcp_pcb *pcb = NULL;
    int err = tcp_socket_pcb(t, &pcb);
    if (err)
        return err;
    tcp_socket_attach(t, pcb);
    t->peer = *ip;
    t->peer_port = port;
    t->phase = CONNECTING;
    tcp_table_enter_key(t->bind.port, ip, port);
    err = inet_error(tcp_connect(pcb, ip, port, on_connected));
    tcp_table_leave();
    if (!err)
        return 0;
    tcp_table_enter_none();
    tcp_err(pcb, NULL);
    tcp_abort(pcb);
    t->pcb = NULL;
    t->phase = FRESH;
    return err;
}

static int connect_locked(struct tcp_socket *t, ip_addr_t *ip, u16_t port)
{
    bool chosen = !t->bind.port;
    ip_addr_t own = t->bind.address;
    int err = 0;
    if (ip_addr_isany(ip)) /* as Linux: this machine */
        *ip = inet_this_machine();
    if (chosen || ip_addr_isany(&own) || IP_IS_ANY_TYPE_VAL(own))
        err = source_address(ip, &own);
    for (unsigned i = 0; !err && i < (chosen ? PORT_TRIES : 1); i++) {
        if (chosen)
            err = tcp_socket_bind(t, &own, 0);
        if (err)
            break;
        t->bind.address = own;
        err = connect_start(t, ip, port);
        if (!err)
            return -EINPROGRESS;
        if (!chosen)
            break;
        inet_bind_release(&t->bind);
        if (err == -EADDRINUSE && i + 1 < PORT_TRIES)
            err = 0;
    }
    return err == -EADDRINUSE ? -EADDRNOTAVAIL : err;
}

static int tcp_sock_connect(struct socket *s, const struct message *to)
{
    struct tcp_socket *t = tcp_of(s);
    ip_addr_t ip;
    u16_t port;
    stack_lock();
    int err = inet_address_of(to, s->family, &ip, &port);
    if (!err && t->phase == FRESH)
        err = connect_locked(t, &ip, port);
    else if (!err && t->phase == CONNECTING)
        err = -EALREADY;
    else if (!err && t->phase == OPEN && !t->told)
        t->told = true;
    else if (!err && t->phase == GONE && t->error)
        err = -__atomic_exchange_n(&t->error, 0, __ATOMIC_RELAXED);
    else if (!err)
        err = t->phase == LISTENING || t->phase == OPEN ? -EISCONN : -ECONNABORTED;
    stack_unlock();
    return err;
}

static int tcp_sock_connect_done(struct socket *s)
{
    struct tcp_socket *t = tcp_of(s);
    if (t->phase == CONNECTING)
        return -EAGAIN;
    t->told = true;
    return t->phase == GONE ? -__atomic_exchange_n(&t->error, 0, __ATOMIC_RELAXED) : 0;
}

static int tcp_sock_shutdown(struct socket *s, int how)
{
    struct tcp_socket *t = tcp_of(s);
    int err = 0;
    stack_lock();
    if (t->phase == LISTENING && how != SHUT_WR) {
        tcp_listen_close(t);
        t->phase = FRESH;
    } else if (t->phase != OPEN && t->phase != GONE) {
        err = -ENOTCONN;
    } else {
        t->shut_read |= how != SHUT_WR;
        if (how != SHUT_RD && !t->shut_write && t->pcb) {
            t->shut_write = true;
            tcp_table_enter(t->pcb);
            tcp_shutdown(t->pcb, 0, 1);
            tcp_table_leave();
        } else if (how != SHUT_RD && !t->pcb) {
            err = -ENOTCONN;
        }
    }
    if (!err)
        tcp_wake_all(t);
    stack_unlock();
    return err;
}

static int tcp_sock_name(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out,
                         unsigned *len)
{
    struct tcp_socket *t = tcp_of(s);
    int err = 0;
    stack_lock();
    if (!peer)
        *len = inet_name(s->family, t->bind.port ? &t->bind.address : NULL, t->bind.port, out);
    else if (t->phase == OPEN)
        *len = inet_name(s->family, &t->peer, t->peer_port, out);
    else
        err = -ENOTCONN;
    stack_unlock();
    return err;
}

static int tcp_sock_error(struct socket *s)
{
    return __atomic_exchange_n(&tcp_of(s)->error, 0, __ATOMIC_RELAXED);
}

static bool tcp_sock_listening(struct socket *s)
{
    return tcp_of(s)->phase == LISTENING;
}

static int tcp_sock_at_mark(struct socket *s)
{
    stack_lock();
    bool here = tcp_urgent_here(tcp_of(s));
    stack_unlock();
    return here;
}

struct each {
    void (*fn)(void *arg, const struct inet_view *v);
    void *arg;
};

static void each_pcb(const struct tcp_pcb *pcb, void *arg)
{
    const struct each *e = arg;
    const struct tcp_socket *t = tcp_socket_of(pcb);
    struct inet_view v = {.family = IP_IS_V6_VAL(pcb->local_ip) ? AF_INET6 : AF_INET,
                          .local = pcb->local_ip,
                          .local_port = pcb->local_port,
                          .remote = pcb->remote_ip,
                          .remote_port = pcb->remote_port,
                          .state = tcp_state_of(pcb),
                          .retransmissions = pcb->nrtx};
    if (t) {
        v.family = t->socket.family;
        v.in = t->in_bytes;
        v.out = tcp_data_queued((struct socket *)(uintptr_t)&t->socket, true);
        v.ino = t->socket.ino;
    }
    e->fn(e->arg, &v);
}

void tcp_each(void (*fn)(void *arg, const struct inet_view *v), void *arg)
{
    tcp_listen_each(fn, arg);
    tcp_table_each(each_pcb, &(struct each){fn, arg});
}

static const struct socket_ops tcp_ops = {
    .send = tcp_data_send,
    .send_pages = tcp_data_send_pages,
    .receive = tcp_data_receive,
    .receive_urgent = tcp_urgent_receive,
    .at_mark = tcp_sock_at_mark,
    .poll = tcp_data_poll,
    .bind = tcp_sock_bind,
    .listen = tcp_listen_begin,
    .accept = tcp_listen_accept,
    .connect = tcp_sock_connect,
    .connect_done = tcp_sock_connect_done,
    .shutdown = tcp_sock_shutdown,
    .name = tcp_sock_name,
    .set_option = tcp_option_set,
    .get_option = tcp_option_get,
    .option_changed = tcp_option_changed,
    .queued = tcp_data_queued,
    .error = tcp_sock_error,
    .listening = tcp_sock_listening,
    .release = tcp_sock_release,
};
