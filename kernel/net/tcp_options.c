/* SPDX-License-Identifier: Apache-2.0 */
/* Options of IPPROTO_TCP: tcp(7). */
#include <asm/socket.h>
#include <linux/errno.h>
#include <linux/tcp.h>

#include "lib/string.h"
#include "lwip/priv/tcp_priv.h"
#include "net/abi.h"
#include "net/options.h"
#include "net/tcp_options.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"

#define CONGESTION_NAME 16
#define MSS_MIN         88
#define MSS_MAX         32767
#define MSS_DEFAULT     536
#define TICKS_SECOND    (1000 / TCP_SLOW_INTERVAL)

struct plain {
    int name, min, max, initial;
};

/* In the order of TCP_N_*. A range of 0..1: any value counts as on. */
static const struct plain plains[TCP_NUMBERS] = {
    [TCP_N_KEEP_IDLE] = {TCP_KEEPIDLE, 1, 32767, 7200},
    [TCP_N_KEEP_INTERVAL] = {TCP_KEEPINTVL, 1, 32767, 75},
    [TCP_N_KEEP_COUNT] = {TCP_KEEPCNT, 1, 127, 9},
    [TCP_N_USER_TIMEOUT] = {TCP_USER_TIMEOUT, 0, INT32_MAX, 0},
    [TCP_N_SYN_COUNT] = {TCP_SYNCNT, 1, 127, 6},
    [TCP_N_DEFER_ACCEPT] = {TCP_DEFER_ACCEPT, INT32_MIN, INT32_MAX, 0},
    [TCP_N_MSS] = {TCP_MAXSEG, 0, MSS_MAX, 0},
    [TCP_N_QUICK_ACK] = {TCP_QUICKACK, 0, 1, 1},
    [TCP_N_FAST_OPEN] = {TCP_FASTOPEN, 0, INT32_MAX, 0},
    [TCP_N_FAST_OPEN_CONNECT] = {TCP_FASTOPEN_CONNECT, 0, 1, 0},
    [TCP_N_LINGER2] = {TCP_LINGER2, INT32_MIN, INT32_MAX, 60},
    [TCP_N_WINDOW_CLAMP] = {TCP_WINDOW_CLAMP, 0, INT32_MAX, 0},
    [TCP_N_NOT_SENT] = {TCP_NOTSENT_LOWAT, INT32_MIN, INT32_MAX, -1},
    [TCP_N_THIN_LINEAR] = {TCP_THIN_LINEAR_TIMEOUTS, 0, 1, 0},
    [TCP_N_SAVE_SYN] = {TCP_SAVE_SYN, 0, 1, 0},
};

/* Sockets whose limits the tick looks after. */
static struct list watched = LIST_INIT(watched);

void tcp_options_init(struct tcp_socket *t)
{
    for (unsigned i = 0; i < TCP_NUMBERS; i++)
        t->number[i] = plains[i].initial;
}

void tcp_options_fini(struct tcp_socket *t)
{
    list_remove(&t->watch_link);
    inet_options_fini(&t->options);
}

static void watch(struct tcp_socket *t)
{
    bool connects = t->phase == FRESH || t->phase == CONNECTING;
    list_remove(&t->watch_link);
    if ((connects && t->pcb) || (t->number[TCP_N_USER_TIMEOUT] && t->phase != LISTENING))
        list_add_tail(&watched, &t->watch_link);
}

static bool too_late(const struct tcp_socket *t)
{
    if (t->phase == CONNECTING) /* the last SYN's time will be up before the next tick */
        return t->pcb->nrtx >= t->number[TCP_N_SYN_COUNT] &&
               t->pcb->rtime + TICKS_SECOND >= t->pcb->rto;
    int most = t->number[TCP_N_USER_TIMEOUT];
    return most && t->out.bytes && stack_now_ms() - t->progress > (uint32_t)most;
}

