/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink sockets: requests are answered within sendmsg(2), the answers wait in
 * the socket's queue. Main struct: netlink_socket. Lock: netlink_lock for all of
 * them; the stack lock comes before it, because news are told from there.
 */
#include "net/netlink.h"

#include <linux/errno.h>
#include <linux/netlink.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/options.h"
#include "net/stack.h"

#define REQUEST_MAX  65536u
#define DATAGRAM_MAX 3584u /* what programs with one page of buffer can take */

struct netlink_datagram {
    struct list link;
    size_t len;
    uint32_t group;
    char data[DATAGRAM_MAX];
};

struct netlink_socket {
    struct socket socket;
    struct list link; /* all of them */
    uint32_t port, groups;
    bool bound;
    uint32_t switches; /* bit per NETLINK_* that is on */
    uint32_t peer;     /* connect(2) */
    struct list queue;
    volatile size_t used;
    volatile int error;
    struct waitq readable;
};

static struct mutex netlink_lock = MUTEX_INIT(netlink_lock);
static struct list sockets = LIST_INIT(sockets);

static struct netlink_socket *netlink_of(struct socket *s)
{
    return (struct netlink_socket *)s;
}

static void datagrams_free(struct list *l)
{
    while (!list_empty(l))
        kfree(LIST_ENTRY(list_pop_head(l), struct netlink_datagram, link));
}

/* Room for n more bytes: in the last datagram, or in a new one. */
static char *room(struct netlink_answer *a, size_t n)
{
    struct netlink_datagram *d =
        list_empty(a->datagrams) ? NULL
                                 : LIST_ENTRY(a->datagrams->prev, struct netlink_datagram, link);
    if (!d || d->len + n > DATAGRAM_MAX) {
        size_t begun = a->message && d ? d->len - (size_t)((char *)a->message - d->data) : 0;
        struct netlink_datagram *fresh = kzalloc(sizeof *fresh);
        if (!fresh || begun + n > DATAGRAM_MAX) {
            kfree(fresh);
            a->err = -ENOMEM;
            return NULL;
        }
        if (begun) { /* a message stays in one piece */
            d->len -= begun;
            memcpy(fresh->data, a->message, begun);
            a->message = (struct nlmsghdr *)fresh->data;
            fresh->len = begun;
        }
        list_add_tail(a->datagrams, &fresh->link);
        d = fresh;
    }
    char *p = d->data + d->len;
    d->len += n;
    return p;
}

void *netlink_message(struct netlink_answer *a, unsigned type, size_t size)
{
    if (a->err)
        return NULL;
    a->message = NULL;
    char *p = room(a, NLMSG_SPACE(size));
    if (!p)
        return NULL;
    a->message = (struct nlmsghdr *)p;
    *a->message = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_SPACE(size),
                                    .nlmsg_type = (uint16_t)type,
                                    .nlmsg_flags = a->flags,
                                    .nlmsg_seq = a->sequence,
                                    .nlmsg_pid = a->port};
    return p + NLMSG_HDRLEN;
}

void netlink_attribute(struct netlink_answer *a, unsigned type, const void *data, size_t len)
{
    const struct nlattr head = {(uint16_t)(NLA_HDRLEN + len), (uint16_t)type};
    char *p = a->err ? NULL : room(a, NLA_ALIGN(NLA_HDRLEN + len));
    if (!p)
        return;
    memcpy(p, &head, sizeof head);
    memcpy(p + NLA_HDRLEN, data, len);
    a->message->nlmsg_len += (uint32_t)NLA_ALIGN(NLA_HDRLEN + len);
}

/* Hands what was made to the socket; what its buffer has no room for is lost, and that is told. */
static void deliver(struct netlink_socket *n, struct list *datagrams)
{
    bool any = false;
    while (!list_empty(datagrams)) {
        struct netlink_datagram *d =
            LIST_ENTRY(list_pop_head(datagrams), struct netlink_datagram, link);
        if (!d->len || n->used + sizeof *d > n->socket.receive_size) {
            if (d->len)
                n->error = ENOBUFS;
            kfree(d);
            continue;
        }
        n->used += sizeof *d;
        list_add_tail(&n->queue, &d->link);
        any = true;
    }
    if (any || n->error)
        waitq_wake(&n->readable, POLLIN | POLLRDNORM | POLLERR);
}

/* NLMSG_ERROR, also for success: the error and what it is about. */
static void answer_error(struct netlink_answer *a, const struct nlmsghdr *request, int err)
{
    size_t copied = err ? MIN((size_t)request->nlmsg_len, (size_t)512) : sizeof *request;
    a->flags = err ? 0 : NLM_F_CAPPED;
    char *p = netlink_message(a, NLMSG_ERROR, sizeof err + copied);
    if (!p)
        return;
    memcpy(p, &err, sizeof err);
    memcpy(p + sizeof err, request, copied);
}

