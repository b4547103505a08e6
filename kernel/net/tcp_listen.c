/* SPDX-License-Identifier: Apache-2.0 */
/* Listening TCP sockets: see tcp_listen.h. */
#include "net/tcp_listen.h"

#include <linux/errno.h>
#include <linux/poll.h>

#include "lib/string.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/netstat.h"
#include "net/tcp_options.h"
#include "net/tcp_socket.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"

#define BACKLOG_MAX   4096  /* net.core.somaxconn */
#define HALF_OPEN_MAX 1024  /* connections of a port that have not answered */
#define HALF_OPEN_MS  62000 /* SYN|ACK after 0, 1, 3, 7, 15, 31 s, and not after 63 */
#define HALF_OPEN_ARG 2     /* lwIP's extension argument of those */

struct tcp_port {
    struct tcp_pcb *pcb;
    struct list members;   /* tcp_socket.port_link; the next to get a connection first */
    struct list half_open; /* oldest first */
    unsigned half_open_count;
};

struct half_open {
    struct list link;
    struct tcp_port *port;
    struct tcp_pcb *pcb;
    uint32_t since; /* stack_now_ms() */
};

void (*tcp_listening)(uint16_t port);

static void half_open_end(struct half_open *h)
{
    list_remove(&h->link);
    h->port->half_open_count--;
    kfree(h);
}

static void half_open_destroyed(u8_t id, void *data)
{
    (void)id;
    if (data)
        half_open_end(data);
}

static err_t half_open_begin(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb);

static const struct tcp_ext_arg_callbacks listener_callbacks = {NULL, half_open_begin};
static const struct tcp_ext_arg_callbacks half_open_callbacks = {half_open_destroyed, NULL};

static err_t half_open_begin(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    struct half_open *h = kmalloc(sizeof *h);
    if (!h)
        return ERR_MEM;
    h->port = listener->callback_arg;
    h->pcb = pcb;
    h->since = stack_now_ms();
    list_add_tail(&h->port->half_open, &h->link);
    h->port->half_open_count++;
    tcp_ext_arg_set(pcb, id, h);
    tcp_ext_arg_set_callbacks(pcb, id, &half_open_callbacks);
    return ERR_OK;
}

/* The oldest: as if it had never been. */
static void half_open_drop(struct tcp_port *port)
{
    struct tcp_pcb *oldest = LIST_ENTRY(port->half_open.next, struct half_open, link)->pcb;
    tcp_table_enter(oldest);
    tcp_abandon(oldest, 0);
    tcp_table_leave();
}

static bool is_full(const struct tcp_socket *l)
{
    return l->waiting > l->backlog;
}

/* The member whose turn it is; NULL: all have enough. */
static struct tcp_socket *member_next(struct tcp_port *port)
{
    LIST_FOR_EACH(l, &port->members)
    {
        struct tcp_socket *t = LIST_ENTRY(l, struct tcp_socket, port_link);
        if (!is_full(t))
            return t;
    }
    return NULL;
}

/* accept(2) may take it. */
static void queue_add(struct tcp_socket *l, struct tcp_socket *t)
{
    list_add_tail(&l->accepted, &t->accept_link);
    l->waiting++;
    tcp_wake(l, POLLIN | POLLRDNORM, 0);
}

void tcp_listen_ready(struct tcp_socket *t)
{
    struct tcp_socket *l = t->deferring;
    list_remove(&t->accept_link);
    t->deferring = NULL;
    queue_add(l, t);
}

void tcp_listen_drop(struct tcp_socket *t)
{
    list_remove(&t->accept_link);
    t->deferring = NULL;
    tcp_socket_destroy(t);
}

