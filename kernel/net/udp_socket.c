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
#include <linux/udp.h>

#include "file/poll.h"
#include "lib/string.h"
#include "lwip/udp.h"
#include "net/abi.h"
#include "net/error_queue.h"
#include "net/inet_options.h"
#include "net/netstat.h"
#include "net/options.h"

#define DATAGRAM_MAX  65507u
#define DATAGRAM_COST 256u /* what one costs beside its bytes */
#define COMPACT       1024u
#define SEGMENTS_MAX  64u /* datagrams of one send (UDP_SEGMENT) */

struct datagram {
    struct list link;
    struct pbuf *p;
    ip_addr_t from;
    u16_t port;
    struct inet_arrival arrival;
};

struct udp_socket {
    struct socket socket;
    struct udp_pcb *pcb;
    struct inet_bind bind;
    struct inet_options options;
    volatile bool connected, shut_read, shut_write;
    volatile int error;
    struct error_queue errors;
    int segment, gro; /* UDP_SEGMENT, UDP_GRO */
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
    inet_options_init(&u->options, family);
    list_init(&u->datagrams);
    error_queue_init(&u->errors);
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
    if (!u->connected && !ip_addr_ismulticast(ip_current_dest_addr())) {
        uint32_t hash = (ip4_addr_get_u32(ip_2_ip4(from)) ^ port) * 0x9e3779b1u >> 16;
        u = CONTAINER_OF(inet_bind_member(&u->bind, hash), struct udp_socket, bind);
    }
    if (!u->shut_read && u->used + p->tot_len + DATAGRAM_COST <= u->socket.receive_size)
        d = kmalloc(sizeof *d);
    if (!d) {
        net_counters.udp_full++;
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
    inet_arrival_now(&d->arrival);
    list_add_tail(&u->datagrams, &d->link);
    u->used += cost(d);
    waitq_wake(&u->readable, POLLIN | POLLRDNORM);
}

/* Whose datagram it was: a socket connected to there, or else one that is not connected. */
static struct udp_socket *sender_of(const struct network_error *e)
{
    struct udp_socket *found = NULL;
    for (const struct udp_pcb *p = udp_pcbs; p; p = p->next) {
        struct udp_socket *u = p->recv_arg;
        if (p->recv != on_datagram || p->local_port != e->own_port ||
            (!ip_addr_isany(&p->local_ip) && !ip_addr_eq(&p->local_ip, &e->own)))
            continue;
        if (!u->connected)
            found = u;
        else if (p->remote_port == e->port && ip_addr_eq(&p->remote_ip, &e->to))
            return u;
    }
    return found;
}

void udp_network_error(const struct network_error *e)
{
    struct udp_socket *u = sender_of(e);
    if (!u)
        return;
    if (u->options.number[IP_IS_V6(&e->to) ? INET6_RECV_ERR : INET_RECV_ERR])
        error_queue_add(&u->errors, e, u->socket.receive_size);
    else if (!u->connected || !e->fatal)
        return;
    u->error = e->error;
    waitq_wake(&u->readable, POLLERR | POLLIN);
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
    inet_options_fini(&u->options);
    error_queue_fini(&u->errors);
    while (!list_empty(&u->datagrams))
        datagram_free(u, LIST_ENTRY(u->datagrams.next, struct datagram, link));
    stack_unlock();
    kfree(u);
}

static int bind_locked(struct udp_socket *u, const ip_addr_t *ip, u16_t port)
{
    u->bind.reuse_address = socket_option_on(&u->socket, SO_REUSEADDR);
    u->bind.reuse_port = socket_option_on(&u->socket, SO_REUSEPORT);
    u->bind.foreign = u->options.number[INET_FREEBIND] || u->options.number[INET6_FREEBIND] ||
                      u->options.number[INET_TRANSPARENT];
    int err = inet_bind_take(&u->bind, IPPROTO_UDP, ip, port);
    if (err)
        return err;
    u->pcb = udp_new_ip_type(IP_GET_TYPE(ip));
    if (!u->pcb) {
        inet_bind_release(&u->bind);
        return -ENOMEM;
    }
    ip_set_option(u->pcb, SOF_REUSEADDR); /* who may have which port: net/inet.c */
    u->pcb->netif_idx = (u8_t)u->socket.device;
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
    return u->socket.family == AF_INET     ? IP4_ADDR_ANY
           : inet_any_version(&u->options) ? IP_ANY_TYPE
                                           : IP6_ADDR_ANY;
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

/* What the options say about packets to that address. */
static void pcb_prepare(struct udp_socket *u, const ip_addr_t *to, const struct inet_departure *d)
{
    struct udp_pcb *pcb = u->pcb;
    const int *n = u->options.number;
    bool v6 = IP_IS_V6(to);
    inet_options_apply(&u->options, v6, &pcb->ttl, &pcb->tos);
    u8_t ttl = (u8_t)n[v6 ? INET6_MULTICAST_HOPS : INET_MULTICAST_TTL];
    if (d->ttl >= 0)
        pcb->ttl = ttl = (u8_t)d->ttl;
    if (d->tos >= 0)
        pcb->tos = (u8_t)d->tos;
    udp_set_multicast_ttl(pcb, ttl);
    udp_set_multicast_netif_index(pcb, (u8_t)u->options.multicast_device);
    if (n[v6 ? INET6_MULTICAST_LOOP : INET_MULTICAST_LOOP])
        udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    else
        udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    if (socket_option_on(&u->socket, SO_BROADCAST))
        ip_set_option(pcb, SOF_BROADCAST);
    else
        ip_reset_option(pcb, SOF_BROADCAST);
}

static int send_pbuf(struct udp_socket *u, struct pbuf *p, const ip_addr_t *to, u16_t port,
                     const struct inet_departure *d)
{
    err_t e;
    pcb_prepare(u, to, d);
    if (d->device || d->has_source) {
        struct netif *netif =
            d->device ? netif_get_by_index((u8_t)MIN(d->device, 255u)) : ip_route(&d->source, to);
        const ip_addr_t *from = d->has_source ? &d->source
                                : netif       ? ip_netif_get_local_ip(netif, to)
                                              : NULL;
        if (!netif)
            return d->device ? -ENODEV : -ENETUNREACH;
        if (!from || IP_GET_TYPE(from) != IP_GET_TYPE(to))
            return -EINVAL;
        e = udp_sendto_if_src(u->pcb, p, to, port, netif, from);
    } else {
        e = udp_sendto(u->pcb, p, to, port);
    }
    /* A full ring is no error of the program's: the datagram is lost, as on any wire. */
    return e == ERR_MEM || e == ERR_BUF ? -ENOBUFS : e == ERR_VAL ? -EACCES : inet_error(e);
}

/* Where a message goes, and how. */
static int destination(struct udp_socket *u, const struct message *m, ip_addr_t *ip, u16_t *port,
                       struct inet_departure *d)
{
    int err = inet_departure_get(m, d);
    if (!err && m->name_len)
        err = inet_address_of(m, u->socket.family, ip, port);
    else if (!err && !u->connected)
        err = -EDESTADDRREQ;
    if (!err && m->name_len && !*port)
        err = -EINVAL;
    if (!err && !u->pcb)
        err = bind_locked(u, any_address(u), 0);
    if (!err && !m->name_len) {
        *ip = u->pcb->remote_ip;
        *port = u->pcb->remote_port;
    }
    return err;
}

/*
 * What one send makes: datagrams of `segment` bytes each, or one. All are copied before the first
 * goes out; after that, one that is lost is lost as on any wire.
 */
static int send_segments(struct udp_socket *u, struct message *m, const ip_addr_t *to, u16_t port,
                         const struct inet_departure *d, size_t segment)
{
    struct pbuf *part[SEGMENTS_MAX];
    size_t n = m->uio->left;
    unsigned count = 0;
    int err = 0;
    do {
        size_t len = MIN(n, segment);
        struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
        if (!p) {
            err = -ENOBUFS;
            break;
        }
        part[count++] = p;
        err = uio_copy_in(m->uio, p->payload, len);
        n -= len;
    } while (!err && n);
    for (unsigned i = 0; i < count; i++) {
        int failed = err && !i ? err : send_pbuf(u, part[i], to, port, d);
        if (!i)
            err = failed;
        if (err)
            break;
    }
    for (unsigned i = 0; i < count; i++)
        pbuf_free(part[i]);
    return err;
}

/* Bytes of each datagram of a send of n bytes. -EINVAL: too many, or longer than a packet. */
static int segment_of(const struct udp_socket *u, const struct inet_departure *d,
                      const ip_addr_t *to, size_t n, size_t *segment)
{
    size_t wanted = (size_t)(d->segment >= 0 ? d->segment : u->segment);
    size_t headers = (IP_IS_V6(to) ? IP6_HLEN : IP_HLEN) + UDP_HLEN;
    *segment = MAX(n, (size_t)1);
    if (!wanted || n <= wanted)
        return 0;
    const struct netif *netif = ip_route(&u->pcb->local_ip, to);
    if ((netif && netif->mtu && wanted + headers > netif->mtu) || n > wanted * SEGMENTS_MAX)
        return -EINVAL;
    *segment = wanted;
    return 0;
}

static ssize_t send_locked(struct udp_socket *u, struct message *m)
{
    struct inet_departure d;
    ip_addr_t ip;
    u16_t port;
    size_t n = m->uio->left, segment;
    if (u->shut_write)
        return -EPIPE;
    if (u->error)
        return -__atomic_exchange_n(&u->error, 0, __ATOMIC_RELAXED);
    if (n > DATAGRAM_MAX)
        return -EMSGSIZE;
    int err = destination(u, m, &ip, &port, &d);
    if (!err)
        err = segment_of(u, &d, &ip, n, &segment);
    if (!err)
        err = send_segments(u, m, &ip, port, &d, segment);
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
        inet_arrival_tell(&d->arrival, &u->socket, &u->options, m);
    }
    if (!(m->flags & MSG_PEEK))
        datagram_free(u, d);
    return err ? err : (ssize_t)(m->flags & MSG_TRUNC ? len : n);
}

static ssize_t error_receive_locked(struct udp_socket *u, struct message *m)
{
    int next;
    ssize_t r = error_queue_receive(&u->errors, u->socket.family, m, &next);
    if (r != -EAGAIN)
        u->error = next;
    return r;
}

static ssize_t udp_sock_receive(struct socket *s, struct message *m)
{
    m->name_len = 0;
    stack_lock();
    ssize_t r =
        m->flags & MSG_ERRQUEUE ? error_receive_locked(udp_of(s), m) : receive_locked(udp_of(s), m);
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
    if (u->error || u->errors.used)
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

/* UDP_GRO: datagrams that came one by one are told one by one, as on Linux. */
static int segment_option_set(struct udp_socket *u, int name, struct uptr value, unsigned len)
{
    int v;
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    if (name == UDP_SEGMENT && (v < 0 || v > UINT16_MAX))
        return -EINVAL;
    if (name == UDP_GRO)
        u->gro = !!v;
    else
        u->segment = v;
    return 0;
}

static int udp_sock_set_option(struct socket *s, int level, int name, struct uptr value,
                               unsigned len)
{
    struct udp_socket *u = udp_of(s);
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_set(s, &u->options, u->pcb, level, name, value, len);
    if (level == IPPROTO_UDP && (name == UDP_SEGMENT || name == UDP_GRO))
        return segment_option_set(u, name, value, len);
    return -ENOPROTOOPT;
}

static int udp_sock_get_option(struct socket *s, int level, int name, struct uptr value,
                               unsigned *len)
{
    struct udp_socket *u = udp_of(s);
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_get(s, &u->options, u->connected ? &u->pcb->remote_ip : NULL, level,
                               name, value, len);
    if (level == IPPROTO_UDP && (name == UDP_SEGMENT || name == UDP_GRO))
        return option_put(value, len, name == UDP_GRO ? &u->gro : &u->segment, sizeof(int));
    return -ENOPROTOOPT;
}

static int udp_sock_option_changed(struct socket *s, int name)
{
    struct udp_socket *u = udp_of(s);
    if (name == SO_BINDTODEVICE) {
        stack_lock();
        if (u->pcb)
            u->pcb->netif_idx = (u8_t)s->device;
        stack_unlock();
    }
    return 0;
}

void udp_each(void (*fn)(void *arg, const struct inet_view *v), void *arg)
{
    for (const struct udp_pcb *p = udp_pcbs; p; p = p->next) {
        const struct udp_socket *u = p->recv_arg;
        if (p->recv != on_datagram)
            continue; /* DHCP's */
        const struct inet_view v = {.family = u->socket.family,
                                    .local = u->bind.address,
                                    .local_port = u->bind.port,
                                    .remote = p->remote_ip,
                                    .remote_port = u->connected ? p->remote_port : 0,
                                    .state = u->connected ? 1 : 7, /* as TCP's */
                                    .in = u->used,
                                    .ino = u->socket.ino};
        fn(arg, &v);
    }
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
    .option_changed = udp_sock_option_changed,
    .queued = udp_sock_queued,
    .error = udp_sock_error,
    .release = udp_sock_release,
};

/* What ip4.c and ip6.c call in place of lwIP's udp_input(), which believes no length but IP's. */
void udp_length_input(struct pbuf *p, struct netif *netif);

void udp_length_input(struct pbuf *p, struct netif *netif)
{
    const struct udp_hdr *h = p->payload;
    u16_t len = p->len < sizeof *h ? 0 : lwip_ntohs(h->len);
    if (len < sizeof *h || len > p->tot_len) {
        pbuf_free(p);
        return;
    }
    pbuf_realloc(p, len);
    udp_input(p, netif);
}