void tcp_options_tick(void)
{
    LIST_FOR_EACH_SAFE(l, &watched)
    {
        struct tcp_socket *t = LIST_ENTRY(l, struct tcp_socket, watch_link);
        if (!t->pcb || !too_late(t))
            continue;
        struct tcp_pcb *pcb = t->pcb;
        tcp_table_enter(pcb);
        tcp_abort(pcb); /* the socket hears of it */
        tcp_table_leave();
    }
}

/*
 * A window that SO_RCVBUF keeps smaller than lwIP's, before data comes. The SYN has announced up
 * to 64 KiB, which is never taken back: the excess goes as the program reads.
 */
static void window_cut(struct tcp_socket *t, struct tcp_pcb *pcb)
{
    if (!t->socket.receive_sized || t->bytes_in || pcb->state < ESTABLISHED)
        return;
    tcpwnd_size_t size = MAX(t->socket.receive_size / 2, 2 * tcp_table_mss(pcb));
    tcpwnd_size_t least = MAX(size, TCPWND_MIN16(TCP_WND));
    if (least < pcb->rcv_wnd) {
        pcb->rcv_wnd = pcb->rcv_ann_wnd = least;
        pcb->rcv_ann_right_edge = pcb->rcv_nxt + least;
    }
    t->window_excess = size < pcb->rcv_wnd ? pcb->rcv_wnd - size : 0;
}

void tcp_options_apply(struct tcp_socket *t, struct tcp_pcb *pcb)
{
    inet_options_apply(&t->options, IP_IS_V6_VAL(pcb->remote_ip), &pcb->ttl, &pcb->tos);
    if (socket_option_on(&t->socket, SO_KEEPALIVE))
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
    pcb->keep_idle = (u32_t)t->number[TCP_N_KEEP_IDLE] * 1000;
    pcb->keep_intvl = (u32_t)t->number[TCP_N_KEEP_INTERVAL] * 1000;
    pcb->keep_cnt = (u32_t)t->number[TCP_N_KEEP_COUNT];
    if (t->number[TCP_N_MSS] && pcb->state >= ESTABLISHED && !t->bytes_acked && !t->out.bytes)
        pcb->mss = MIN(pcb->mss, (u16_t)t->number[TCP_N_MSS]);
    window_cut(t, pcb);
    watch(t);
}

int tcp_option_changed(struct socket *s, int name)
{
    struct tcp_socket *t = tcp_of(s);
    stack_lock();
    if (t->pcb && name == SO_BINDTODEVICE)
        t->pcb->netif_idx = (u8_t)s->device;
    if (t->pcb && name == SO_KEEPALIVE)
        tcp_options_apply(t, t->pcb);
    stack_unlock();
    return 0;
}

/* TCP_DEFER_ACCEPT in seconds becomes what so many repetitions of SYN|ACK last: 1, 3, 7, ... */
static int defer_round(int seconds)
{
    int total = 1, period = 1;
    if (seconds <= 0)
        return 0;
    while (total < seconds && total < 7200) {
        period = MIN(period * 2, 120);
        total += period;
    }
    return total;
}

static void no_delay_set(struct tcp_socket *t, bool on)
{
    t->no_delay = on;
    if (!t->pcb)
        return;
    tcp_table_enter(t->pcb);
    if (on) {
        tcp_nagle_disable(t->pcb);
        tcp_output(t->pcb);
    } else {
        tcp_nagle_enable(t->pcb);
    }
    tcp_table_leave();
}

static void cork_set(struct tcp_socket *t, bool on)
{
    t->cork = on;
    if (on || !t->pcb || t->phase != OPEN)
        return;
    tcp_table_enter(t->pcb);
    tcp_data_push(t, true);
    tcp_table_leave();
}

/* TCP_QUICKACK: what is held back goes out. */
static void acknowledge_now(struct tcp_socket *t)
{
    tcp_table_enter(t->pcb);
    if (t->pcb->flags & TF_ACK_DELAY) {
        tcp_ack_now(t->pcb);
        tcp_output(t->pcb);
    }
    tcp_table_leave();
}

