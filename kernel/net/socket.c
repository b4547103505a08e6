/* SPDX-License-Identifier: Apache-2.0 */
/* What all families share: see socket.h. No lock of its own; options are single words. */
#include "net/socket.h"

#include <asm/ioctls.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/sockios.h>

#include "file/mode.h"
#include "file/wait.h"
#include "lib/string.h"
#include "net/abi.h"
#include "net/inet.h"
#include "net/interface_ioctl.h"
#include "net/netlink.h"
#include "net/unix.h"

struct socket_process socket_process;

static ssize_t send_op(struct file *f, void *arg)
{
    struct socket *s = f->priv;
    return s->ops->send(s, arg);
}

static ssize_t receive_op(struct file *f, void *arg)
{
    struct socket *s = f->priv;
    return s->ops->receive(s, arg);
}

/* One step, waiting as the message's flags and the file's timeout say. */
static ssize_t step(struct socket *s, struct message *m, bool write)
{
    wait_op_fn *op = write ? send_op : receive_op;
    if (m->flags & (MSG_DONTWAIT | MSG_ERRQUEUE))
        return op(s->file, m);
    return file_wait(s->file, write, op, m);
}

ssize_t socket_send(struct socket *s, struct message *m)
{
    size_t start = m->uio->done;
    ssize_t r;
    if (!s->ops->send || (m->flags & MSG_OOB && !s->ops->receive_urgent))
        return -EOPNOTSUPP;
    do {
        r = step(s, m, true);
    } while (r > 0 && m->uio->left && s->type == SOCK_STREAM);
    if (m->uio->done > start)
        return (ssize_t)(m->uio->done - start);
    if (!(m->flags & MSG_NOSIGNAL))
        file_written(s->file, r);
    return r;
}

ssize_t socket_receive(struct socket *s, struct message *m)
{
    size_t start = m->uio->done;
    ssize_t r;
    if (!s->ops->receive)
        return -EOPNOTSUPP;
    if (m->flags & MSG_OOB)
        return s->ops->receive_urgent ? s->ops->receive_urgent(s, m) : -EOPNOTSUPP;
    /* How much has to be there before a stream's receive ends. */
    size_t wanted = (size_t)s->numbers[NUMBER_LOW_WATER];
    if (m->flags & MSG_WAITALL)
        wanted = m->uio->left;
    bool more = wanted > 1 && s->type == SOCK_STREAM && !(m->flags & (MSG_PEEK | MSG_DONTWAIT));
    do {
        r = step(s, m, false);
    } while (more && r > 0 && m->uio->left && !m->enough && m->uio->done - start < wanted);
    return more && m->uio->done > start ? (ssize_t)(m->uio->done - start) : r;
}

struct accept_call {
    uint32_t flags;
    struct file **out;
    struct message *name;
};

static ssize_t accept_op(struct file *f, void *arg)
{
    struct socket *s = f->priv;
    const struct accept_call *c = arg;
    return s->ops->accept(s, c->flags, c->out, c->name);
}

int socket_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name)
{
    struct accept_call c = {flags, out, name};
    return s->ops->accept ? (int)file_wait(s->file, false, accept_op, &c) : -EOPNOTSUPP;
}

static ssize_t connected_op(struct file *f, void *arg)
{
    struct socket *s = f->priv;
    (void)arg;
    return s->ops->connect_done(s);
}

static ssize_t connect_op(struct file *f, void *arg)
{
    struct socket *s = f->priv;
    return s->ops->connect(s, arg);
}

int socket_connect(struct socket *s, struct message *to)
{
    if (!s->ops->connect)
        return -EOPNOTSUPP;
    int err = (int)file_wait(s->file, true, connect_op, to);
    bool begun = err == -EINPROGRESS || (err == -EALREADY && !(s->file->flags & O_NONBLOCK));
    if (!begun || s->file->flags & O_NONBLOCK)
        return err;
    err = (int)file_wait(s->file, true, connected_op, NULL);
    return err == -EAGAIN ? -EINPROGRESS : err; /* SO_SNDTIMEO */
}

/* read(2) and write(2): file.c waits and repeats. */
static ssize_t socket_read(struct file *f, struct uio *u, uint64_t *pos)
{
    struct message m = {.uio = u};
    (void)pos;
    return receive_op(f, &m);
}