static void request_answer(struct netlink_socket *n, const struct nlmsghdr *request,
                           struct list *datagrams)
{
    struct netlink_answer a = {
        .datagrams = datagrams, .port = n->port, .sequence = request->nlmsg_seq};
    bool dump = false;
    int err = 0, none = 0;
    if (!(request->nlmsg_flags & NLM_F_REQUEST))
        return;
    if (request->nlmsg_type >= NLMSG_MIN_TYPE)
        err = netlink_route_request(request, &a, &dump);
    a.message = NULL;
    if (dump && !err) {
        char *p = netlink_message(&a, NLMSG_DONE, sizeof none);
        if (p)
            memcpy(p, &none, sizeof none);
    } else if (err || request->nlmsg_flags & NLM_F_ACK) {
        answer_error(&a, request, err);
    }
    if (a.err)
        n->error = ENOBUFS;
}

/* All messages of one send. */
static void requests_answer(struct netlink_socket *n, const char *data, size_t len)
{
    struct list datagrams = LIST_INIT(datagrams);
    while (len >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *request = (const void *)data;
        if (request->nlmsg_len < sizeof *request || request->nlmsg_len > len)
            break;
        request_answer(n, request, &datagrams);
        size_t step = MIN((size_t)NLMSG_ALIGN(request->nlmsg_len), len);
        data += step;
        len -= step;
    }
    mutex_lock(&netlink_lock);
    deliver(n, &datagrams);
    mutex_unlock(&netlink_lock);
}

static bool port_taken(uint32_t port)
{
    LIST_FOR_EACH(l, &sockets)
    {
        const struct netlink_socket *n = LIST_ENTRY(l, struct netlink_socket, link);
        if (n->bound && n->port == port)
            return true;
    }
    return false;
}

/* netlink_lock is held. Port 0: the process's number, or another that is free. */
static int bind_locked(struct netlink_socket *n, uint32_t port)
{
    if (n->bound)
        return port && port != n->port ? -EINVAL : 0;
    if (port && port_taken(port))
        return -EADDRINUSE;
    if (!port)
        port = socket_process.credentials().pid;
    for (uint32_t other = UINT32_MAX - 4096; port_taken(port); other--)
        port = other;
    n->port = port;
    n->bound = true;
    return 0;
}

static int address_of(const struct message *m, struct sockaddr_nl *a)
{
    if (m->name_len < sizeof *a || m->name.ss_family != AF_NETLINK)
        return -EINVAL;
    memcpy(a, &m->name, sizeof *a);
    return 0;
}

static int netlink_bind(struct socket *s, const struct message *name)
{
    struct netlink_socket *n = netlink_of(s);
    struct sockaddr_nl a;
    int err = address_of(name, &a);
    if (err)
        return err;
    mutex_lock(&netlink_lock);
    err = bind_locked(n, a.nl_pid);
    if (!err)
        n->groups = a.nl_groups;
    mutex_unlock(&netlink_lock);
    return err;
}

static int netlink_connect(struct socket *s, const struct message *to)
{
    struct netlink_socket *n = netlink_of(s);
    struct sockaddr_nl a;
    if (to->name_len >= sizeof to->name.ss_family && to->name.ss_family == AF_UNSPEC) {
        n->peer = 0;
        return 0;
    }
    int err = address_of(to, &a);
    if (err)
        return err;
    if ((a.nl_pid || a.nl_groups) && !socket_process.privileged())
        return -EPERM;
    mutex_lock(&netlink_lock);
    err = bind_locked(n, 0);
    n->peer = a.nl_pid;
    mutex_unlock(&netlink_lock);
    return err;
}

static ssize_t netlink_send(struct socket *s, struct message *m)
{
    struct netlink_socket *n = netlink_of(s);
    struct sockaddr_nl a = {.nl_pid = n->peer};
    size_t len = m->uio->left;
    int err = m->name_len ? address_of(m, &a) : 0;
    if (!err && a.nl_pid)
        err = -ECONNREFUSED; /* only the kernel listens */
    if (!err && len > REQUEST_MAX)
        err = -EMSGSIZE;
    if (!err) {
        mutex_lock(&netlink_lock);
        err = bind_locked(n, 0);
        mutex_unlock(&netlink_lock);
    }
    if (err)
        return err;
    char *data = kmalloc(MAX(len, (size_t)1));
    if (!data)
        return -ENOBUFS;
    err = uio_copy_in(m->uio, data, len);
    if (!err)
        requests_answer(n, data, len);
    kfree(data);
    return err ? err : (ssize_t)len;
}

static ssize_t receive_locked(struct netlink_socket *n, struct message *m)
{
    if (list_empty(&n->queue)) {
        int error = __atomic_exchange_n(&n->error, 0, __ATOMIC_RELAXED);
        return error ? -error : -EAGAIN;
    }
    struct netlink_datagram *d = LIST_ENTRY(n->queue.next, struct netlink_datagram, link);
    size_t len = d->len, got = MIN(len, m->uio->left);
    int err = uio_copy_out(m->uio, d->data, got);
    if (err)
        return err;
    const struct sockaddr_nl from = {.nl_family = AF_NETLINK, .nl_groups = d->group};
    memcpy(&m->name, &from, sizeof from);
    m->name_len = sizeof from;
    if (got < len)
        m->out_flags |= MSG_TRUNC;
    if (!(m->flags & MSG_PEEK)) {
        n->used -= sizeof *d;
        list_remove(&d->link);
        kfree(d);
    }
    return (ssize_t)(m->flags & MSG_TRUNC ? len : got);
}

