/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX. Each direction of a connection is a `struct channel`, a queue of
 * packets that both sockets reference; a stream fills up the last packet, the
 * other types keep one for each message. Lock: channel.lock (a mutex, because
 * user memory is touched while it is held), never two at once.
 */
#include "net/unix.h"

#include <linux/errno.h>
#include <linux/poll.h>
#include <linux/un.h>

#include "file/poll.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"

#define CHUNK_MIN 512u
#define CHUNK_MAX 16384u

struct packet {
    struct list link;
    size_t start, end, size; /* of data: read up to, written up to, room */
    char data[];
};

struct channel {
    uint32_t refs;
    struct mutex lock;
    struct list packets;
    size_t used; /* bytes, and for messages what keeps them */
    bool shut;   /* nothing more comes in */
    bool lost;   /* its reader closed, data unread */
    bool gone;   /* its reader closed (datagrams) */
    struct waitq readable, writable;
};

struct unix_socket {
    struct socket socket;
    struct channel *in, *out; /* NULL: not connected */
    bool failed;              /* the channel's loss has been told */
    struct waitq none;        /* polled while not connected */
};

int (*unix_look_up)(const char *path);

static struct channel *channel_create(void)
{
    struct channel *c = kzalloc(sizeof *c);
    if (!c)
        return NULL;
    c->refs = 2;
    mutex_init(&c->lock);
    list_init(&c->packets);
    waitq_init(&c->readable);
    waitq_init(&c->writable);
    return c;
}

static void channel_put(struct channel *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
        return;
    while (!list_empty(&c->packets))
        kfree(LIST_ENTRY(list_pop_head(&c->packets), struct packet, link));
    kfree(c);
}

static void channel_shut(struct channel *c)
{
    mutex_lock(&c->lock);
    c->shut = true;
    mutex_unlock(&c->lock);
    waitq_wake(&c->readable, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP);
    waitq_wake(&c->writable, POLLOUT | POLLERR | POLLHUP);
}

static struct packet *packet_add(struct channel *c, size_t size)
{
    struct packet *p = kmalloc(sizeof *p + size);
    if (!p)
        return NULL;
    p->start = p->end = 0;
    p->size = size;
    list_add_tail(&c->packets, &p->link);
    return p;
}

static void packet_free(struct packet *p)
{
    list_remove(&p->link);
    kfree(p);
}

static struct packet *packet_first(struct channel *c)
{
    return list_empty(&c->packets) ? NULL : LIST_ENTRY(c->packets.next, struct packet, link);
}

/* The packet that the next bytes of a stream go to. */
static struct packet *stream_tail(struct channel *c, size_t want)
{
    struct packet *p =
        list_empty(&c->packets) ? NULL : LIST_ENTRY(c->packets.prev, struct packet, link);
    if (p && p->end < p->size)
        return p;
    return packet_add(c, MIN(MAX(want, (size_t)CHUNK_MIN), (size_t)CHUNK_MAX));
}

static int stream_write(struct channel *c, struct uio *u, size_t limit)
{
    int err = c->used >= limit ? -EAGAIN : 0;
    while (!err && u->left && c->used < limit) {
        struct packet *p = stream_tail(c, u->left);
        if (!p)
            return -ENOMEM;
        size_t before = u->done, n = MIN(MIN(p->size - p->end, u->left), limit - c->used);
        err = uio_copy_in(u, p->data + p->end, n);
        p->end += u->done - before;
        c->used += u->done - before;
        if (p->start == p->end)
            packet_free(p);
    }
    return err;
}

static int message_write(struct channel *c, struct uio *u, size_t limit)
{
    size_t cost = u->left + sizeof(struct packet), n = u->left;
    if (n > limit)
        return -EMSGSIZE;
    if (c->used && c->used + cost > limit)
        return -EAGAIN;
    struct packet *p = packet_add(c, n);
    if (!p)
        return -ENOBUFS;
    int err = uio_copy_in(u, p->data, n);
    if (err) {
        packet_free(p);
        return err;
    }
    p->end = n;
    c->used += cost;
    return 0;
}

/* A datagram for nobody: refused once, and from then on there is no peer. */
static int peer_gone(struct unix_socket *u)
{
    return __atomic_exchange_n(&u->failed, true, __ATOMIC_ACQ_REL) ? -ENOTCONN : -ECONNREFUSED;
}

