/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process behind forwarded ports of IPv6: see port_relay.h. One poll loop. A
 * connection is two flows, one a direction, with a buffer each; a flow's end of file is
 * passed on as such. A client of UDP has a socket of its own towards the machine.
 */
#include "port_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "helper.h"
#include "ops/exit.h"

#define BUFFER       65536
#define PAIRS_MAX    1000 /* connections at once; more wait in the listener's queue */
#define CLIENTS_MAX  256  /* of UDP; the one that was quiet longest goes first */
#define DATAGRAM_MAX 65535

struct flow {
    char *data;
    size_t from, to; /* what is not written yet */
    bool ended;      /* no more will be read */
    bool shut;       /* and the other side knows */
};

struct pair {
    int fd[2];           /* the client, the machine */
    struct flow flow[2]; /* [i] is read from fd[i] */
    bool connecting, dead;
};

struct client {
    struct sockaddr_in6 name;
    int fd;
    size_t port; /* in `ports` */
    uint64_t used;
};

struct port {
    int fd;
    uint16_t between;
    bool udp;
};

struct relay {
    struct port *ports;
    size_t port_count;
    struct pair *pairs;
    size_t pair_count;
    struct client *clients;
    size_t client_count;
    uint64_t turn;
    struct pollfd *polls;
    char datagram[DATAGRAM_MAX];
};

static int port_listen(const struct forward *f)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(f->host)};
    const int on = 1;
    inet_pton(AF_INET6, f->address, &in.sin6_addr);
    int fd =
        socket(AF_INET6, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (!f->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && (f->udp || listen(fd, SOMAXCONN) == 0))
        return fd;
    int number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* A socket on its way to the machine; -1: errno. */
static int machine_connect(const struct port *p)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(p->between),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof in) < 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void pair_add(struct relay *r, const struct port *p)
{
    int client = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    int machine = machine_connect(p);
    if (machine < 0) {
        close(client);
        return;
    }
    r->pairs = alloc_array(r->pairs, r->pair_count + 1, sizeof *r->pairs);
    struct pair *pair = &r->pairs[r->pair_count++];
    *pair = (struct pair){.fd = {client, machine}, .connecting = true};
    for (int i = 0; i < 2; i++)
        pair->flow[i].data = alloc_array(NULL, BUFFER, 1);
}

/* A connection that cannot go on is reset, as the one behind it was. */
static void pair_free(struct pair *p)
{
    const struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < 2; i++) {
        if (p->dead)
            setsockopt(p->fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(p->fd[i]);
        free(p->flow[i].data);
    }
}

