/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP sockets over lwIP's raw interface: received datagrams wait in a queue that
 * SO_RCVBUF bounds. Main struct: udp_socket. Everything under the stack lock, but
 * poll, which only reads single words.
 */
#include "net/udp_socket.h"

#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "lib/string.h"
#include "lwip/udp.h"
#include "net/abi.h"
#include "net/inet.h"

#define DATAGRAM_MAX  65507u
#define DATAGRAM_COST 256u /* what one costs beside its bytes */
#define COMPACT       1024u

struct datagram {
    struct list link;
    struct pbuf *p;
    ip_addr_t from;
    u16_t port;
};

struct udp_socket {
    struct socket socket;
    struct udp_pcb *pcb;
    struct inet_bind bind;
    bool any_version;
    volatile bool connected, shut_read, shut_write;
    volatile int error;
    struct list datagrams;
    volatile size_t used; /* bytes of the queue with their cost */
    struct waitq readable, writable;
};

static const struct socket_ops udp_ops;

static struct udp_socket *udp_of(struct socket *s)
{
    return (struct udp_socket *)s;
}

int udp_create(int family, uint32_t flags, struct file **out)
{
    struct udp_socket *u = kzalloc(sizeof *u);
    if (!u)
        return -ENOMEM;
    socket_init(&u->socket, &udp_ops, family, SOCK_DGRAM, IPPROTO_UDP);
    u->any_version = family == AF_INET6;
    list_init(&u->datagrams);
    waitq_init(&u->readable);
    waitq_init(&u->writable);
    int err = socket_file(&u->socket, flags, out);
    if (err)
        kfree(u);
    return err;
}

static size_t cost(const struct datagram *d)
{
    return d->p->tot_len + DATAGRAM_COST;
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                        u16_t port)
{
    struct udp_socket *u = arg;
    (void)pcb;
    struct datagram *d = NULL;
    if (!u->shut_read && u->used + p->tot_len + DATAGRAM_COST <= u->socket.receive_size)
        d = kmalloc(sizeof *d);
    if (!d) {
        pbuf_free(p);
        return;
    }
    if (p->tot_len < COMPACT && p->flags & PBUF_FLAG_IS_CUSTOM) {
        struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
        if (copy) {
            pbuf_free(p);
            p = copy;
        }
    }
    *d = (struct datagram){.p = p, .from = *from, .port = port};
    list_add_tail(&u->datagrams, &d->link);
    u->used += cost(d);
    waitq_wake(&u->readable, POLLIN | POLLRDNORM);
}

void udp_peer_error(u16_t local_port, const ip_addr_t *peer, u16_t peer_port, int error)
{
    for (struct udp_pcb *p = udp_pcbs; p; p = p->next) {
        struct udp_socket *u = p->recv_arg;
        if (p->recv != on_datagram || !u->connected || p->local_port != local_port ||
            p->remote_port != peer_port || !ip_addr_eq(&p->remote_ip, peer))
            continue;
        u->error = error;
        waitq_wake(&u->readable, POLLERR | POLLIN);
    }
}

static void datagram_free(struct udp_socket *u, struct datagram *d)
{
    list_remove(&d->link);
    u->used -= cost(d);
    pbuf_free(d->p);
    kfree(d);
}

static void udp_sock_release(struct socket *s)
{
    struct udp_socket *u = udp_of(s);
    stack_lock();
    if (u->pcb)
        udp_remove(u->pcb);
    inet_bind_release(&u->bind);
    while (!list_empty(&u->datagrams))
        datagram_free(u, LIST_ENTRY(u->datagrams.next, struct datagram, link));
    stack_unlock();
    kfree(u);
}