static ssize_t socket_write(struct file *f, struct uio *u, uint64_t *pos)
{
    struct message m = {.uio = u};
    (void)pos;
    return send_op(f, &m);
}

static ssize_t socket_send_pages(struct file *f, struct file_pages *p)
{
    struct socket *s = f->priv;
    return s->ops->send_pages ? s->ops->send_pages(s, p) : -EOPNOTSUPP;
}

static uint32_t socket_poll(struct file *f, struct poll_table *pt)
{
    struct socket *s = f->priv;
    return s->ops->poll(s, pt);
}

static long mark_told(struct socket *s, struct uptr arg)
{
    int here = s->ops->at_mark(s);
    return here < 0 ? here : copy_to_user(arg, &here, sizeof here);
}

static long socket_ioctl(struct file *f, unsigned cmd, struct uptr arg)
{
    struct socket *s = f->priv;
    if (cmd == SIOCATMARK && s->ops->at_mark)
        return mark_told(s, arg);
    if ((cmd != FIONREAD && cmd != SIOCOUTQ) || !s->ops->queued)
        return interface_ioctl(cmd, arg);
    if (s->ops->listening && s->ops->listening(s))
        return -EINVAL;
    int n = (int)s->ops->queued(s, cmd == SIOCOUTQ);
    return copy_to_user(arg, &n, sizeof n);
}

static int socket_stat(struct file *f, struct file_stat *st)
{
    file_stat_anonymous(st, S_IFSOCK | 0777, ((struct socket *)f->priv)->ino);
    return 0;
}

static void socket_release(struct file *f)
{
    struct socket *s = f->priv;
    s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .send_pages = socket_send_pages,
    .poll = socket_poll,
    .ioctl = socket_ioctl,
    .stat = socket_stat,
    .release = socket_release,
};

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol)
{
    *s = (struct socket){.ops = ops,
                         .family = family,
                         .type = type,
                         .protocol = protocol,
                         .ino = file_next_ino(),
                         .send_size = SOCKET_BUFFER,
                         .receive_size = SOCKET_BUFFER};
    s->numbers[NUMBER_LOW_WATER] = 1;
    s->numbers[NUMBER_INCOMING_CPU] = s->numbers[NUMBER_PACING] = -1;
}

void socket_inherit(struct socket *s, const struct socket *from)
{
    s->send_size = from->send_size;
    s->receive_size = from->receive_size;
    s->send_sized = from->send_sized;
    s->receive_sized = from->receive_sized;
    memcpy(s->switches, from->switches, sizeof s->switches);
    memcpy(s->numbers, from->numbers, sizeof s->numbers);
    memcpy(s->linger, from->linger, sizeof s->linger);
    s->device = from->device;
}

int socket_file(struct socket *s, uint32_t flags, struct file **out)
{
    *out = file_create(&socket_file_ops, O_RDWR | flags, s);
    s->file = *out;
    if (!*out)
        return -ENOMEM;
    (*out)->quiet = s->type != SOCK_STREAM;
    return 0;
}

struct socket *socket_of(struct file *f)
{
    return f->ops == &socket_file_ops ? f->priv : NULL;
}

static int type_check(int type)
{
    if (type < SOCK_STREAM || type > SOCK_PACKET)
        return -EINVAL;
    return 0;
}

int socket_create(int family, int type, int protocol, uint32_t flags, struct file **out)
{
    int err = type_check(type);
    if (err)
        return err;
    switch (family) {
    case AF_UNIX:
        return unix_create(type, protocol, flags, out);
    case AF_INET:
    case AF_INET6:
        return inet_create(family, type, protocol, flags, out);
    case AF_NETLINK:
        return netlink_create(type, protocol, flags, out);
    default:
        return -EAFNOSUPPORT;
    }
}

int socket_create_pair(int family, int type, int protocol, uint32_t flags, struct file *out[2])
{
    int err = type_check(type);
    if (err)
        return err;
    if (family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
        return -EOPNOTSUPP;
    return family == AF_UNIX ? unix_create_pair(type, protocol, flags, out) : -EAFNOSUPPORT;
}