static ssize_t netlink_receive(struct socket *s, struct message *m)
{
    m->name_len = 0;
    mutex_lock(&netlink_lock);
    ssize_t r = receive_locked(netlink_of(s), m);
    mutex_unlock(&netlink_lock);
    return r;
}

static uint32_t netlink_poll(struct socket *s, struct poll_table *pt)
{
    struct netlink_socket *n = netlink_of(s);
    poll_add(pt, &n->readable);
    return POLLOUT | POLLWRNORM | (n->used ? POLLIN | POLLRDNORM : 0) | (n->error ? POLLERR : 0);
}

static int netlink_name(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out,
                        unsigned *len)
{
    const struct netlink_socket *n = netlink_of(s);
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_pid = peer ? n->peer : n->port,
                                  .nl_groups = peer ? 0 : n->groups};
    memcpy(out, &a, sizeof a);
    *len = sizeof a;
    return 0;
}

static int netlink_set_option(struct socket *s, int level, int name, struct uptr value,
                              unsigned len)
{
    struct netlink_socket *n = netlink_of(s);
    unsigned v;
    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    switch (name) {
    case NETLINK_ADD_MEMBERSHIP:
    case NETLINK_DROP_MEMBERSHIP:
        if (!v || v > 32)
            return -EINVAL;
        mutex_lock(&netlink_lock);
        n->groups = name == NETLINK_ADD_MEMBERSHIP ? n->groups | 1u << (v - 1)
                                                   : n->groups & ~(1u << (v - 1));
        mutex_unlock(&netlink_lock);
        return 0;
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_CAP_ACK:
    case NETLINK_EXT_ACK:
    case NETLINK_GET_STRICT_CHK:
        n->switches = v ? n->switches | 1u << name : n->switches & ~(1u << name);
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int netlink_get_option(struct socket *s, int level, int name, struct uptr value,
                              unsigned *len)
{
    const struct netlink_socket *n = netlink_of(s);
    const int on = name >= 0 && name < 32 ? n->switches >> name & 1 : 0;
    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    switch (name) {
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_CAP_ACK:
    case NETLINK_EXT_ACK:
    case NETLINK_GET_STRICT_CHK:
        return option_put(value, len, &on, sizeof on);
    case NETLINK_LIST_MEMBERSHIPS:
        return option_put(value, len, &n->groups, sizeof n->groups);
    default:
        return -ENOPROTOOPT;
    }
}

static int netlink_error(struct socket *s)
{
    return __atomic_exchange_n(&netlink_of(s)->error, 0, __ATOMIC_RELAXED);
}

static void netlink_release(struct socket *s)
{
    struct netlink_socket *n = netlink_of(s);
    mutex_lock(&netlink_lock);
    list_remove(&n->link);
    mutex_unlock(&netlink_lock);
    datagrams_free(&n->queue);
    kfree(n);
}

static const struct socket_ops netlink_ops = {
    .send = netlink_send,
    .receive = netlink_receive,
    .poll = netlink_poll,
    .bind = netlink_bind,
    .connect = netlink_connect,
    .name = netlink_name,
    .set_option = netlink_set_option,
    .get_option = netlink_get_option,
    .error = netlink_error,
    .release = netlink_release,
};

int netlink_create(int type, int protocol, uint32_t flags, struct file **out)
{
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != NETLINK_ROUTE)
        return -EPROTONOSUPPORT;
    int err = stack_start();
    if (err)
        return err;
    struct netlink_socket *n = kzalloc(sizeof *n);
    if (!n)
        return -ENOMEM;
    socket_init(&n->socket, &netlink_ops, AF_NETLINK, type, protocol);
    list_init(&n->queue);
    list_init(&n->link);
    waitq_init(&n->readable);
    err = socket_file(&n->socket, flags, out);
    if (err) {
        kfree(n);
        return err;
    }
    mutex_lock(&netlink_lock);
    list_add_tail(&sockets, &n->link);
    mutex_unlock(&netlink_lock);
    return 0;
}

void netlink_changed(unsigned device, uint32_t groups)
{
    mutex_lock(&netlink_lock);
    LIST_FOR_EACH(l, &sockets)
    {
        struct netlink_socket *n = LIST_ENTRY(l, struct netlink_socket, link);
        struct list datagrams = LIST_INIT(datagrams);
        struct netlink_answer a = {.datagrams = &datagrams};
        if (!(n->groups & groups))
            continue;
        netlink_route_news(&a, device, n->groups & groups);
        deliver(n, &datagrams);
    }
    mutex_unlock(&netlink_lock);
}