static bool again(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static void flow_read(struct pair *p, int i)
{
    struct flow *f = &p->flow[i];
    ssize_t n = recv(p->fd[i], f->data, BUFFER, 0);
    if (n > 0) {
        f->from = 0;
        f->to = (size_t)n;
    } else if (n == 0) {
        f->ended = true;
    } else if (!again()) {
        p->dead = true;
    }
}

static void flow_write(struct pair *p, int i)
{
    struct flow *f = &p->flow[i];
    int to = p->fd[!i];
    if (f->from < f->to) {
        ssize_t n = send(to, f->data + f->from, f->to - f->from, MSG_NOSIGNAL);
        if (n > 0)
            f->from += (size_t)n;
        else if (!again())
            p->dead = true;
    }
    if (f->ended && f->from == f->to && !f->shut) {
        shutdown(to, SHUT_WR);
        f->shut = true;
    }
}

static short pair_events(const struct pair *p, int i)
{
    const struct flow *in = &p->flow[i], *out = &p->flow[!i];
    if (p->connecting)
        return i ? POLLOUT : 0;
    return (short)((in->ended || in->from < in->to ? 0 : POLLIN) |
                   (out->from < out->to ? POLLOUT : 0));
}

static void pair_turn(struct pair *p, const struct pollfd polls[2])
{
    int error = 0;
    socklen_t len = sizeof error;
    if (p->connecting) {
        if (polls[1].revents) {
            p->connecting = false;
            p->dead = getsockopt(p->fd[1], SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error;
        }
        return;
    }
    for (int i = 0; i < 2; i++) {
        bool idle = p->flow[i].from == p->flow[i].to && !p->flow[i].ended;
        if (idle && polls[i].revents & (POLLIN | POLLHUP | POLLERR))
            flow_read(p, i);
        flow_write(p, i);
    }
}

/* The client's socket, made if need be; NULL: none can be. */
static struct client *client_of(struct relay *r, size_t port, const struct sockaddr_in6 *name)
{
    struct client *oldest = NULL;
    for (size_t i = 0; i < r->client_count; i++) {
        struct client *c = &r->clients[i];
        if (c->port == port && c->name.sin6_port == name->sin6_port &&
            memcmp(&c->name.sin6_addr, &name->sin6_addr, sizeof name->sin6_addr) == 0)
            return c;
        if (!oldest || c->used < oldest->used)
            oldest = c;
    }
    int fd = machine_connect(&r->ports[port]);
    if (fd < 0)
        return NULL;
    if (r->client_count < CLIENTS_MAX)
        oldest = &r->clients[r->client_count++];
    else
        close(oldest->fd);
    *oldest = (struct client){.name = *name, .fd = fd, .port = port};
    return oldest;
}

static void datagram_in(struct relay *r, size_t port)
{
    struct sockaddr_in6 name;
    socklen_t len = sizeof name;
    ssize_t n = recvfrom(r->ports[port].fd, r->datagram, sizeof r->datagram, 0,
                         (struct sockaddr *)&name, &len);
    struct client *c = n >= 0 ? client_of(r, port, &name) : NULL;
    if (c) {
        c->used = ++r->turn;
        send(c->fd, r->datagram, (size_t)n, MSG_NOSIGNAL);
    }
}

static void datagram_out(struct relay *r, struct client *c)
{
    ssize_t n = recv(c->fd, r->datagram, sizeof r->datagram, 0);
    c->used = ++r->turn;
    if (n >= 0)
        sendto(r->ports[c->port].fd, r->datagram, (size_t)n, MSG_NOSIGNAL,
               (const struct sockaddr *)&c->name, sizeof c->name);
}

static size_t polls_fill(struct relay *r)
{
    size_t n = 0, room = r->port_count + 2 * r->pair_count + r->client_count;
    r->polls = alloc_array(r->polls, room, sizeof *r->polls);
    for (size_t i = 0; i < r->port_count; i++) {
        bool full = !r->ports[i].udp && r->pair_count >= PAIRS_MAX;
        r->polls[n++] = (struct pollfd){r->ports[i].fd, full ? 0 : POLLIN, 0};
    }
    for (size_t i = 0; i < r->pair_count; i++)
        for (int side = 0; side < 2; side++) {
            short events = pair_events(&r->pairs[i], side);
            /* one that is not waited for would be told again and again to have hung up */
            r->polls[n++] = (struct pollfd){events ? r->pairs[i].fd[side] : -1, events, 0};
        }
    for (size_t i = 0; i < r->client_count; i++)
        r->polls[n++] = (struct pollfd){r->clients[i].fd, POLLIN, 0};
    return n;
}

static void pairs_sweep(struct relay *r)
{
    for (size_t i = r->pair_count; i-- > 0;) {
        struct pair *p = &r->pairs[i];
        if (!p->dead && !(p->flow[0].shut && p->flow[1].shut))
            continue;
        pair_free(p);
        *p = r->pairs[--r->pair_count];
    }
}

static void turn(struct relay *r)
{
    size_t ports = r->port_count, pairs = r->pair_count, clients = r->client_count;
    const struct pollfd *p = r->polls + ports;
    for (size_t i = 0; i < pairs; i++, p += 2)
        pair_turn(&r->pairs[i], p);
    for (size_t i = 0; i < clients; i++, p++)
        if (p->revents)
            datagram_out(r, &r->clients[i]);
    pairs_sweep(r);
    for (size_t i = 0; i < ports; i++) {
        if (r->polls[i].revents && r->ports[i].udp)
            datagram_in(r, i);
        else if (r->polls[i].revents)
            pair_add(r, &r->ports[i]);
    }
}

static void run(void *arg)
{
    struct relay *r = arg;
    r->clients = alloc_array(NULL, CLIENTS_MAX, sizeof *r->clients);
    for (;;) {
        size_t n = polls_fill(r);
        if (poll(r->polls, n, -1) >= 0)
            turn(r);
        else if (errno != EINTR)
            return;
    }
}

bool port_relay_start(const struct forwards *f, pid_t *pid, struct err *err)
{
    struct relay *r = alloc_zero(sizeof *r);
    int *fds = alloc_array(NULL, f->count + 1, sizeof *fds);
    bool ok = true;
    r->ports = alloc_array(NULL, f->count + 1, sizeof *r->ports);
    for (size_t i = 0; ok && i < f->count; i++) {
        const struct forward *one = &f->items[i];
        if (!one->v6)
            continue;
        int fd = port_listen(one);
        if (fd < 0) {
            ok = err_set(err, OPS_EXIT_FAILED, NULL, "cannot bind %s port %u: %s", one->address,
                         one->host, strerror(errno));
            continue;
        }
        fds[r->port_count] = fd;
        r->ports[r->port_count++] =
            (struct port){.fd = fd, .between = one->between, .udp = one->udp};
    }
    ok = ok && (!r->port_count || helper_start(pid, run, r, fds, r->port_count, err));
    for (size_t i = 0; i < r->port_count; i++)
        close(fds[i]);
    free(r->ports);
    free(fds);
    free(r);
    return ok;
}
