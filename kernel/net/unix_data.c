/* SPDX-License-Identifier: Apache-2.0 */
/* What AF_UNIX sockets send each other: see unix_state.h. */
#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/poll.h>
#include <asm/signal.h>

#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/control_message.h"
#include "net/unix_state.h"

#define CHUNK_MIN  512u
#define CHUNK_MAX  16384u
#define WHO_NOBODY 65534u /* the overflow ids */

/* What one send puts into a packet beside its bytes. */
struct parcel {
    struct unix_files *files;
    struct credentials who;
    struct unix_name *from;
};

void unix_packet_free(struct packet *p)
{
    list_remove(&p->link);
    unix_files_free(p->files);
    unix_name_put(p->from);
    kfree(p);
}

static struct packet *packet_add(struct unix_socket *to, size_t size, struct parcel *parcel)
{
    struct packet *p = kmalloc(sizeof *p + size);
    if (!p)
        return NULL;
    *p = (struct packet){
        .size = size, .who = parcel->who, .from = parcel->from, .files = parcel->files};
    if (p->from)
        __atomic_add_fetch(&p->from->refs, 1, __ATOMIC_RELAXED);
    if (p->files)
        unix_gc_moved();
    parcel->files = NULL;
    list_add_tail(&to->inbox, &p->link);
    to->count++;
    return p;
}

/* Its files go to *files: they must not be put under the lock. */
static void packet_remove(struct unix_socket *u, struct packet *p, struct unix_files **files)
{
    u->count--;
    if (p->files) {
        unix_gc_moved();
        *files = p->files;
        p->files = NULL;
    }
    unix_packet_free(p);
}

