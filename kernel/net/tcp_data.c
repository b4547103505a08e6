/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a TCP connection. Received pbufs hang in a queue of single pbufs
 * (their tot_len does not count there). Under the stack lock, but poll.
 */
#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/poll.h>

#include "file/poll.h"
#include "file/sendfile.h"
#include "lib/string.h"
#include "lwip/priv/tcp_priv.h"
#include "net/abi.h"
#include "net/link.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"
#include "net/tcp_urgent.h"

#define WINDOW_BATCH (8u * 1024) /* bytes read before lwIP is told */
#define COMPACT      1024u       /* a received piece this small is copied out of its page */

void tcp_wake(struct tcp_socket *t, uint32_t in, uint32_t out)
{
    if (in)
        waitq_wake(&t->readable, in);
    if (out)
        waitq_wake(&t->writable, out);
}

void tcp_wake_all(struct tcp_socket *t)
{
    tcp_wake(t, POLLIN | POLLRDNORM | POLLRDHUP | POLLHUP | POLLERR,
             POLLOUT | POLLWRNORM | POLLHUP | POLLERR);
}

/* A small piece in a page of its own would let a peer use up memory by tiny segments. */
static struct pbuf *compact(struct pbuf *p)
{
    if (p->len >= COMPACT || p->next || !(p->flags & PBUF_FLAG_IS_CUSTOM))
        return p;
    struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->len, PBUF_RAM);
    if (!copy)
        return p;
    memcpy(copy->payload, p->payload, p->len);
    pbuf_free(p);
    return copy;
}

void tcp_data_arrived(struct tcp_socket *t, struct tcp_pcb *pcb, struct pbuf *p)
{
    if (t->shut_read) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        return;
    }
    t->in_bytes += p->tot_len;
    p = compact(p);
    if (t->in_last)
        t->in_last->next = p;
    else
        t->in_first = p;
    while (p->next)
        p = p->next;
    t->in_last = p;
    tcp_wake(t, POLLIN | POLLRDNORM | (tcp_urgent_ready(t) ? POLLPRI : 0), 0);
}

void tcp_data_sent(struct tcp_socket *t, size_t n)
{
    tcp_queue_acknowledge(&t->out, n);
    if (t->out.bytes <= tcp_send_limit(t) / 2)
        tcp_wake(t, 0, POLLOUT | POLLWRNORM);
}

