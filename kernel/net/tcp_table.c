/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of connections: see tcp_table.h. */
#include "net/tcp_table.h"

#include <linux/errno.h>

#include "core/random.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/link.h"
#include "net/path_mtu.h"
#include "net/tcp_check.h"
#include "net/tcp_listen.h"
#include "net/tcp_urgent.h"
#include "sched/clock.h"

#define BUCKETS_FIRST 512u /* powers of two */
#define BUCKETS_MAX   65536u
#define BUCKETS_TIMES 4u /* as many, when there are more connections than buckets */
#define RTO_MIN       (200 / TCP_SLOW_INTERVAL)
#define PERSIST_TICKS                                                                              \
    (500 / TCP_SLOW_INTERVAL) /* lwIP's table of window probes counts half seconds */
#define SYN_TICKS        (1000 / TCP_SLOW_INTERVAL)
#define SYN_DOUBLINGS    7       /* at most: 128 s */
#define SYN_LINEAR       4       /* so many times the same time passes before it doubles */
#define FLAG_CLOSED      0x8000u /* a flag that lwIP has not: see lifetimes_hide() */
#define HEADERS4         (IP_HLEN + TCP_HLEN)
#define MSS_LEAST        48u /* whatever the peer says: segments of a few bytes cost us more than it */
#define INITIAL_SEGMENTS 10    /* RFC 6928 */
#define TIME_WAITS       16384 /* more connections in TIME_WAIT push the oldest of their bucket out */

struct bucket {
    struct tcp_pcb *active, *waiting;
    bool busy;           /* it is on the busy list */
    struct bucket *next; /* there */
};

static struct bucket *buckets; /* allocated when the stack starts */
static unsigned bucket_count;
static struct bucket *inside; /* hung into lwIP's lists; NULL: none */
static struct bucket *busy;
static size_t connections, time_waits; /* in the buckets that are not hung in */
static uint64_t secret;

void tcp_timer_needed(void)
{
    /* tcp_table_leave() looks */
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint64_t key_hash(uint64_t seed, u16_t local_port, const ip_addr_t *remote_ip,
                         u16_t remote_port)
{
    uint64_t h = mix(seed, (uint64_t)local_port << 16 | remote_port);
    if (IP_IS_V6(remote_ip)) {
        const u32_t *a = ip_2_ip6(remote_ip)->addr;
        h = mix(h, (uint64_t)a[0] << 32 | a[1]);
        return mix(h, (uint64_t)a[2] << 32 | a[3]);
    }
    return mix(h, ip4_addr_get_u32(ip_2_ip4(remote_ip)));
}

u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port);

u32_t net_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                  u16_t remote_port)
{
    (void)local_ip;
    uint64_t h = key_hash(~secret, local_port, remote_ip, remote_port);
    return (u32_t)(mix(h, secret) >> 32) + (u32_t)(clock_now() / 64); /* RFC 6528: about 16 MHz */
}

int tcp_table_init(void)
{
    secret = random_u64();
    bucket_count = BUCKETS_FIRST;
    buckets = kzalloc(bucket_count * sizeof *buckets);
    return buckets ? 0 : -ENOMEM;
}

/* lwIP's tick counter follows the clock, however long nobody needed a tick. */
static void ticks_update(void)
{
    tcp_ticks = (u32_t)(clock_now() / (NSEC_PER_SEC / 1000 * TCP_SLOW_INTERVAL));
}

static size_t list_count(const struct tcp_pcb *p)
{
    size_t n = 0;
    for (; p; p = p->next)
        n++;
    return n;
}

static void enter(struct bucket *b)
{
    ASSERT(!inside);
    ticks_update();
    inside = b;
    tcp_active_pcbs = b->active;
    tcp_tw_pcbs = b->waiting;
    connections -= list_count(tcp_active_pcbs);
    time_waits -= list_count(tcp_tw_pcbs);
}

static struct bucket *bucket_of(u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port)
{
    uint64_t h = key_hash(secret, local_port, remote_ip, remote_port);
    return &buckets[h >> 32 & (bucket_count - 1)];
}

void tcp_table_enter_key(u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port)
{
    enter(bucket_of(local_port, remote_ip, remote_port));
}

void tcp_table_enter(const struct tcp_pcb *pcb)
{
    tcp_table_enter_key(pcb->local_port, &pcb->remote_ip, pcb->remote_port);
}

void tcp_table_enter_none(void)
{
    ASSERT(!inside);
    ticks_update();
}