static bool same_sender(const struct credentials *a, const struct credentials *b)
{
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* The packet that the next bytes of a stream go to. */
static struct packet *stream_tail(struct unix_socket *to, size_t want, struct parcel *parcel)
{
    struct packet *p =
        list_empty(&to->inbox) ? NULL : LIST_ENTRY(to->inbox.prev, struct packet, link);
    if (p && p->end < p->size && !p->files && !parcel->files && same_sender(&p->who, &parcel->who))
        return p;
    return packet_add(to, MIN(MAX(want, (size_t)CHUNK_MIN), (size_t)CHUNK_MAX), parcel);
}

/* All but the last `keep` bytes, as far as there is room. */
static int stream_write(struct unix_socket *to, struct uio *u, size_t keep, size_t limit,
                        struct parcel *parcel)
{
    int err = to->used >= limit ? -EAGAIN : 0;
    while (!err && u->left > keep && to->used < limit) {
        struct packet *p = stream_tail(to, u->left - keep, parcel);
        if (!p)
            return -ENOMEM;
        size_t before = u->done, n = MIN(MIN(p->size - p->end, u->left - keep), limit - to->used);
        err = uio_copy_in(u, p->data + p->end, n);
        p->end += u->done - before;
        to->used += u->done - before;
        if (p->start == p->end)
            packet_remove(to, p, &parcel->files);
    }
    return err;
}

/* MSG_OOB: the last byte is urgent, and one that was urgent before is so no more. */
static int urgent_write(struct unix_socket *to, struct uio *u, size_t limit, struct parcel *parcel)
{
    int err = stream_write(to, u, 1, limit, parcel);
    if (err || to->used >= limit)
        return err ? err : -EAGAIN;
    struct packet *p = packet_add(to, 1, parcel);
    if (!p)
        return -ENOMEM;
    err = uio_copy_in(u, p->data, 1);
    if (err) {
        packet_remove(to, p, &parcel->files);
        return err;
    }
    p->end = 1;
    p->urgent = true;
    to->used++;
    to->urgent = p;
    if (file_owner_signal && to->socket.file) /* it is not dead: its file waits for its lock */
        file_owner_signal(to->socket.file, SIGURG);
    return 0;
}

bool unix_full(const struct unix_socket *to, const struct unix_socket *from)
{
    size_t limit = from->socket.send_size;
    if (to->peer == from || to == from)
        return to->used >= limit;
    return unix_is_datagram(to) && (to->count > UNIX_MESSAGES || to->used >= limit);
}

static int message_write(struct unix_socket *to, const struct unix_socket *from, struct uio *u,
                         struct parcel *parcel)
{
    size_t cost = u->left + sizeof(struct packet), n = u->left;
    if (to->used && (unix_full(to, from) || to->used + cost > from->socket.send_size))
        return -EAGAIN;
    struct packet *p = packet_add(to, n, parcel);
    if (!p)
        return -ENOBUFS;
    int err = uio_copy_in(u, p->data, n);
    if (err) {
        packet_remove(to, p, &parcel->files);
        return err;
    }
    p->end = n;
    to->used += cost;
    return 0;
}

/* Puts it into the other's inbox. */
static int deliver(struct unix_socket *u, struct unix_socket *to, struct message *m,
                   struct parcel *parcel)
{
    size_t start = m->uio->done;
    int err;
    if (!parcel->who.pid &&
        (socket_option_on(&u->socket, SO_PASSCRED) || socket_option_on(&to->socket, SO_PASSCRED)))
        parcel->who = socket_process.credentials();
    mutex_lock(&to->lock);
    if (to->dead)
        err = unix_is_datagram(u) ? -ECONNREFUSED : -EPIPE;
    else if (to->shut & UNIX_NO_READ)
        err = -EPIPE;
    else if (m->flags & MSG_OOB)
        err = urgent_write(to, m->uio, u->socket.send_size, parcel);
    else if (unix_is_stream(u))
        err = stream_write(to, m->uio, 0, u->socket.send_size, parcel);
    else
        err = message_write(to, u, m->uio, parcel);
    to->refused |= err == -EAGAIN;
    mutex_unlock(&to->lock);
    if (!err || m->uio->done > start)
        waitq_wake(&to->wait, POLLIN | POLLRDNORM | (to->urgent ? POLLPRI : 0));
    return err;
}

/* Where a message goes, referenced. */
static int target(struct unix_socket *u, const struct message *m, struct unix_socket **to)
{
    int err = 0;
    if (m->name_len && unix_is_stream(u))
        return u->peer ? -EISCONN : -EOPNOTSUPP;
    if (m->name_len && unix_is_datagram(u)) {
        err = unix_name_find(m, u->socket.type, to);
        if (err)
            return err;
        mutex_lock(&unix_lock);
        if ((*to)->peer && (*to)->peer != u)
            err = -EPERM; /* it hears its own peer only */
        mutex_unlock(&unix_lock);
        if (err)
            unix_put(*to);
        return err;
    }
    *to = unix_peer(u);
    return *to ? 0 : -ENOTCONN;
}

/* A datagram's peer has closed: the next send finds none. */
static void peer_forget(struct unix_socket *u, struct unix_socket *to)
{
    mutex_lock(&unix_lock);
    bool mine = u->peer == to;
    if (mine)
        u->peer = NULL;
    mutex_unlock(&unix_lock);
    if (mine)
        unix_put(to);
}

ssize_t unix_send(struct socket *s, struct message *m)
{
    struct unix_socket *u = unix_of(s), *to;
    struct parcel parcel = {.who = {0, WHO_NOBODY, WHO_NOBODY}};
    size_t start = m->uio->done;
    int err = 0;
    if (m->flags & MSG_OOB && (!unix_is_stream(u) || !m->uio->left))
        return -EOPNOTSUPP;
    if (m->control_len && !start)
        err = unix_rights_take(m, &parcel.files, &parcel.who);
    if (parcel.files)
        unix_gc(false);
    if (!err && socket_option_on(s, SO_PASSCRED) && !u->name)
        err = unix_name_choose(u);
    if (!err)
        err = target(u, m, &to);
    if (err) {
        unix_files_free(parcel.files);
        return err;
    }
    if (!unix_is_stream(u) && m->uio->left > s->send_size - 32)
        err = -EMSGSIZE;
    else if (u->shut & UNIX_NO_WRITE)
        err = -EPIPE;
    if (unix_is_datagram(u))
        parcel.from = u->name;
    if (!err)
        err = deliver(u, to, m, &parcel);
    if (err == -ECONNREFUSED)
        peer_forget(u, to);
    unix_put(to);
    unix_files_free(parcel.files);
    return err && m->uio->done == start ? err : (ssize_t)(m->uio->done - start);
}

/* What the receiver is told of the sender. */
static void tell_sender(struct socket *s, struct message *m, const struct packet *p)
{
    if (socket_option_on(s, SO_PASSCRED))
        control_put(m, SOL_SOCKET, SCM_CREDENTIALS, &p->who, sizeof p->who);
}

/* Descriptors end a read; they are taken out with the first byte. */
static void tell_files(struct message *m, struct packet *p, struct unix_files **gone)
{
    if (!p->files)
        return;
    m->enough = true;
    unix_gc_moved();
    unix_rights_give(m, p->files);
    if (!(m->flags & MSG_PEEK)) {
        *gone = p->files;
        p->files = NULL;
    }
}

/* The urgent byte ends a read, and is taken out by the next; so is the mark it left. */
static enum urgent_step {
    URGENT_READ,
    URGENT_PASS,
    URGENT_STOP
} urgent_step(struct unix_socket *u, struct message *m, struct packet *p, struct unix_files **gone)
{
    bool peek = m->flags & MSG_PEEK, copied = m->uio->done;
    if (p->start == p->end) {
        if (copied && !u->urgent)
            return URGENT_STOP;
        if (!peek)
            packet_remove(u, p, gone);
        return URGENT_PASS;
    }
    if (p != u->urgent)
        return URGENT_READ;
    if (copied)
        return URGENT_STOP;
    bool in_line = socket_option_on(&u->socket, SO_OOBINLINE);
    if (!peek)
        u->urgent = NULL;
    if (in_line)
        return URGENT_READ;
    if (!peek) {
        u->used--;
        packet_remove(u, p, gone);
    }
    return URGENT_PASS;
}

/* Bytes from the front, up to those of another sender or behind descriptors. */
static int stream_read(struct unix_socket *u, struct message *m, struct unix_files **gone)
{
    struct uio *to = m->uio;
    bool told = false;
    struct credentials first = {0};
    int err = 0;
    LIST_FOR_EACH_SAFE(l, &u->inbox)
    {
        struct packet *p = LIST_ENTRY(l, struct packet, link);
        size_t before = to->done;
        if (err || !to->left || m->enough)
            break;
        if (p->urgent) {
            enum urgent_step step = urgent_step(u, m, p, gone);
            m->enough = step == URGENT_STOP;
            if (step != URGENT_READ)
                continue;
        }
        if (told && socket_option_on(&u->socket, SO_PASSCRED) && !same_sender(&first, &p->who))
            break;
        err = uio_copy_out(to, p->data + p->start, MIN(p->end - p->start, to->left));
        if (to->done > before) {
            if (!told && !m->room.used)
                tell_sender(&u->socket, m, p);
            told = true;
            first = p->who;
            tell_files(m, p, gone);
        }
        if (m->flags & MSG_PEEK)
            continue;
        p->start += to->done - before;
        u->used -= to->done - before;
        if (p->start == p->end)
            packet_remove(u, p, gone);
    }
    return err;
}

/* One message; what does not fit is lost. Its length as the caller shall be told. */
static ssize_t message_read(struct unix_socket *u, struct message *m, struct unix_files **gone)
{
    struct packet *p = LIST_ENTRY(u->inbox.next, struct packet, link);
    size_t len = p->end, n = MIN(len, m->uio->left);
    int err = uio_copy_out(m->uio, p->data, n);
    if (n < len)
        m->out_flags |= MSG_TRUNC;
    if (!err) {
        tell_sender(&u->socket, m, p);
        tell_files(m, p, gone);
        m->name_len = p->from ? unix_name_copy(p->from, &m->name) : 0;
    }
    if (!(m->flags & MSG_PEEK)) {
        u->used -= len + sizeof *p;
        packet_remove(u, p, gone);
    }
    return err ? err : (ssize_t)(m->flags & MSG_TRUNC ? len : n);
}

/* With nothing in the inbox. */
static ssize_t nothing(struct unix_socket *u)
{
    int error = __atomic_exchange_n(&u->error, 0, __ATOMIC_RELAXED);
    if (error)
        return -error;
    return u->shut & UNIX_NO_READ ? 0 : -EAGAIN;
}

/* Those who wait for room: the peer, or anybody who sends here. */
static void tell_room(struct unix_socket *u, bool refused)
{
    if (!unix_is_datagram(u))
        waitq_wake(&u->peer->wait, POLLOUT | POLLWRNORM);
    else if (refused)
        waitq_wake(&unix_room, POLLOUT | POLLWRNORM);
}

ssize_t unix_receive(struct socket *s, struct message *m)
{
    struct unix_socket *u = unix_of(s);
    struct unix_files *gone = NULL;
    size_t start = m->uio->done;
    ssize_t r;
    m->name_len = 0;
    if (!u->peer && !unix_is_datagram(u))
        return unix_is_stream(u) ? -EINVAL : -ENOTCONN;
    mutex_lock(&u->lock);
    bool empty = list_empty(&u->inbox), refused = u->refused && !(m->flags & MSG_PEEK);
    u->refused &= empty || !refused;
    if (empty) {
        r = nothing(u);
    } else if (unix_is_stream(u)) {
        int err = stream_read(u, m, &gone);
        r = m->uio->done > start                ? (ssize_t)(m->uio->done - start)
            : err || !m->uio->left || m->enough ? err
                                                : nothing(u);
        if (u->peer->name)
            m->name_len = unix_name_copy(u->peer->name, &m->name);
    } else {
        r = message_read(u, m, &gone);
    }
    mutex_unlock(&u->lock);
    unix_files_free(gone);
    if (!empty && !(m->flags & MSG_PEEK))
        tell_room(u, refused);
    return r;
}

struct packet *unix_first_unread(const struct list *inbox)
{
    LIST_FOR_EACH(l, inbox)
    {
        struct packet *p = LIST_ENTRY(l, struct packet, link);
        if (!p->urgent || p->start < p->end)
            return p;
    }
    return NULL;
}

ssize_t unix_receive_urgent(struct socket *s, struct message *m)
{
    struct unix_socket *u = unix_of(s);
    ssize_t r = -EINVAL;
    m->name_len = 0;
    if (!unix_is_stream(u))
        return -EOPNOTSUPP;
    mutex_lock(&u->lock);
    struct packet *p = socket_option_on(s, SO_OOBINLINE) ? NULL : u->urgent;
    if (p) {
        char byte = p->data[p->start];
        if (!(m->flags & MSG_PEEK)) {
            u->urgent = NULL;
            p->start++;
            u->used--;
        }
        r = m->uio->left ? uio_copy_out(m->uio, &byte, 1) : -EFAULT;
        m->out_flags |= r ? 0 : MSG_OOB;
        r = r ? r : 1;
    }
    mutex_unlock(&u->lock);
    if (r == 1 && u->peer)
        tell_room(u, false);
    return r;
}

int unix_at_mark(struct socket *s)
{
    struct unix_socket *u = unix_of(s);
    if (!unix_is_stream(u))
        return -EOPNOTSUPP;
    mutex_lock(&u->lock);
    struct list *l = u->inbox.next;
    struct packet *p = l == &u->inbox ? NULL : LIST_ENTRY(l, struct packet, link);
    bool here = p && p == u->urgent;
    if (p && p->urgent && p->start == p->end) /* taken: the mark it left */
        here = !u->urgent || l->next == &u->urgent->link;
    mutex_unlock(&u->lock);
    return here;
}