static ssize_t unix_send(struct socket *s, struct message *m)
{
    struct channel *c = ((struct unix_socket *)s)->out;
    size_t start = m->uio->done;
    bool stream = s->type == SOCK_STREAM;
    int err;
    if (m->name_len && s->type != SOCK_SEQPACKET)
        return c && stream ? -EISCONN : stream ? -EOPNOTSUPP : -ECONNREFUSED;
    if (!c)
        return -ENOTCONN;
    mutex_lock(&c->lock);
    if (c->shut)
        err = -EPIPE;
    else if (c->gone)
        err = peer_gone((struct unix_socket *)s);
    else
        err =
            stream ? stream_write(c, m->uio, s->send_size) : message_write(c, m->uio, s->send_size);
    mutex_unlock(&c->lock);
    if (err && m->uio->done == start)
        return err;
    waitq_wake(&c->readable, POLLIN | POLLRDNORM);
    return (ssize_t)(m->uio->done - start);
}

/* Bytes from the front; with `peek` they stay. */
static int stream_read(struct channel *c, struct uio *u, bool peek)
{
    int err = 0;
    LIST_FOR_EACH_SAFE(l, &c->packets)
    {
        struct packet *p = LIST_ENTRY(l, struct packet, link);
        size_t before = u->done;
        if (err || !u->left)
            break;
        err = uio_copy_out(u, p->data + p->start, MIN(p->end - p->start, u->left));
        if (peek)
            continue;
        p->start += u->done - before;
        c->used -= u->done - before;
        if (p->start == p->end)
            packet_free(p);
    }
    return err;
}

/* One message; what does not fit is lost. Its length as the caller shall be told. */
static ssize_t message_read(struct channel *c, struct message *m)
{
    struct packet *p = packet_first(c);
    size_t len = p->end, n = MIN(len, m->uio->left);
    int err = uio_copy_out(m->uio, p->data, n);
    if (n < len)
        m->out_flags |= MSG_TRUNC;
    if (!(m->flags & MSG_PEEK)) {
        c->used -= len + sizeof *p;
        packet_free(p);
    }
    return err ? err : (ssize_t)(m->flags & MSG_TRUNC ? len : n);
}

/* The error of a peer that closed with our data unread, once. */
static int unix_error(struct socket *s)
{
    struct unix_socket *u = (struct unix_socket *)s;
    if (!u->out || !u->out->lost || __atomic_exchange_n(&u->failed, true, __ATOMIC_ACQ_REL))
        return 0;
    return ECONNRESET;
}

static ssize_t unix_receive(struct socket *s, struct message *m)
{
    struct channel *c = ((struct unix_socket *)s)->in;
    size_t start = m->uio->done;
    ssize_t r = 0;
    m->name_len = 0;
    if (!c)
        return s->type == SOCK_STREAM ? -EINVAL : s->type == SOCK_DGRAM ? -EAGAIN : -ENOTCONN;
    mutex_lock(&c->lock);
    bool empty = list_empty(&c->packets);
    if (!empty && s->type == SOCK_STREAM) {
        int err = stream_read(c, m->uio, m->flags & MSG_PEEK);
        r = m->uio->done > start ? (ssize_t)(m->uio->done - start) : err;
    } else if (!empty) {
        r = message_read(c, m);
    } else {
        r = -unix_error(s);
        if (!r && !c->shut)
            r = -EAGAIN;
    }
    mutex_unlock(&c->lock);
    if (!empty && !(m->flags & MSG_PEEK))
        waitq_wake(&c->writable, POLLOUT | POLLWRNORM);
    return r;
}

static uint32_t unix_poll(struct socket *s, struct poll_table *pt)
{
    struct unix_socket *u = (struct unix_socket *)s;
    bool ordered = s->type != SOCK_DGRAM;
    uint32_t bits = 0;
    if (!u->in) {
        poll_add(pt, &u->none);
        return POLLOUT | POLLWRNORM | POLLWRBAND | (ordered ? POLLHUP : 0);
    }
    poll_add(pt, &u->in->readable);
    poll_add(pt, &u->out->writable);
    mutex_lock(&u->in->lock);
    bool shut = u->in->shut;
    if (!list_empty(&u->in->packets) || shut)
        bits |= POLLIN | POLLRDNORM;
    mutex_unlock(&u->in->lock);
    mutex_lock(&u->out->lock);
    if (u->out->used < s->send_size)
        bits |= POLLOUT | POLLWRNORM | POLLWRBAND;
    if (u->out->lost && !u->failed)
        bits |= POLLERR;
    if (shut)
        bits |= POLLRDHUP | (u->out->shut ? POLLHUP : 0);
    mutex_unlock(&u->out->lock);
    return bits;
}