/* Must a tick come soon: for a retransmission, a delayed acknowledgement, a refused FIN? */
static bool pcb_busy(const struct tcp_pcb *pcb)
{
    return (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR)) ||
           pcb->unacked || pcb->unsent || pcb->refused_data || pcb->ooseq;
}

/*
 * How long the next segments shall be: where the device cuts them, up to half the
 * congestion window, so that two are under way.
 */
static void segment_size(struct tcp_pcb *pcb)
{
    unsigned mss = (unsigned)(uintptr_t)pcb->ext_args[0].data;
    if (!mss) {
        const struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
        mss = MAX(pcb->mss, MSS_LEAST);
        if (IP_IS_V4_VAL(pcb->remote_ip))
            mss = path_mtu_of(ip_2_ip4(&pcb->remote_ip), mss + HEADERS4) - HEADERS4;
        pcb->ext_args[0].data = (void *)(uintptr_t)mss;
        pcb->ext_args[1].data =
            (void *)(uintptr_t)(netif ? link_segments(netif, IP_IS_V6_VAL(pcb->remote_ip), mss)
                                      : 1);
        pcb->cwnd = INITIAL_SEGMENTS * mss;
    }
    unsigned most = (unsigned)(uintptr_t)pcb->ext_args[1].data;
    pcb->mss = (u16_t)(MAX(MIN(pcb->cwnd / 2 / mss, most), 1u) * mss);
}

/*
 * What lwIP's arithmetic in coarse ticks and our long segments leave to be put
 * right: a minimum for the retransmission time, and a window that lets at least
 * one queued segment out.
 */
static void pcb_adjust(struct tcp_pcb *pcb)
{
    if (pcb->state == SYN_SENT) /* lwIP knows no longer times there */
        pcb->rto =
            (s16_t)(SYN_TICKS << MIN(MAX(pcb->nrtx, SYN_LINEAR) - SYN_LINEAR, SYN_DOUBLINGS));
    if (pcb->state < ESTABLISHED)
        return;
    segment_size(pcb);
    if ((pcb->sa >> 3) + pcb->sv < RTO_MIN)
        pcb->sv = (s16_t)(RTO_MIN - (pcb->sa >> 3));
    if (pcb->rto < RTO_MIN)
        pcb->rto = RTO_MIN;
    if (!pcb->unacked && pcb->unsent && pcb->cwnd < pcb->unsent->len) {
        pcb->cwnd = pcb->unsent->len;
        tcp_output(pcb);
    }
}

/* TIME_WAIT begins when the other end has closed too; lwIP would count from our close. */
static void time_waits_begin(void)
{
    for (struct tcp_pcb *p = tcp_tw_pcbs; p; p = p->next)
        if (p->flags & TF_RXCLOSED) {
            tcp_clear_flags(p, TF_RXCLOSED);
            p->tmr = tcp_ticks;
        }
}

/* Too many in TIME_WAIT: the oldest of this bucket, which is the list's last, goes. */
static void time_waits_limit(void)
{
    size_t n = list_count(tcp_tw_pcbs);
    for (; time_waits + n > TIME_WAITS && n > 1; n--) {
        struct tcp_pcb *last = tcp_tw_pcbs;
        while (last->next)
            last = last->next;
        tcp_abort(last);
    }
}

static void busy_add(struct bucket *b)
{
    if (b->busy)
        return;
    b->busy = true;
    b->next = busy;
    busy = b;
}

void tcp_table_leave(void)
{
    struct bucket *b = inside;
    bool wants_tick = false;
    if (!b)
        return;
    time_waits_begin();
    time_waits_limit();
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
        pcb_adjust(p);
        wants_tick |= pcb_busy(p);
    }
    connections += list_count(tcp_active_pcbs);
    time_waits += list_count(tcp_tw_pcbs);
    b->active = tcp_active_pcbs;
    b->waiting = tcp_tw_pcbs;
    tcp_active_pcbs = NULL;
    tcp_tw_pcbs = NULL;
    inside = NULL;
    if (wants_tick)
        busy_add(b);
}

bool tcp_table_busy(void)
{
    return busy;
}

bool tcp_table_any(void)
{
    return connections || time_waits;
}

/*
 * The window's probes end when nothing waits for it any more, or something is under way: lwIP
 * forgets to end them when data that timed out into a closed window is acknowledged after all,
 * and then takes it for impossible.
 */
static void persist_check(struct tcp_pcb *p)
{
    if (!p->persist_backoff || (p->unsent && !p->unacked))
        return;
    p->persist_backoff = 0;
    p->persist_cnt = 0;
    p->persist_probe = 0;
    if (p->unacked && p->rtime < 0)
        p->rtime = 0;
}