static int number_set(struct tcp_socket *t, int name, int v)
{
    unsigned i = 0;
    while (i < TCP_NUMBERS && plains[i].name != name)
        i++;
    if (i == TCP_NUMBERS)
        return -ENOPROTOOPT;
    const struct plain *p = &plains[i];
    if (p->min == 0 && p->max == 1)
        v = !!v;
    if (v < p->min || v > p->max || (i == TCP_N_MSS && v && v < MSS_MIN))
        return -EINVAL;
    if (i == TCP_N_FAST_OPEN && t->phase != FRESH && t->phase != LISTENING)
        return -EINVAL;
    t->number[i] = i == TCP_N_DEFER_ACCEPT ? defer_round(v) : v;
    if (t->pcb)
        tcp_options_apply(t, t->pcb);
    else
        watch(t);
    if (i == TCP_N_QUICK_ACK && v && t->pcb && t->phase == OPEN)
        acknowledge_now(t);
    return 0;
}

static int congestion_set(struct uptr value, unsigned len)
{
    char name[CONGESTION_NAME] = "";
    if (!len)
        return -EINVAL;
    if (copy_from_user(name, value, MIN(len, CONGESTION_NAME - 1u)))
        return -EFAULT;
    return strcmp(name, "reno") ? -ENOENT : 0;
}

static int ip_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len)
{
    struct tcp_socket *t = tcp_of(s);
    int err = inet_option_set(s, &t->options, t->bind.port, level, name, value, len);
    if (err)
        return err;
    stack_lock();
    if (t->pcb)
        tcp_options_apply(t, t->pcb);
    stack_unlock();
    return 0;
}

int tcp_option_set(struct socket *s, int level, int name, struct uptr value, unsigned len)
{
    struct tcp_socket *t = tcp_of(s);
    int v, err = 0;
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return ip_option_set(s, level, name, value, len);
    if (level != IPPROTO_TCP)
        return -ENOPROTOOPT;
    if (name == TCP_CONGESTION)
        return congestion_set(value, len);
    if (len < sizeof v)
        return -EINVAL;
    if (copy_from_user(&v, value, sizeof v))
        return -EFAULT;
    stack_lock();
    if (name == TCP_NODELAY)
        no_delay_set(t, v);
    else if (name == TCP_CORK)
        cork_set(t, v);
    else
        err = number_set(t, name, v);
    stack_unlock();
    return err;
}

static uint8_t linux_state(const struct tcp_socket *t)
{
    return t->phase == LISTENING ? TCP_STATE_LISTEN
           : t->pcb              ? tcp_state_of(t->pcb)
                                 : TCP_STATE_CLOSE;
}

uint8_t tcp_state_of(const struct tcp_pcb *pcb)
{
    static const uint8_t states[] = {
        [CLOSED] = TCP_STATE_CLOSE,
        [LISTEN] = TCP_STATE_LISTEN,
        [SYN_SENT] = TCP_STATE_SYN_SENT,
        [SYN_RCVD] = TCP_STATE_SYN_RECV,
        [ESTABLISHED] = 1,
        [FIN_WAIT_1] = TCP_STATE_FIN_WAIT1,
        [FIN_WAIT_2] = TCP_STATE_FIN_WAIT2,
        [CLOSE_WAIT] = TCP_STATE_CLOSE_WAIT,
        [CLOSING] = TCP_STATE_CLOSING,
        [LAST_ACK] = TCP_STATE_LAST_ACK,
        [TIME_WAIT] = TCP_STATE_TIME_WAIT,
    };
    return states[pcb->state];
}

