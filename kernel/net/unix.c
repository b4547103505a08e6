/* SPDX-License-Identifier: Apache-2.0 */
/* Life of AF_UNIX sockets: see unix_state.h. */
#include "net/unix.h"

#include <linux/errno.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "lib/string.h"
#include "mem/kmalloc.h"
#include "net/abi.h"
#include "net/unix_state.h"

struct mutex unix_lock = MUTEX_INIT(unix_lock);
struct waitq unix_room = WAITQ_INIT(unix_room);

static struct mutex all_lock = MUTEX_INIT(all_lock); /* within unix_lock */
static struct list all = LIST_INIT(all);

static const struct socket_ops unix_ops;

struct unix_socket *unix_new(int type, int protocol)
{
    struct unix_socket *u = kzalloc(sizeof *u);
    if (!u)
        return NULL;
    socket_init(&u->socket, &unix_ops, AF_UNIX, type, protocol);
    u->refs = 1;
    mutex_init(&u->lock);
    list_init(&u->inbox);
    list_init(&u->waiting);
    list_init(&u->waiting_link);
    waitq_init(&u->wait);
    u->peer_owner = (struct credentials){0, UINT32_MAX, UINT32_MAX};
    mutex_lock(&all_lock);
    list_add_tail(&all, &u->all_link);
    mutex_unlock(&all_lock);
    return u;
}

void unix_get(struct unix_socket *u)
{
    __atomic_add_fetch(&u->refs, 1, __ATOMIC_RELAXED);
}

void unix_put(struct unix_socket *u)
{
    if (__atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL))
        return;
    mutex_lock(&all_lock);
    list_remove(&u->all_link);
    mutex_unlock(&all_lock);
    unix_name_put(u->name);
    kfree(u);
}

struct list *unix_all_lock(void)
{
    mutex_lock(&all_lock);
    return &all;
}

void unix_all_unlock(void)
{
    mutex_unlock(&all_lock);
}

struct unix_socket *unix_peer(struct unix_socket *u)
{
    bool changes = unix_is_datagram(u);
    if (changes)
        mutex_lock(&unix_lock);
    struct unix_socket *peer = __atomic_load_n(&u->peer, __ATOMIC_ACQUIRE);
    if (peer)
        unix_get(peer);
    if (changes)
        mutex_unlock(&unix_lock);
    return peer;
}

void unix_join(struct unix_socket *a, struct unix_socket *b)
{
    unix_get(a);
    unix_get(b);
    a->peer_owner = b->owner;
    b->peer_owner = a->owner;
    __atomic_store_n(&b->peer, a, __ATOMIC_RELEASE);
    __atomic_store_n(&a->peer, b, __ATOMIC_RELEASE);
}

/* Ends directions of a socket for good. */
static void shut(struct unix_socket *u, unsigned which)
{
    mutex_lock(&u->lock);
    u->shut |= which;
    mutex_unlock(&u->lock);
    waitq_wake(&u->wait, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP | POLLOUT | POLLERR);
}

void unix_close(struct unix_socket *u, bool refused)
{
    mutex_lock(&unix_lock);
    unix_name_release(u);
    struct unix_socket *peer = u->peer;
    u->dead = true;
    u->peer = NULL;
    mutex_unlock(&unix_lock);
    if (u->listening)
        unix_listener_close(u);
    struct list unread;
    list_init(&unread);
    mutex_lock(&u->lock);
    u->shut = UNIX_NO_READ | UNIX_NO_WRITE; /* nothing more comes in */
    unix_gc_moved();
    list_splice_tail(&unread, &u->inbox);
    mutex_unlock(&u->lock);
    bool lost = unix_first_unread(&unread);
    u->urgent = NULL;
    while (!list_empty(&unread))
        unix_packet_free(LIST_ENTRY(unread.next, struct packet, link));
    if (peer && !unix_is_datagram(u)) {
        if (lost || refused)
            peer->error = ECONNRESET;
        shut(peer, UNIX_NO_READ | UNIX_NO_WRITE);
    } else if (unix_is_datagram(u)) {
        waitq_wake(&unix_room, POLLOUT | POLLERR);
    }
    if (peer)
        unix_put(peer);
    unix_put(u);
}

static void unix_release(struct socket *s)
{
    unix_close(unix_of(s), false);
    unix_gc(true);
}

/* Could it send now? Whoever reads there says when that changes. */
static bool may_send(struct unix_socket *u, struct unix_socket *peer)
{
    if (!peer)
        return true;
    mutex_lock(&peer->lock);
    bool may = peer->dead || !unix_full(peer, u);
    peer->refused |= !may;
    mutex_unlock(&peer->lock);
    return may;
}

static uint32_t unix_poll(struct socket *s, struct poll_table *pt)
{
    struct unix_socket *u = unix_of(s);
    uint32_t bits = 0;
    poll_add(pt, &u->wait);
    if (unix_is_datagram(u) || !u->peer)
        poll_add(pt, &unix_room);
    struct unix_socket *peer = unix_peer(u);
    if (u->listening) {
        bits = u->pending ? POLLIN | POLLRDNORM : 0;
    } else if (!peer && !unix_is_datagram(u)) {
        bits = POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP;
    } else {
        if (u->count || u->shut & UNIX_NO_READ)
            bits |= POLLIN | POLLRDNORM;
        if (u->urgent)
            bits |= POLLPRI;
        if (may_send(u, peer))
            bits |= POLLOUT | POLLWRNORM | POLLWRBAND;
    }
    if (peer)
        unix_put(peer);
    if (u->shut & UNIX_NO_READ)
        bits |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (u->shut == (UNIX_NO_READ | UNIX_NO_WRITE))
        bits |= POLLHUP;
    return u->error ? bits | POLLERR : bits;
}