/*
 * lwIP ends after 20 s, counted from its last segment, a connection that is half open, or that the
 * program has closed and the other end has not. The first ends by net/tcp_listen.c. The second
 * stays as long as tcp_lifetime_set() said, counted from the close, which is when lwIP stops its
 * count; meanwhile lwIP does not see that it is closed.
 */
static void lifetimes_hide(void)
{
    for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
        next = p->next;
        if (p->state == SYN_RCVD)
            p->tmr = tcp_ticks;
        if (p->state != FIN_WAIT_2 || !(p->flags & TF_RXCLOSED))
            continue;
        if (tcp_ticks - p->tmr >= p->keep_idle / TCP_SLOW_INTERVAL) {
            tcp_abandon(p, 0);
        } else {
            tcp_clear_flags(p, TF_RXCLOSED);
            tcp_set_flags(p, FLAG_CLOSED);
        }
    }
}

static void lifetimes_show(void)
{
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (p->flags & FLAG_CLOSED) {
            tcp_clear_flags(p, FLAG_CLOSED);
            tcp_set_flags(p, TF_RXCLOSED);
        }
}

void tcp_lifetime_set(struct tcp_pcb *pcb, uint32_t ms)
{
    pcb->keep_idle = ms;
}

static void bucket_tick(struct bucket *b)
{
    enter(b);
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        persist_check(p);
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (p->persist_backoff && p->persist_cnt && tcp_ticks % PERSIST_TICKS)
            p->persist_cnt--;
    tcp_fasttmr();
    tcp_ticks--; /* tcp_slowtmr() counts it up again */
    lifetimes_hide();
    tcp_slowtmr();
    lifetimes_show();
    tcp_table_leave();
}

void tcp_table_tick(void)
{
    static uint64_t last;
    uint64_t now = clock_now() / (NSEC_PER_SEC / 1000 * TCP_SLOW_INTERVAL);
    if (now == last)
        return;
    last = now;
    struct bucket *list = busy;
    busy = NULL;
    while (list) {
        struct bucket *b = list;
        list = b->next;
        b->busy = false;
        bucket_tick(b); /* puts it on the new list if there is still something to wait for */
    }
}

/* To the ends of their new lists: those of TIME_WAIT are in order of age. */
static void spread(struct tcp_pcb *list, bool waiting, bool was_busy)
{
    for (struct tcp_pcb *p = list, *next; p; p = next) {
        struct bucket *b = bucket_of(p->local_port, &p->remote_ip, p->remote_port);
        struct tcp_pcb **end = waiting ? &b->waiting : &b->active;
        while (*end)
            end = &(*end)->next;
        next = p->next;
        p->next = NULL;
        *end = p;
        if (was_busy)
            busy_add(b);
    }
}

/* Without memory for it everything stays as it is. No bucket is hung in. */
static void table_resize(unsigned count)
{
    struct bucket *old = buckets, *now = kzalloc(count * sizeof *now);
    unsigned old_count = bucket_count;
    if (!now)
        return;
    ASSERT(!inside);
    buckets = now;
    bucket_count = count;
    busy = NULL;
    for (unsigned i = 0; i < old_count; i++) {
        spread(old[i].active, false, old[i].busy);
        spread(old[i].waiting, true, old[i].busy);
    }
    kfree(old);
}

/* More connections than buckets: when others let a connection in, each second for our own. */
static void table_grow(void)
{
    if (connections + time_waits > bucket_count && bucket_count < BUCKETS_MAX)
        table_resize(bucket_count * BUCKETS_TIMES);
}

/* Far fewer: a step each second, so that a flood leaves nothing behind. */
static void table_shrink(void)
{
    if (bucket_count > BUCKETS_FIRST && connections + time_waits < bucket_count / BUCKETS_TIMES / 2)
        table_resize(bucket_count / BUCKETS_TIMES);
}

void tcp_table_sweep(void)
{
    table_shrink();
    if (!tcp_table_any())
        return;
    table_grow();
    for (unsigned i = 0; i < bucket_count; i++)
        if (!buckets[i].busy && (buckets[i].active || buckets[i].waiting))
            bucket_tick(&buckets[i]);
}

err_t tcp_table_split(struct tcp_pcb *pcb, u16_t split)
{
    struct tcp_seg *s = pcb->unsent;
    u16_t len = s ? s->len : 0;
    err_t err = tcp_split_unsent_seg(pcb, split);
    if (err == ERR_OK && s && s->len < len)
        TCPH_UNSET_FLAG(s->tcphdr, TCP_FIN | TCP_PSH);
    return err;
}