/* The socket of a new connection, without a file as yet. */
static struct tcp_socket *connection_new(struct tcp_socket *l, struct tcp_pcb *pcb)
{
    struct tcp_socket *t = tcp_socket_new(l->socket.family);
    if (!t)
        return NULL;
    t->no_delay = l->no_delay;
    socket_inherit(&t->socket, &l->socket);
    memcpy(t->number, l->number, sizeof t->number);
    memcpy(t->options.number, l->options.number, sizeof t->options.number);
    t->phase = OPEN;
    t->told = true;
    t->progress = stack_now_ms();
    t->peer = pcb->remote_ip;
    t->peer_port = pcb->remote_port;
    inet_bind_share(&t->bind, &l->bind, &pcb->local_ip);
    tcp_socket_attach(t, pcb);
    return t;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tcp_port *port = arg;
    if (err != ERR_OK || !pcb || !port)
        return ERR_VAL;
    struct half_open *h = tcp_ext_arg_get(pcb, HALF_OPEN_ARG);
    tcp_ext_arg_set(pcb, HALF_OPEN_ARG, NULL);
    if (h)
        half_open_end(h);
    struct tcp_socket *l = member_next(port);
    if (!l) /* they all filled up since it began: one more, rather than a reset */
        l = LIST_ENTRY(port->members.next, struct tcp_socket, port_link);
    struct tcp_socket *t = connection_new(l, pcb);
    if (!t)
        return ERR_MEM;
    list_remove(&l->port_link);
    list_add_tail(&port->members, &l->port_link);
    if (l->number[TCP_N_DEFER_ACCEPT]) {
        t->deferring = l;
        list_add_tail(&l->deferred, &t->accept_link);
    } else {
        queue_add(l, t);
    }
    return ERR_OK;
}

/* lwIP's listener for the socket's address. */
static int port_create(struct tcp_socket *t, struct tcp_port **out)
{
    struct tcp_pcb *pcb;
    struct tcp_port *port = kzalloc(sizeof *port);
    if (!port)
        return -ENOMEM;
    int err = tcp_socket_pcb(t, &pcb);
    if (err) {
        kfree(port);
        return err;
    }
    err_t failed = ERR_OK;
    port->pcb = tcp_listen_with_backlog_and_err(pcb, 0, &failed);
    if (!port->pcb) {
        tcp_abort(pcb);
        kfree(port);
        return inet_error(failed);
    }
    list_init(&port->members);
    list_init(&port->half_open);
    tcp_arg(port->pcb, port);
    tcp_accept(port->pcb, on_accept);
    tcp_ext_arg_set_callbacks(port->pcb, HALF_OPEN_ARG, &listener_callbacks);
    *out = port;
    return 0;
}

static void port_destroy(struct tcp_port *port)
{
    while (!list_empty(&port->half_open)) /* an answer to it is a stranger's */
        half_open_drop(port);
    tcp_table_forget_listener((struct tcp_pcb_listen *)port->pcb);
    tcp_table_enter_none();
    tcp_close(port->pcb);
    kfree(port);
}

/* The port of the address, if somebody listens there already; inet_bind_listened() allows it. */
static struct tcp_port *port_find(const struct tcp_socket *t)
{
    for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next)
        if (l->local_port == t->bind.port &&
            IP_GET_TYPE(&l->local_ip) == IP_GET_TYPE(&t->bind.address) &&
            ip_addr_eq(&l->local_ip, &t->bind.address))
            return l->callback_arg;
    return NULL;
}

static int listen_locked(struct tcp_socket *t, int backlog)
{
    if (t->phase != FRESH && t->phase != LISTENING)
        return -EINVAL;
    t->backlog = (unsigned)(backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog);
    if (t->phase == LISTENING)
        return 0;
    int err = t->bind.port ? 0 : tcp_socket_bind(t, tcp_socket_any(t), 0);
    if (!err && inet_bind_listened(&t->bind))
        err = -EADDRINUSE;
    if (err)
        return err;
    t->port = port_find(t);
    if (!t->port)
        err = port_create(t, &t->port);
    if (err)
        return err;
    list_add_tail(&t->port->members, &t->port_link);
    t->phase = LISTENING;
    t->bind.listening = true;
    if (tcp_listening)
        tcp_listening(t->bind.port);
    return 0;
}

int tcp_listen_begin(struct socket *s, int backlog)
{
    stack_lock();
    int err = listen_locked(tcp_of(s), backlog);
    stack_unlock();
    return err;
}