static int bind_locked(struct udp_socket *u, const ip_addr_t *ip, u16_t port)
{
    u->bind.reuse_address = socket_option_on(&u->socket, SO_REUSEADDR);
    u->bind.reuse_port = socket_option_on(&u->socket, SO_REUSEPORT);
    int err = inet_bind_take(&u->bind, IPPROTO_UDP, ip, port);
    if (err)
        return err;
    u->pcb = udp_new_ip_type(IP_GET_TYPE(ip));
    if (!u->pcb) {
        inet_bind_release(&u->bind);
        return -ENOMEM;
    }
    ip_set_option(u->pcb, SOF_REUSEADDR); /* who may have which port: net/inet.c */
    if (socket_option_on(&u->socket, SO_BROADCAST))
        ip_set_option(u->pcb, SOF_BROADCAST);
    udp_recv(u->pcb, on_datagram, u);
    err = inet_error(udp_bind(u->pcb, ip, u->bind.port));
    if (err) {
        udp_remove(u->pcb);
        u->pcb = NULL;
        inet_bind_release(&u->bind);
    }
    return err;
}

static const ip_addr_t *any_address(const struct udp_socket *u)
{
    return u->socket.family == AF_INET ? IP4_ADDR_ANY : u->any_version ? IP_ANY_TYPE : IP6_ADDR_ANY;
}

static int udp_sock_bind(struct socket *s, const struct message *name)
{
    struct udp_socket *u = udp_of(s);
    ip_addr_t ip;
    u16_t port;
    stack_lock();
    int err = inet_address_of(name, s->family, &ip, &port);
    if (!err && u->pcb)
        err = -EINVAL;
    if (!err)
        err = bind_locked(u, ip_addr_isany(&ip) && IP_IS_V6(&ip) ? any_address(u) : &ip, port);
    stack_unlock();
    return err;
}

static int udp_sock_connect(struct socket *s, const struct message *to)
{
    struct udp_socket *u = udp_of(s);
    ip_addr_t ip;
    u16_t port;
    int err;
    stack_lock();
    if (to->name_len >= sizeof to->name.ss_family && to->name.ss_family == AF_UNSPEC) {
        if (u->pcb)
            udp_disconnect(u->pcb);
        u->connected = false;
        stack_unlock();
        return 0;
    }
    err = inet_address_of(to, s->family, &ip, &port);
    if (!err && !u->pcb)
        err = bind_locked(u, any_address(u), 0);
    if (!err && ip_addr_isany(&ip))
        ip = inet_this_machine();
    if (!err && !ip_route(&u->pcb->local_ip, &ip))
        err = -ENETUNREACH;
    if (!err)
        err = inet_error(udp_connect(u->pcb, &ip, port));
    if (!err) {
        u->connected = true;
        if (any_address(u) == IP4_ADDR_ANY || ip_addr_isany(&u->bind.address)) {
            const ip_addr_t *own = ip_netif_get_local_ip(ip_route(&u->pcb->local_ip, &ip), &ip);
            if (own)
                u->bind.address = *own;
        }
    }
    stack_unlock();
    return err;
}

static ssize_t send_locked(struct udp_socket *u, struct message *m)
{
    ip_addr_t ip;
    u16_t port;
    size_t n = m->uio->left;
    if (u->shut_write)
        return -EPIPE;
    if (u->error)
        return -__atomic_exchange_n(&u->error, 0, __ATOMIC_RELAXED);
    if (n > DATAGRAM_MAX)
        return -EMSGSIZE;
    int err = 0;
    if (m->name_len)
        err = inet_address_of(m, u->socket.family, &ip, &port);
    else if (!u->connected)
        err = -EDESTADDRREQ;
    if (!err && m->name_len && !port)
        err = -EINVAL;
    if (!err && !u->pcb)
        err = bind_locked(u, any_address(u), 0);
    if (err)
        return err;
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    err = uio_copy_in(m->uio, p->payload, n);
    if (!err) {
        err_t e = m->name_len ? udp_sendto(u->pcb, p, &ip, port) : udp_send(u->pcb, p);
        /* A full ring is no error of the program's: the datagram is lost, as on any wire. */
        err = e == ERR_MEM || e == ERR_BUF ? -ENOBUFS : e == ERR_VAL ? -EACCES : inet_error(e);
    }
    pbuf_free(p);
    return err ? err : (ssize_t)n;
}

static ssize_t udp_sock_send(struct socket *s, struct message *m)
{
    stack_lock();
    ssize_t r = send_locked(udp_of(s), m);
    stack_unlock();
    return r;
}