void tcp_table_mss_lower(struct tcp_pcb *pcb, unsigned mss)
{
    const struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
    pcb->ext_args[0].data = (void *)(uintptr_t)mss;
    pcb->ext_args[1].data =
        (void *)(uintptr_t)(netif ? link_segments(netif, IP_IS_V6_VAL(pcb->remote_ip), mss) : 1);
    pcb->mss = (u16_t)mss;
}

unsigned tcp_table_mss(const struct tcp_pcb *pcb)
{
    uintptr_t mss = (uintptr_t)pcb->ext_args[0].data;
    return mss ? (unsigned)mss : pcb->mss;
}

void tcp_table_each(void (*fn)(const struct tcp_pcb *pcb, void *arg), void *arg)
{
    for (unsigned i = 0; buckets && i < bucket_count; i++) {
        for (const struct tcp_pcb *p = buckets[i].active; p; p = p->next)
            fn(p, arg);
        for (const struct tcp_pcb *p = buckets[i].waiting; p; p = p->next)
            fn(p, arg);
    }
}

void tcp_table_forget_listener(const struct tcp_pcb_listen *listener)
{
    for (unsigned i = 0; i < bucket_count; i++)
        for (struct tcp_pcb *p = buckets[i].active; p; p = p->next)
            if (p->listener == listener)
                p->listener = NULL;
}

/* What ip4.c and ip6.c call in place of tcp_input(). */
void tcp_table_input(struct pbuf *p, struct netif *netif);

static struct tcp_pcb *find(struct tcp_pcb *list, const struct tcp_hdr *h)
{
    for (struct tcp_pcb *p = list; p; p = p->next)
        if (p->local_port == lwip_ntohs(h->dest) && p->remote_port == lwip_ntohs(h->src) &&
            ip_addr_eq(&p->remote_ip, ip_current_src_addr()) &&
            ip_addr_eq(&p->local_ip, ip_current_dest_addr()))
            return p;
    return NULL;
}

/*
 * In TIME_WAIT, the first segment of a new connection from the same ports replaces the old one
 * (RFC 1122 §4.2.2.13); one with an old number, which lwIP would answer with a reset, is
 * acknowledged. False: that was it.
 */
static bool time_wait_check(const struct tcp_hdr *h)
{
    u32_t seqno = lwip_ntohl(h->seqno);
    if ((TCPH_FLAGS(h) & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
        return true;
    struct tcp_pcb *p = find(tcp_tw_pcbs, h);
    if (p && TCP_SEQ_LEQ(seqno, p->rcv_nxt)) {
        tcp_send_empty_ack(p);
        return false;
    }
    if (p)
        tcp_abort(p);
    return true;
}

/* The segment begins a connection that is not there yet. */
static bool is_new(const struct tcp_hdr *h)
{
    return (TCPH_FLAGS(h) & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && !find(tcp_active_pcbs, h);
}

/* Is the segment one for lwIP? In its bucket, which may be left and entered again. */
static bool admit(struct pbuf *p, const struct netif *netif)
{
    const struct tcp_hdr *h = p->payload;
    if (!tcp_check_segment(find(tcp_active_pcbs, h), p, netif))
        return false;
    if (!is_new(h))
        return true;
    if (!tcp_check_sum(p, netif) || !time_wait_check(h))
        return false;
    tcp_table_leave();
    table_grow();
    bool welcome = tcp_listen_admit(ip_current_dest_addr(), lwip_ntohs(h->dest));
    tcp_table_enter_key(lwip_ntohs(h->dest), ip_current_src_addr(), lwip_ntohs(h->src));
    return welcome; /* if not: as if the network had lost it */
}

static void urgent_look(struct pbuf *p, const struct netif *netif)
{
    struct tcp_pcb *pcb = find(tcp_active_pcbs, p->payload);
    if (pcb && tcp_check_sum(p, netif))
        tcp_urgent_arrived(pcb, p);
}

void tcp_table_input(struct pbuf *p, struct netif *netif)
{
    const struct tcp_hdr *h = p->payload;
    if (p->len < TCP_HLEN) {
        pbuf_free(p);
        return;
    }
    tcp_table_enter_key(lwip_ntohs(h->dest), ip_current_src_addr(), lwip_ntohs(h->src));
    bool welcome = admit(p, netif);
    if (UNLIKELY(TCPH_FLAGS(h) & TCP_URG) && welcome)
        urgent_look(p, netif);
    if (welcome)
        tcp_input(p, netif);
    else
        pbuf_free(p);
    tcp_table_leave();
}