int tcp_listen_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name)
{
    struct tcp_socket *l = tcp_of(s), *t = NULL;
    int err = -EINVAL;
    stack_lock();
    if (l->phase == LISTENING)
        err = list_empty(&l->accepted) ? -EAGAIN : 0;
    if (!err) {
        t = LIST_ENTRY(l->accepted.next, struct tcp_socket, accept_link);
        err = socket_file(&t->socket, flags, out);
    }
    if (!err) {
        list_remove(&t->accept_link);
        l->waiting--;
        name->name_len = inet_name(s->family, &t->peer, t->peer_port, &name->name);
    }
    stack_unlock();
    return err;
}

/* Nobody has taken them: reset. */
static void queue_reset(struct list *queue)
{
    while (!list_empty(queue)) {
        struct tcp_socket *c = LIST_ENTRY(list_pop_head(queue), struct tcp_socket, accept_link);
        c->deferring = NULL;
        c->socket.linger[0] = 1;
        c->socket.linger[1] = 0;
        tcp_socket_destroy(c);
    }
}

void tcp_listen_close(struct tcp_socket *t)
{
    struct tcp_port *port = t->port;
    list_remove(&t->port_link);
    t->port = NULL;
    t->bind.listening = false;
    if (list_empty(&port->members))
        port_destroy(port);
    queue_reset(&t->accepted);
    queue_reset(&t->deferred);
    t->waiting = 0;
}

/* The listener that lwIP would choose. */
static struct tcp_port *port_of(const ip_addr_t *to, u16_t port)
{
    struct tcp_port *found = NULL;
    for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next) {
        if (l->local_port != port)
            continue;
        if (IP_GET_TYPE(&l->local_ip) == IP_GET_TYPE(to) && ip_addr_eq(&l->local_ip, to))
            return l->callback_arg;
        if (IP_IS_ANY_TYPE_VAL(l->local_ip) ||
            (IP_GET_TYPE(&l->local_ip) == IP_GET_TYPE(to) && ip_addr_isany(&l->local_ip)))
            found = l->callback_arg;
    }
    return found;
}

bool tcp_listen_admit(const ip_addr_t *to, u16_t local_port)
{
    struct tcp_port *port = port_of(to, local_port);
    if (!port)
        return true;
    if (!member_next(port)) {
        net_counters.listen_overflows++;
        return false;
    }
    if (port->half_open_count >= HALF_OPEN_MAX) {
        net_counters.half_open_drops++;
        half_open_drop(port);
    }
    return true;
}

/* Those that nobody has answered (net.ipv4.tcp_synack_retries). */
static void half_open_tick(struct tcp_port *port)
{
    while (!list_empty(&port->half_open) &&
           stack_now_ms() - LIST_ENTRY(port->half_open.next, struct half_open, link)->since >=
               HALF_OPEN_MS)
        half_open_drop(port);
}

/* Connections that have said nothing for as long as TCP_DEFER_ACCEPT allows come to accept(2). */
void tcp_listen_tick(void)
{
    for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next) {
        struct tcp_port *port = l->callback_arg;
        half_open_tick(port);
        LIST_FOR_EACH(m, &port->members)
        {
            struct tcp_socket *t = LIST_ENTRY(m, struct tcp_socket, port_link);
            uint32_t most = (uint32_t)t->number[TCP_N_DEFER_ACCEPT] * 1000;
            LIST_FOR_EACH_SAFE(d, &t->deferred)
            {
                struct tcp_socket *c = LIST_ENTRY(d, struct tcp_socket, accept_link);
                if (stack_now_ms() - c->progress >= most)
                    tcp_listen_ready(c);
            }
        }
    }
}

void tcp_listen_each(void (*fn)(void *arg, const struct inet_view *v), void *arg)
{
    for (const struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l; l = l->next) {
        const struct tcp_port *port = l->callback_arg;
        LIST_FOR_EACH(m, &port->members)
        {
            const struct tcp_socket *t = LIST_ENTRY(m, struct tcp_socket, port_link);
            const struct inet_view v = {.family = t->socket.family,
                                        .local = t->bind.address,
                                        .local_port = t->bind.port,
                                        .state = TCP_STATE_LISTEN,
                                        .in = t->waiting,
                                        .out = t->backlog,
                                        .ino = t->socket.ino};
            fn(arg, &v);
        }
    }
}