/* What lwIP knows of the connection, in Linux' units. */
static void info_fill(const struct tcp_socket *t, struct tcp_info *i)
{
    const struct tcp_pcb *pcb = t->pcb;
    const unsigned tick_us = TCP_SLOW_INTERVAL * 1000;
    i->tcpi_state = linux_state(t);
    i->tcpi_bytes_acked = t->bytes_acked;
    i->tcpi_bytes_received = t->bytes_in;
    if (t->phase == LISTENING) {
        i->tcpi_unacked = t->waiting;
        i->tcpi_sacked = t->backlog;
    }
    if (!pcb)
        return;
    unsigned mss = MAX(tcp_table_mss(pcb), 1u);
    i->tcpi_retransmits = pcb->nrtx;
    i->tcpi_options = (uint8_t)((pcb->flags & TF_TIMESTAMP ? TCPI_OPT_TIMESTAMPS : 0) |
                                (pcb->flags & TF_SACK ? TCPI_OPT_SACK : 0) |
                                (pcb->flags & TF_WND_SCALE ? TCPI_OPT_WSCALE : 0));
    i->tcpi_snd_wscale = pcb->snd_scale & 15;
    i->tcpi_rcv_wscale = pcb->rcv_scale & 15;
    i->tcpi_rto = (uint32_t)pcb->rto * tick_us;
    i->tcpi_ato = TCP_TMR_INTERVAL * 1000;
    i->tcpi_snd_mss = i->tcpi_rcv_mss = mss;
    i->tcpi_advmss = mss;
    i->tcpi_unacked = (pcb->snd_nxt - pcb->lastack + mss - 1) / mss;
    i->tcpi_pmtu = mss + (IP_IS_V6_VAL(pcb->remote_ip) ? 60 : 40);
    i->tcpi_rtt = (uint32_t)(pcb->sa >> 3) * tick_us;
    i->tcpi_rttvar = (uint32_t)(pcb->sv >> 2) * tick_us;
    i->tcpi_snd_ssthresh = pcb->ssthresh / mss;
    i->tcpi_snd_cwnd = MAX(pcb->cwnd / mss, 1u);
    i->tcpi_rcv_space = pcb->rcv_wnd;
    i->tcpi_rcv_ssthresh = pcb->rcv_wnd;
    i->tcpi_last_ack_recv = i->tcpi_last_data_recv = i->tcpi_last_data_sent =
        stack_now_ms() - t->progress;
    i->tcpi_notsent_bytes = pcb->snd_lbb - pcb->snd_nxt;
}

static int info_get(struct tcp_socket *t, struct uptr value, unsigned *len)
{
    struct tcp_info info = {0};
    stack_lock();
    info_fill(t, &info);
    stack_unlock();
    return option_put(value, len, &info, sizeof info);
}

static int number_get(const struct tcp_socket *t, int name, int *v)
{
    if (name == TCP_NODELAY || name == TCP_CORK) {
        *v = name == TCP_NODELAY ? t->no_delay : t->cork;
        return 0;
    }
    for (unsigned i = 0; i < TCP_NUMBERS; i++) {
        if (plains[i].name != name)
            continue;
        *v = t->number[i];
        if (i == TCP_N_MSS)
            *v = t->pcb && t->phase == OPEN ? (int)tcp_table_mss(t->pcb) : *v ? *v : MSS_DEFAULT;
        return 0;
    }
    return -ENOPROTOOPT;
}

int tcp_option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len)
{
    static const char congestion[CONGESTION_NAME] = "reno";
    struct tcp_socket *t = tcp_of(s);
    int v, err;
    if (level == IPPROTO_IP || level == IPPROTO_IPV6)
        return inet_option_get(s, &t->options, t->phase == OPEN ? &t->peer : NULL, level, name,
                               value, len);
    if (level != IPPROTO_TCP)
        return -ENOPROTOOPT;
    if (name == TCP_INFO)
        return info_get(t, value, len);
    if (name == TCP_CONGESTION)
        return option_put(value, len, congestion, sizeof congestion);
    stack_lock();
    err = number_get(t, name, &v);
    stack_unlock();
    return err ? err : option_put(value, len, &v, sizeof v);
}