static int unix_shutdown(struct socket *s, int how)
{
    struct unix_socket *u = unix_of(s), *peer = unix_peer(u);
    unsigned own = how == SHUT_RD   ? UNIX_NO_READ
                   : how == SHUT_WR ? UNIX_NO_WRITE
                                    : UNIX_NO_READ | UNIX_NO_WRITE;
    shut(u, own);
    if (peer && !unix_is_datagram(u))
        shut(peer,
             (own & UNIX_NO_READ ? UNIX_NO_WRITE : 0) | (own & UNIX_NO_WRITE ? UNIX_NO_READ : 0));
    if (u->listening)
        waitq_wake(&unix_room, POLLOUT);
    if (peer)
        unix_put(peer);
    return 0;
}

static int unix_name(struct socket *s, bool peer, struct __kernel_sockaddr_storage *out,
                     unsigned *len)
{
    struct unix_socket *u = unix_of(s);
    int err = 0;
    mutex_lock(&unix_lock);
    if (peer && !u->peer)
        err = -ENOTCONN;
    else
        *len = unix_name_copy(peer ? u->peer->name : u->name, out);
    mutex_unlock(&unix_lock);
    return err;
}

static size_t unix_queued(struct socket *s, bool out)
{
    struct unix_socket *u = unix_of(s), *peer = out ? unix_peer(u) : NULL;
    size_t n = 0;
    if (out) {
        n = peer ? peer->used : 0;
        if (peer)
            unix_put(peer);
        return n;
    }
    mutex_lock(&u->lock);
    if (unix_is_stream(u))
        n = u->used;
    else if (!list_empty(&u->inbox))
        n = LIST_ENTRY(u->inbox.next, struct packet, link)->end;
    mutex_unlock(&u->lock);
    return n;
}

static int unix_error(struct socket *s)
{
    return __atomic_exchange_n(&unix_of(s)->error, 0, __ATOMIC_RELAXED);
}

static bool unix_listening(struct socket *s)
{
    return unix_of(s)->listening;
}

static struct credentials unix_peer_owner(struct socket *s)
{
    return unix_of(s)->peer_owner;
}

unsigned unix_count(void)
{
    unsigned n = 0;
    mutex_lock(&all_lock);
    LIST_FOR_EACH(l, &all)
    n++;
    mutex_unlock(&all_lock);
    return n;
}

static void name_text(struct seq *s, const struct unix_name *n)
{
    const char *path = n->address.sun_path;
    size_t len = n->len - offsetof(struct sockaddr_un, sun_path);
    if (n->path)
        len = strnlen(path, sizeof n->address.sun_path);
    seq_text(s, " ");
    for (size_t i = 0; i < len; i++)
        seq_write(s, path[i] ? &path[i] : "@", 1);
}

int unix_text(struct seq *s)
{
    seq_text(s, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    mutex_lock(&unix_lock);
    mutex_lock(&all_lock);
    LIST_FOR_EACH(l, &all)
    {
        const struct unix_socket *u = LIST_ENTRY(l, struct unix_socket, all_link);
        if (u->dead)
            continue;
        seq_printf(s, "%016lx: %08X %08X %08X %04X %02X %5lu", 0ul, u->refs + 1, 0,
                   u->listening ? 0x10000 : 0, u->socket.type, u->peer ? 3 : 1, u->socket.ino);
        if (u->name)
            name_text(s, u->name);
        seq_text(s, "\n");
    }
    mutex_unlock(&all_lock);
    mutex_unlock(&unix_lock);
    return 0;
}

static const struct socket_ops unix_ops = {
    .send = unix_send,
    .receive = unix_receive,
    .receive_urgent = unix_receive_urgent,
    .at_mark = unix_at_mark,
    .poll = unix_poll,
    .bind = unix_name_bind,
    .listen = unix_listen,
    .accept = unix_accept,
    .connect = unix_connect,
    .shutdown = unix_shutdown,
    .name = unix_name,
    .queued = unix_queued,
    .listening = unix_listening,
    .error = unix_error,
    .peer = unix_peer_owner,
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
    struct unix_socket *u = unix_new(type, protocol);
    if (!u)
        return -ENOMEM;
    int err = socket_file(&u->socket, flags, out);
    if (err)
        unix_put(u);
    return err;
}

int unix_create_pair(int type, int protocol, uint32_t flags, struct file *out[2])
{
    int err = unix_create(type, protocol, flags, &out[0]);
    if (err)
        return err;
    err = unix_create(type, protocol, flags, &out[1]);
    if (err) {
        file_put(out[0]);
        return err;
    }
    struct unix_socket *a = out[0]->priv, *b = out[1]->priv;
    a->owner = b->owner = socket_process.credentials();
    unix_join(a, b);
    return 0;
}