void tcp_data_drop(struct tcp_socket *t)
{
    while (t->in_first) {
        struct pbuf *p = t->in_first;
        t->in_first = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    t->in_last = NULL;
    t->in_bytes = 0;
}

/*
 * lwIP's window grows again by what was read: at once where little of it is left, else in
 * batches; first what it is larger than SO_RCVBUF allows is taken off. A peer that saw it
 * (nearly) closed hears of it, however small it is; lwIP compares with pcb->mss, which is made
 * real for that (tcp_table_leave() makes it long again).
 */
static void window_report(struct tcp_socket *t)
{
    struct tcp_pcb *pcb = t->pcb;
    size_t kept = MIN(t->unreported, t->window_excess);
    t->window_excess -= kept;
    t->unreported -= kept;
    if (!pcb || !t->unreported || (t->unreported < WINDOW_BATCH && pcb->rcv_wnd > WINDOW_BATCH))
        return;
    tcp_table_enter(pcb);
    pcb->mss = (u16_t)tcp_table_mss(pcb);
    bool closed = pcb->rcv_ann_wnd < pcb->mss;
    for (size_t n; t->unreported; t->unreported -= n) {
        n = MIN(t->unreported, (size_t)UINT16_MAX);
        tcp_recved(pcb, (u16_t)n);
    }
    if (closed && pcb->rcv_ann_wnd >= pcb->mss) {
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
    tcp_table_leave();
}

/* MSG_TRUNC: the bytes count as read and go nowhere. */
static int input_skip(struct uio *u, size_t n)
{
    u->done += n;
    u->left -= n;
    return 0;
}

/* The first n bytes, of the first pbuf, have been read. */
static void input_take(struct tcp_socket *t, size_t n)
{
    struct pbuf *p = t->in_first;
    t->in_bytes -= n;
    t->unreported += n;
    if (n < p->len) {
        p->payload = (char *)p->payload + n;
        p->len = (u16_t)(p->len - n);
        return;
    }
    t->in_first = p->next;
    if (!t->in_first)
        t->in_last = NULL;
    p->next = NULL;
    p->tot_len = p->len;
    pbuf_free(p);
}

void tcp_data_skip(struct tcp_socket *t, size_t n)
{
    for (size_t part; n; n -= part) {
        part = MIN(n, (size_t)t->in_first->len);
        input_take(t, part);
    }
}

/* Up to `most` bytes; with MSG_PEEK those behind the first `from` (0 or 1). */
static int input_read(struct tcp_socket *t, struct uio *u, unsigned flags, size_t from, size_t most)
{
    bool peek = flags & MSG_PEEK, skip = flags & MSG_TRUNC;
    struct pbuf *p = t->in_first;
    int err = 0;
    while (p && u->left && most && !err) {
        size_t before = u->done;
        size_t take = MIN(MIN(p->len - from, u->left), most);
        err = skip ? input_skip(u, take) : uio_copy_out(u, (char *)p->payload + from, take);
        size_t n = u->done - before;
        most -= n;
        from = 0;
        if (peek) {
            p = p->next;
            continue;
        }
        input_take(t, n);
        p = t->in_first;
    }
    return err;
}

/*
 * A read in a stream with urgent data: it ends at the mark, and begins behind the urgent byte,
 * which MSG_OOB takes, unless that shall stay in line.
 */
static int marked_read(struct tcp_socket *t, struct message *m)
{
    bool inline_too = socket_option_on(&t->socket, SO_OOBINLINE);
    size_t from = 0, before = tcp_urgent_before(t);
    bool here = tcp_urgent_here(t);
    if (here && m->uio->done) { /* the mark has come since this call read what is before it */
        m->enough = true;
        return 0;
    }
    if (here && !inline_too) {
        before--;
        if (m->flags & MSG_PEEK)
            from = 1;
        else
            tcp_data_skip(t, 1);
    }
    int err = input_read(t, m->uio, m->flags, from, before);
    m->enough |= m->uio->done && tcp_urgent_here(t);
    if (t->urgent_at < t->bytes_in - t->in_bytes)
        t->urgent = TCP_URGENT_NONE;
    return err;
}

static ssize_t receive_locked(struct tcp_socket *t, struct message *m)
{
    size_t start = m->uio->done;
    if (t->in_first) {
        int err = UNLIKELY(t->urgent) ? marked_read(t, m)
                                      : input_read(t, m->uio, m->flags, 0, m->uio->left);
        window_report(t);
        if (m->uio->done > start || m->enough || !m->uio->left)
            return (ssize_t)(m->uio->done - start);
        if (err)
            return err;
    }
    if (t->got_fin || t->shut_read)
        return 0;
    if (t->error)
        return -__atomic_exchange_n(&t->error, 0, __ATOMIC_RELAXED);
    if (t->phase == GONE)
        return 0;
    return t->phase == FRESH || t->phase == LISTENING ? -ENOTCONN : -EAGAIN;
}

ssize_t tcp_data_receive(struct socket *s, struct message *m)
{
    m->name_len = 0;
    if (m->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    stack_lock();
    ssize_t r = receive_locked(tcp_of(s), m);
    stack_unlock();
    return r;
}

/* How many bytes it takes now, or why none. */
static ssize_t send_room(struct tcp_socket *t)
{
    if (t->error)
        return -__atomic_exchange_n(&t->error, 0, __ATOMIC_RELAXED);
    if (t->shut_write || t->phase == GONE || t->phase == FRESH || t->phase == LISTENING)
        return -EPIPE;
    const size_t limit = tcp_send_limit(t);
    if (t->phase == CONNECTING || t->out.bytes >= limit)
        return -EAGAIN;
    return (ssize_t)MIN(limit - t->out.bytes, (size_t)tcp_sndbuf(t->pcb));
}

void tcp_data_push(struct tcp_socket *t, bool all)
{
    if (all)
        tcp_nagle_disable(t->pcb);
    else
        tcp_nagle_enable(t->pcb);
    tcp_output(t->pcb);
    if (t->no_delay)
        tcp_nagle_disable(t->pcb);
    else
        tcp_nagle_enable(t->pcb);
}

/*
 * So many bytes have been queued: what may leave does. Inside the bucket. Only a small piece
 * behind another small one waits for an acknowledgement (Minshall), and the last one for what the
 * program says is to follow, so that the device gets long frames.
 */
static void send_push(struct tcp_socket *t, size_t n, bool more, bool urgent)
{
    t->pcb->polltmr = 0;
    if (UNLIKELY(urgent) && n)
        tcp_urgent_send(t->pcb);
    bool whole = n >= tcp_table_mss(t->pcb);
    if (n && (!more || (t->pcb->unsent && t->pcb->unsent->next)))
        tcp_data_push(t, urgent || (!more && (whole || t->no_delay)));
}

/*
 * Whether the mark is behind what has just been queued: at the end of the message, or, as on
 * Linux, where no more of it can be taken now. A piece that others follow at once has none.
 */
static bool send_marks(const struct tcp_socket *t, const struct message *m, int err)
{
    bool full = t->out.bytes >= tcp_send_limit(t) || !tcp_sndbuf(t->pcb);
    return m->flags & MSG_OOB && (!m->uio->left || full || err);
}

static ssize_t send_locked(struct tcp_socket *t, struct message *m)
{
    size_t start = m->uio->done;
    ssize_t room = send_room(t);
    if (room < 0)
        return room;
    bool more = m->flags & MSG_MORE || t->cork;
    tcp_table_enter(t->pcb);
    int err = tcp_queue_add(&t->out, t->pcb, m->uio, (size_t)room, more);
    size_t done = m->uio->done - start;
    send_push(t, done, more, send_marks(t, m, err));
    tcp_table_leave();
    return done ? (ssize_t)done : err ? err : m->uio->left ? -EAGAIN : 0;
}

ssize_t tcp_data_send(struct socket *s, struct message *m)
{
    stack_lock();
    ssize_t r = send_locked(tcp_of(s), m);
    stack_unlock();
    return r;
}

static ssize_t pages_locked(struct tcp_socket *t, struct file_pages *p)
{
    size_t before = p->left;
    ssize_t room = send_room(t);
    if (room < 0)
        return room;
    if (!link_gathers(&t->pcb->local_ip, &t->pcb->remote_ip))
        return -EOPNOTSUPP;
    bool more = p->more || t->cork;
    tcp_table_enter(t->pcb);
    int err = tcp_queue_add_pages(&t->out, t->pcb, p, (size_t)room, more);
    send_push(t, before - p->left, more, false);
    tcp_table_leave();
    return p->left < before ? (ssize_t)(before - p->left) : err ? err : -EAGAIN;
}

ssize_t tcp_data_send_pages(struct socket *s, struct file_pages *p)
{
    stack_lock();
    ssize_t r = pages_locked(tcp_of(s), p);
    stack_unlock();
    return r;
}

/* Bytes that make it readable: the urgent one does not count where it is not to be read. */
static size_t low_water(const struct tcp_socket *t)
{
    bool hidden = tcp_urgent_here(t) && !socket_option_on(&t->socket, SO_OOBINLINE);
    return (size_t)t->socket.numbers[NUMBER_LOW_WATER] + hidden;
}

uint32_t tcp_data_poll(struct socket *s, struct poll_table *pt)
{
    struct tcp_socket *t = tcp_of(s);
    uint32_t bits = 0;
    poll_add(pt, &t->readable);
    poll_add(pt, &t->writable);
    if (t->phase == LISTENING)
        return t->waiting ? POLLIN | POLLRDNORM : 0;
    bool gone = t->phase == GONE || t->phase == FRESH;
    bool read_end = t->got_fin || t->shut_read || gone;
    if (t->phase == CONNECTING)
        return 0;
    if (t->in_bytes >= low_water(t) || (read_end && t->phase != FRESH))
        bits |= POLLIN | POLLRDNORM;
    if (read_end && t->phase != FRESH)
        bits |= POLLRDHUP;
    if ((read_end && t->shut_write) || gone)
        bits |= POLLHUP;
    if (gone || t->shut_write || t->out.bytes <= tcp_send_limit(t) / 2)
        bits |= POLLOUT | POLLWRNORM;
    if (t->error)
        bits |= POLLERR;
    if (tcp_urgent_ready(t))
        bits |= POLLPRI;
    return bits;
}

size_t tcp_data_queued(struct socket *s, bool out)
{
    struct tcp_socket *t = tcp_of(s);
    if (out)
        return t->out.bytes - MIN(t->out.acknowledged, t->out.bytes);
    return tcp_urgent_here(t) && !socket_option_on(s, SO_OOBINLINE) ? 0
           : socket_option_on(s, SO_OOBINLINE)                      ? t->in_bytes
                                                                    : tcp_urgent_before(t);
}