static ssize_t receive_locked(struct udp_socket *u, struct message *m)
{
    if (u->error)
        return -__atomic_exchange_n(&u->error, 0, __ATOMIC_RELAXED);
    if (list_empty(&u->datagrams))
        return u->shut_read ? 0 : -EAGAIN;
    struct datagram *d = LIST_ENTRY(u->datagrams.next, struct datagram, link);
    size_t len = d->p->tot_len;
    int err = 0;
    for (const struct pbuf *p = d->p; p && m->uio->left && !err; p = p->next)
        err = uio_copy_out(m->uio, p->payload, MIN((size_t)p->len, m->uio->left));
    size_t n = MIN(len, m->uio->done);
    if (!err) {
        m->name_len = inet_name(u->socket.family, &d->from, d->port, &m->name);
        if (n < len)
            m->out_flags |= MSG_TRUNC;
    }
    if (!(m->flags & MSG_PEEK))
        datagram_free(u, d);
    return err ? err : (ssize_t)(m->flags & MSG_TRUNC ? len : n);
}

static ssize_t udp_sock_receive(struct socket *s, struct message *m)
{
    m->name_len = 0;
    stack_lock();
    ssize_t r = receive_locked(udp_of(s), m);
    stack_unlock();
    return r;
}

static uint32_t udp_sock_poll(struct socket *s, struct poll_table *pt)
{
    struct udp_socket *u = udp_of(s);
    poll_add(pt, &u->readable);
    poll_add(pt, &u->writable);
    uint32_t bits = POLLOUT | POLLWRNORM | POLLWRBAND;
    if (u->used || u->shut_read)
        bits |= POLLIN | POLLRDNORM;
    if (u->shut_read)
        bits |= POLLRDHUP;
    if (u->shut_read && u->shut_write)
        bits |= POLLHUP;
    if (u->error)
        bits |= POLLERR;
    return bits;
}

static int udp_sock_shutdown(struct socket *s, int how)
{
    struct udp_socket *u = udp_of(s);
    bool connected;
    stack_lock();
    connected = u->connected;
    if (connected) {
        u->shut_read |= how != SHUT_WR;
        u->shut_write |= how != SHUT_RD;
        waitq_wake(&u->readable, POLLIN | POLLRDNORM | POLLRDHUP);
    }
    stack_unlock();
    return connected ? 0 : -ENOTCONN;
}

static int udp_sock_name(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out,
                         unsigned *len)
{
    struct udp_socket *u = udp_of(s);
    int err = 0;
    stack_lock();
    if (!peer)
        *len = inet_name(s->family, u->bind.port ? &u->bind.address : NULL, u->bind.port, out);
    else if (u->connected)
        *len = inet_name(s->family, &u->pcb->remote_ip, u->pcb->remote_port, out);
    else
        err = -ENOTCONN;
    stack_unlock();
    return err;
}

static size_t udp_sock_queued(struct socket *s, bool out)
{
    struct udp_socket *u = udp_of(s);
    size_t n = 0;
    stack_lock();
    if (!out && !list_empty(&u->datagrams))
        n = LIST_ENTRY(u->datagrams.next, struct datagram, link)->p->tot_len;
    stack_unlock();
    return n;
}

static int udp_sock_error(struct socket *s)
{
    return __atomic_exchange_n(&udp_of(s)->error, 0, __ATOMIC_RELAXED);
}

static int udp_sock_set_option(struct socket *s, int level, int name, struct uptr value,
                               unsigned len)
{
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_set(s, level, name, value, len, &udp_of(s)->any_version);
    return -ENOPROTOOPT;
}

static int udp_sock_get_option(struct socket *s, int level, int name, struct uptr value,
                               unsigned *len)
{
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_get(s, level, name, value, len, udp_of(s)->any_version);
    return -ENOPROTOOPT;
}

static const struct socket_ops udp_ops = {
    .send = udp_sock_send,
    .receive = udp_sock_receive,
    .poll = udp_sock_poll,
    .bind = udp_sock_bind,
    .connect = udp_sock_connect,
    .shutdown = udp_sock_shutdown,
    .name = udp_sock_name,
    .set_option = udp_sock_set_option,
    .get_option = udp_sock_get_option,
    .queued = udp_sock_queued,
    .error = udp_sock_error,
    .release = udp_sock_release,
};