static int unix_shutdown(struct socket *s, int how)
{
    struct unix_socket *u = (struct unix_socket *)s;
    if (!u->in)
        return 0; /* as Linux */
    if (how != SHUT_WR)
        channel_shut(u->in);
    if (how != SHUT_RD)
        channel_shut(u->out);
    return 0;
}

static int unix_name(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out,
                     unsigned *len)
{
    const struct unix_socket *u = (struct unix_socket *)s;
    if (peer && (!u->in || (s->type == SOCK_DGRAM && u->failed)))
        return -ENOTCONN;
    out->ss_family = AF_UNIX;
    *len = sizeof out->ss_family; /* without a name */
    return 0;
}

static int unix_connect(struct socket *s, const struct message *to)
{
    char path[sizeof(struct sockaddr_un)];
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    if (to->name_len <= head || to->name_len > sizeof(struct sockaddr_un) ||
        to->name.ss_family != AF_UNIX)
        return -EINVAL;
    if (((struct unix_socket *)s)->in && s->type != SOCK_DGRAM)
        return -EISCONN;
    memcpy(path, (const char *)&to->name + head, to->name_len - head);
    path[to->name_len - head] = '\0';
    if (!path[0] || !unix_look_up)
        return -ECONNREFUSED; /* nobody has bound an abstract name */
    int err = unix_look_up(path);
    return err ? err : -ECONNREFUSED;
}

static size_t unix_queued(struct socket *s, bool out)
{
    struct unix_socket *u = (struct unix_socket *)s;
    struct channel *c = out ? u->out : u->in;
    if (!c)
        return 0;
    mutex_lock(&c->lock);
    const struct packet *p = packet_first(c);
    size_t n = out || s->type == SOCK_STREAM ? c->used : p ? p->end : 0;
    mutex_unlock(&c->lock);
    return n;
}

static void unix_release(struct socket *s)
{
    struct unix_socket *u = (struct unix_socket *)s;
    if (u->in) {
        mutex_lock(&u->in->lock);
        u->in->gone = true;
        u->in->lost = s->type != SOCK_DGRAM && !list_empty(&u->in->packets);
        mutex_unlock(&u->in->lock);
        if (s->type != SOCK_DGRAM) {
            channel_shut(u->in);
            channel_shut(u->out);
        }
        channel_put(u->in);
        channel_put(u->out);
    }
    kfree(u);
}

static const struct socket_ops unix_ops = {
    .send = unix_send,
    .receive = unix_receive,
    .poll = unix_poll,
    .connect = unix_connect,
    .shutdown = unix_shutdown,
    .name = unix_name,
    .queued = unix_queued,
    .error = unix_error,
    .release = unix_release,
};

int unix_create(int type, int protocol, uint32_t flags, struct file **out)
{
    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW) /* as Linux: the same as SOCK_DGRAM */
        type = SOCK_DGRAM;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_socket *u = kzalloc(sizeof *u);
    if (!u)
        return -ENOMEM;
    socket_init(&u->socket, &unix_ops, AF_UNIX, type, protocol);
    waitq_init(&u->none);
    int err = socket_file(&u->socket, flags, out);
    if (err)
        kfree(u);
    return err;
}

int unix_create_pair(int type, int protocol, uint32_t flags, struct file *out[2])
{
    int err = unix_create(type, protocol, flags, &out[0]);
    if (err)
        return err;
    err = unix_create(type, protocol, flags, &out[1]);
    struct channel *a = err ? NULL : channel_create(), *b = a ? channel_create() : NULL;
    if (!b) {
        kfree(a);
        file_put(out[0]);
        if (!err)
            file_put(out[1]);
        return -ENOMEM;
    }
    struct unix_socket *first = out[0]->priv, *second = out[1]->priv;
    first->in = second->out = a;
    first->out = second->in = b;
    return 0;
}
