/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners and connections of AF_UNIX: a connection is complete when connect(2)
 * returns; the other end waits in the listener's queue until somebody takes it.
 */
#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "net/abi.h"
#include "net/unix_state.h"

#define BACKLOG_MAX 4096 /* net.core.somaxconn */

int unix_listen(struct socket *s, int backlog)
{
    struct unix_socket *u = unix_of(s);
    int err = 0;
    if (unix_is_datagram(u))
        return -EOPNOTSUPP;
    mutex_lock(&unix_lock);
    if (!u->name || u->peer) {
        err = -EINVAL;
    } else {
        u->backlog = (unsigned)(backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog);
        u->listening = true;
        u->owner = u->peer_owner = socket_process.credentials();
    }
    mutex_unlock(&unix_lock);
    if (!err)
        waitq_wake(&unix_room, POLLOUT);
    return err;
}

/* A datagram socket's peer from now on. */
static int connect_datagram(struct unix_socket *u, struct unix_socket *to)
{
    struct unix_socket *old = NULL;
    int err = 0;
    mutex_lock(&unix_lock);
    if (to && to->peer && to->peer != u) {
        err = -EPERM;
    } else {
        old = u->peer;
        u->peer = to;
        if (to)
            unix_get(to);
    }
    mutex_unlock(&unix_lock);
    if (old)
        unix_put(old);
    return err;
}

/* The other end of a new connection, in the listener's queue. unix_lock is held. */
static int connect_locked(struct unix_socket *u, struct unix_socket *l, struct unix_socket *end)
{
    if (u->peer)
        return -EISCONN;
    if (u->listening)
        return -EINVAL;
    if (!l->listening || l->dead || l->shut & UNIX_NO_READ)
        return -ECONNREFUSED;
    if (l->pending > l->backlog)
        return -EAGAIN;
    u->owner = socket_process.credentials();
    end->owner = l->owner;
    end->name = l->name;
    __atomic_add_fetch(&end->name->refs, 1, __ATOMIC_RELAXED);
    socket_option_switch(&end->socket, SO_PASSCRED, socket_option_on(&l->socket, SO_PASSCRED));
    unix_join(u, end);
    list_add_tail(&l->waiting, &end->waiting_link);
    l->pending++;
    return 0;
}

static int connect_stream(struct unix_socket *u, struct unix_socket *l)
{
    struct unix_socket *end = unix_new(u->socket.type, u->socket.protocol);
    if (!end)
        return -ENOMEM;
    mutex_lock(&unix_lock);
    int err = connect_locked(u, l, end);
    mutex_unlock(&unix_lock);
    if (err) {
        unix_put(end);
        return err;
    }
    waitq_wake(&l->wait, POLLIN | POLLRDNORM);
    waitq_wake(&u->wait, POLLOUT | POLLWRNORM);
    return 0;
}

int unix_connect(struct socket *s, const struct message *to)
{
    struct unix_socket *u = unix_of(s), *other;
    int err = 0;
    if (to->name_len < sizeof to->name.ss_family)
        return -EINVAL;
    if (to->name.ss_family == AF_UNSPEC && unix_is_datagram(u))
        return connect_datagram(u, NULL);
    if (socket_option_on(s, SO_PASSCRED) && !u->name)
        err = unix_name_choose(u);
    if (!err)
        err = unix_name_find(to, s->type, &other);
    if (err)
        return err;
    err = unix_is_datagram(u) ? connect_datagram(u, other) : connect_stream(u, other);
    unix_put(other);
    return err;
}

int unix_accept(struct socket *s, uint32_t flags, struct file **out, struct message *name)
{
    struct unix_socket *l = unix_of(s), *end = NULL;
    int err = 0;
    if (unix_is_datagram(l))
        return -EOPNOTSUPP;
    mutex_lock(&unix_lock);
    if (!l->listening)
        err = -EINVAL;
    else if (list_empty(&l->waiting))
        err = l->shut & UNIX_NO_READ && !(s->file->flags & O_NONBLOCK) ? -EINVAL : -EAGAIN;
    else
        end = LIST_ENTRY(l->waiting.next, struct unix_socket, waiting_link);
    if (end)
        err = socket_file(&end->socket, flags, out);
    if (!err) {
        list_remove(&end->waiting_link);
        l->pending--;
        name->name_len = unix_name_copy(end->peer->name, &name->name);
    }
    mutex_unlock(&unix_lock);
    if (!err)
        waitq_wake(&unix_room, POLLOUT);
    return err;
}

void unix_listener_close(struct unix_socket *u)
{
    for (;;) {
        mutex_lock(&unix_lock);
        struct list *l = list_pop_head(&u->waiting);
        mutex_unlock(&unix_lock);
        if (!l)
            break;
        unix_close(LIST_ENTRY(l, struct unix_socket, waiting_link), true);
    }
    waitq_wake(&unix_room, POLLOUT);
}
