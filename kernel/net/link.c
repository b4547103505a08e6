/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces on network devices: see link.h. Main struct: link. A frame that the
 * device has no room for waits in a short queue of its own, so TCP does not take
 * a full ring for a loss.
 */
#include "net/link.h"

#include <linux/errno.h>

#include "core/log.h"
#include "dev/netdev.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/tcp.h"
#include "lwip/tcp.h"
#include "lwip/prot/ip6.h"
#include "netif/ethernet.h"
#include "net/interface.h"
#include "net/netlink.h"
#include "net/netstat.h"
#include "net/route.h"
#include "net/tcp_table.h"
#include "net/tcp_urgent.h"

#define LOOPBACK_INDEX 1 /* lwip_init() adds it first */
#define LINKS          8
#define BATCH          64  /* frames received before others get the lock */
#define WAITING        512 /* frames that wait for room, a power of two */
#define GSO_FRAME_MAX  65000u

struct frame {
    struct pbuf *p;
    struct net_offload offload;
};

struct link {
    struct netif netif;
    struct netdev *dev;
    unsigned first, count; /* of waiting[] */
    struct frame waiting[WAITING];
    bool kick;
    u16_t mtu; /* the most that the device takes */
};

/* The segment size of the connection whose segment is on its way out; 0: none. */
static unsigned out_mss;

static struct link *links[LINKS];
static unsigned link_count;

/* Frames in flight by the parity of the epoch they were sent in, and what waits for each. */
static unsigned epoch;
static size_t in_flight[2];
static struct link_unkicked unkicked;
static struct link_grave *graves[2];

#define CHECK_FLAGS (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)

bool link_any(void)
{
    return link_count;
}

struct netdev *link_device(const struct netif *netif)
{
    return netif->state ? ((struct link *)netif->state)->dev : NULL;
}

static void graves_open(unsigned parity)
{
    struct link_grave *g = graves[parity];
    graves[parity] = NULL;
    while (g) {
        struct link_grave *next = g->next;
        g->fn(g);
        g = next;
    }
}

/* An epoch ends when every frame of the one before is out. */
static void epoch_advance(void)
{
    unsigned before = (epoch - 1) & 1;
    if (in_flight[before])
        return;
    graves_open(before);
    epoch++;
    if (!in_flight[0] && !in_flight[1]) {
        graves_open(0);
        graves_open(1);
    }
}

void link_bury(struct link_grave *g, void (*fn)(struct link_grave *g))
{
    g->fn = fn;
    if (!in_flight[0] && !in_flight[1]) {
        fn(g);
        return;
    }
    g->next = graves[epoch & 1];
    graves[epoch & 1] = g;
}

/* The sum that the checksum field must hold for the device to finish it. */
static uint16_t pseudo_sum(const uint8_t *addresses, unsigned n, unsigned protocol, unsigned length)
{
    uint32_t sum = protocol + length;
    for (unsigned i = 0; i < n; i += 2)
        sum += (uint32_t)addresses[i] << 8 | addresses[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* A number for the packet's addresses and ports. A fragment has no ports: all of a host go
 * together. */
static uint8_t flow_of(const struct pbuf *p)
{
    const uint8_t *ip = (const uint8_t *)p->payload + SIZEOF_ETH_HDR, *ports;
    const struct eth_hdr *eth = p->payload;
    uint32_t sum = 0;
    if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN + 4u) {
        bool whole = !(ip[6] & 0x3f) && !ip[7];
        ports = whole && p->len >= SIZEOF_ETH_HDR + (ip[0] & 15) * 4u + 4u ? ip + (ip[0] & 15) * 4u
                                                                           : NULL;
        ip += 16; /* whom it is for: we are always the same */
        sum = word_at(ip);
    } else if (eth->type == PP_HTONS(ETHTYPE_IPV6) && p->len >= SIZEOF_ETH_HDR + IP6_HLEN + 4u) {
        ports = ip[6] == IP_PROTO_TCP || ip[6] == IP_PROTO_UDP ? ip + IP6_HLEN : NULL;
        for (unsigned i = 24; i < 40; i += 4)
            sum += word_at(ip + i);
    } else {
        return 0;
    }
    if (ports)
        sum += word_at(ports);
    return (uint8_t)(sum * 0x9e3779b1u >> 24);
}

/*
 * Checksum and segmentation of a TCP segment; anything else goes out as it is. The
 * headers stand in the first pbuf: lwIP builds them there.
 */
static struct net_offload offload_of(const struct link *l, const struct pbuf *p)
{
    struct net_offload o = {.flow = l->dev->queues > 1 ? flow_of(p) : 0};
    const uint8_t *frame = p->payload;
    unsigned ip = SIZEOF_ETH_HDR, tcp, sum;
    if (!l->dev->checksum || p->len < ip + 40)
        return o;
    bool v4 = frame[12] == 0x08 && frame[13] == 0x00, v6 = frame[12] == 0x86 && frame[13] == 0xdd;
    if (v4 && frame[ip + 9] == IP_PROTO_TCP && !(frame[ip + 6] & 0x3f) && !frame[ip + 7]) {
        tcp = ip + (frame[ip] & 15) * 4u;
        sum = pseudo_sum(frame + ip + 12, 8, IP_PROTO_TCP, p->tot_len - tcp);
    } else if (v6 && frame[ip + 6] == IP_PROTO_TCP && p->len >= ip + 60) {
        tcp = ip + 40;
        sum = pseudo_sum(frame + ip + 8, 32, IP_PROTO_TCP, p->tot_len - tcp);
    } else {
        return o;
    }
    struct tcp_hdr *h = (struct tcp_hdr *)((uint8_t *)p->payload + tcp);
    h->chksum = lwip_htons((uint16_t)sum);
    o.checksum_start = (uint16_t)tcp;
    o.checksum_offset = offsetof(struct tcp_hdr, chksum);
    if (out_mss || p->tot_len - ip > l->dev->mtu) { /* the path may take less than we */
        o.segmentation = v4 ? NET_TCP4 : NET_TCP6;
        o.header = (uint16_t)(tcp + TCPH_HDRLEN_BYTES(h));
        unsigned room = l->dev->mtu - (o.header - ip);
        unsigned options = TCPH_HDRLEN_BYTES(h) - TCP_HLEN;
        o.segment = (uint16_t)(out_mss > options ? MIN(room, out_mss - options) : room);
    }
    return o;
}

/* TCP's packets say, as Linux' do, that they must not be fragmented on their way: see tcp_error.h.
 */
static void dont_fragment(const struct link *l, struct pbuf *p)
{
    uint8_t *frame = p->payload;
    struct ip_hdr *ip = (struct ip_hdr *)(frame + SIZEOF_ETH_HDR);
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN || frame[12] != 0x08 || frame[13] != 0x00 ||
        IPH_PROTO(ip) != IP_PROTO_TCP || IPH_OFFSET(ip))
        return;
    uint32_t sum = IPH_CHKSUM(ip);
    IPH_OFFSET_SET(ip, PP_HTONS(IP_DF));
    if (l->netif.chksum_flags & NETIF_CHECKSUM_GEN_IP) /* RFC 1624 */
        IPH_CHKSUM_SET(ip, (u16_t)(sum >= PP_HTONS(IP_DF) ? sum - PP_HTONS(IP_DF)
                                                          : sum - PP_HTONS(IP_DF) + 0xffff));
}

/* The frame's pieces; 0: more than a device takes. */
static unsigned pieces_of(const struct pbuf *p, struct net_piece *piece)
{
    unsigned n = 0;
    for (; p; p = p->next) {
        if (!p->len)
            continue;
        if (n == NET_PIECES)
            return 0;
        piece[n++] = (struct net_piece){p->payload, p->len};
    }
    return n;
}

/* Gives the frame to the device, which takes over the reference. -EAGAIN: no room now. */
static int frame_send(struct link *l, const struct frame *f)
{
    struct net_piece piece[NET_PIECES];
    struct pbuf *p = f->p, *whole = NULL;
    unsigned n = pieces_of(p, piece);
    if (!n) {
        whole = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
        if (!whole)
            return -ENOMEM;
        p = whole;
        n = pieces_of(p, piece);
    }
    /* The pbuf is aligned: its lowest bit has room for the epoch. */
    size_t size = p->tot_len;
    int err = l->dev->ops->send(l->dev, piece, n, &f->offload, (char *)p + (epoch & 1));
    if (err) {
        if (whole)
            pbuf_free(whole);
        return err;
    }
    if (whole)
        pbuf_free(f->p);
    in_flight[epoch & 1]++;
    l->kick = true;
    unkicked.frames++;
    unkicked.bytes += size;
    return 0;
}

/* Takes back what is out. */
static void reclaim(struct link *l)
{
    char *token;
    while ((token = l->dev->ops->sent(l->dev)) != NULL) {
        unsigned parity = (uintptr_t)token & 1;
        in_flight[parity]--;
        pbuf_free((struct pbuf *)(token - parity));
    }
    epoch_advance();
}

static void frame_lost(struct link *l, struct pbuf *p)
{
    l->dev->dropped++;
    pbuf_free(p);
}

static void waiting_send(struct link *l)
{
    while (l->count) {
        const struct frame *f = &l->waiting[l->first % WAITING];
        int err = frame_send(l, f);
        if (err == -EAGAIN)
            return;
        if (err)
            frame_lost(l, f->p);
        l->first++;
        l->count--;
    }
}

/*
 * lwIP's way out. A frame must not change after this: TCP leaves a segment alone
 * whose pbuf has another reference.
 */
static err_t link_output(struct netif *netif, struct pbuf *p)
{
    struct link *l = netif->state;
    dont_fragment(l, p);
    struct frame f = {p, offload_of(l, p)};
    int err = -EAGAIN;
    pbuf_ref(p);
    if (!l->count)
        err = frame_send(l, &f);
    if (err == -EAGAIN) {
        reclaim(l);
        waiting_send(l);
        err = l->count ? -EAGAIN : frame_send(l, &f);
    }
    if (err == -EAGAIN && l->count < WAITING) {
        l->waiting[(l->first + l->count++) % WAITING] = f;
        err = 0;
    }
    if (!err)
        return ERR_OK;
    frame_lost(l, p);
    return ERR_MEM;
}

/* The stack lets go of a received piece. */
static void buffer_freed(struct pbuf *p)
{
    struct net_buffer *b = CONTAINER_OF((void *)p, struct net_buffer, room);
    b->dev->ops->release(b->dev, b);
}

/* lwIP reads the whole of an ARP packet, however short the frame is. */
static bool arp_short(const struct pbuf *frame)
{
    const struct eth_hdr *h = frame->payload;
    return frame->len >= SIZEOF_ETH_HDR && h->type == PP_HTONS(ETHTYPE_ARP) &&
           frame->len < SIZEOF_ETH_HDR + SIZEOF_ETHARP_HDR;
}

/*
 * IPv4 from or to addresses that no cable carries (RFC 1122 §3.2.1.3): 127/8, our own (the LAND
 * attack), and 0.0.0.0, which speaks only to all.
 */
static bool martian(struct link *l, const struct pbuf *frame)
{
    const struct eth_hdr *eth = frame->payload;
    const struct ip_hdr *ip = (const struct ip_hdr *)(eth + 1);
    ip4_addr_t from, to;
    if (frame->len < SIZEOF_ETH_HDR + IP_HLEN || eth->type != PP_HTONS(ETHTYPE_IP))
        return false;
    ip4_addr_copy(from, ip->src);
    ip4_addr_copy(to, ip->dest);
    if (ip4_addr_isany_val(from))
        return !ip4_addr_isbroadcast(&to, &l->netif) && !ip4_addr_ismulticast(&to);
    return ip4_addr_isloopback(&from) || ip4_addr_isloopback(&to) ||
           ip4_addr_eq(&from, netif_ip4_addr(&l->netif));
}

static void frame_input(struct link *l, struct net_buffer *b)
{
    struct pbuf *frame = NULL;
    bool checked = b->checked;
    _Static_assert(sizeof(struct pbuf_custom) <= NET_BUFFER_ROOM, "a pbuf fits into the buffer");
    while (b) {
        struct net_buffer *next = b->next;
        struct pbuf_custom *c = (struct pbuf_custom *)b->room;
        c->custom_free_function = buffer_freed;
        struct pbuf *p =
            pbuf_alloced_custom(PBUF_RAW, (u16_t)b->len, PBUF_REF, c, b->data, (u16_t)b->len);
        if (frame)
            pbuf_cat(frame, p);
        else
            frame = p;
        b = next;
    }
    NETIF_SET_CHECKSUM_CTRL(
        &l->netif, (u16_t)((l->netif.chksum_flags & ~CHECK_FLAGS) | (checked ? 0 : CHECK_FLAGS)));
    if (arp_short(frame) || martian(l, frame))
        frame_lost(l, frame);
    else if (l->netif.input(frame, &l->netif) != ERR_OK)
        pbuf_free(frame);
}

/* The cable was plugged in or pulled out, or the machine has moved to another host. */
static void carrier_follow(struct link *l)
{
    bool up = l->dev->link;
    if (up && !netif_is_link_up(&l->netif))
        netif_set_link_up(&l->netif); /* also asks DHCP and routers again */
    else if (!up && netif_is_link_up(&l->netif))
        netif_set_link_down(&l->netif);
    if (!l->dev->announce)
        return;
    interface_announce(&l->netif);
    l->dev->ops->announced(l->dev);
}

bool link_poll(void)
{
    bool more = false;
    for (unsigned i = 0; i < link_count; i++) {
        struct link *l = links[i];
        struct net_buffer *b;
        unsigned n = 0;
        carrier_follow(l);
        reclaim(l);
        waiting_send(l);
        while (n < BATCH && (b = l->dev->ops->receive(l->dev)) != NULL) {
            frame_input(l, b);
            n++;
        }
        if (n == BATCH || l->dev->ops->listen(l->dev))
            more = true;
    }
    return more;
}

bool link_sent_all(void)
{
    bool all = true;
    for (unsigned i = 0; i < link_count; i++) {
        reclaim(links[i]);
        waiting_send(links[i]);
        all &= !links[i]->count;
    }
    return all && !in_flight[0] && !in_flight[1];
}

void link_loop(void)
{
    netif_poll(netif_get_by_index(LOOPBACK_INDEX));
}

struct link_unkicked link_unkicked(void)
{
    return unkicked;
}

void link_kick(void)
{
    for (unsigned i = 0; i < link_count; i++) {
        struct link *l = links[i];
        if (!l->kick)
            continue;
        l->kick = false;
        l->dev->ops->flush(l->dev);
    }
    unkicked = (struct link_unkicked){0};
}

static void device_wake(struct netdev *d)
{
    (void)d;
    stack_wake();
}

static err_t link_setup(struct netif *netif)
{
    struct link *l = netif->state;
    netif->name[0] = 'e';
    netif->name[1] = 't';
    netif->hwaddr_len = 6;
    memcpy(netif->hwaddr, l->dev->mac, 6);
    netif->mtu = l->dev->mtu;
    netif->mtu6 = l->dev->mtu;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_IGMP | NETIF_FLAG_MLD6 | (l->dev->link ? NETIF_FLAG_LINK_UP : 0);
    netif->output = route_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = link_output;
    if (l->dev->checksum)
        NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
    return ERR_OK;
}

void link_set_mtu(struct netif *netif, u16_t mtu)
{
    struct link *l = netif->state;
    mtu = MIN(mtu, l->mtu);
    if (mtu == netif->mtu)
        return;
    l->dev->mtu = mtu;
    netif->mtu = netif->mtu6 = mtu;
    log_info("%s: MTU %u", l->dev->name, mtu);
    netlink_changed(netif_get_index(netif), NETLINK_LINK);
}

struct netif *link_add(struct netdev *dev)
{
    struct link *l = link_count < LINKS ? kzalloc(sizeof *l) : NULL;
    if (!l)
        return NULL;
    l->dev = dev;
    l->mtu = dev->mtu;
    if (!netif_add_noaddr(&l->netif, l, link_setup, ethernet_input)) {
        kfree(l);
        return NULL;
    }
    links[link_count++] = l;
    dev->stack = l;
    dev->wake = device_wake;
    netif_set_up(&l->netif);
    return &l->netif;
}

bool link_gathers(const ip_addr_t *from, const ip_addr_t *to)
{
    const struct netif *netif = ip_route(from, to);
    const struct netdev *d = netif ? link_device(netif) : NULL;
    return d && d->checksum;
}

unsigned link_segments(const struct netif *netif, bool v6, unsigned mss)
{
    const struct netdev *d = link_device(netif);
    if (!d || !(v6 ? d->segment6 : d->segment4))
        return 1;
    return MAX(GSO_FRAME_MAX / MAX(mss, 1u), 1u);
}

/*
 * What tcp_out.c calls in place of lwIP's functions: segments for the device to cut
 * are longer than the MTU and must not be fragmented.
 */
err_t link_tcp_output4(struct pbuf *p, const ip4_addr_t *src, const ip4_addr_t *dest, u8_t ttl,
                       u8_t tos, u8_t proto, struct netif *netif);
err_t link_tcp_output6(struct pbuf *p, const ip6_addr_t *src, const ip6_addr_t *dest, u8_t hl,
                       u8_t tc, u8_t nexth, struct netif *netif);

/* All that tcp_out.c sends comes with addresses inside its connection. */
#define CONNECTION_OF(dest, member) CONTAINER_OF((void *)(uintptr_t)(dest), struct tcp_pcb, member)

/* As many as the device cuts it into. */
static void segments_count(const struct pbuf *p)
{
    net_counters.tcp_sent += out_mss ? (p->tot_len - TCP_HLEN + out_mss - 1u) / out_mss : 1;
}

err_t link_tcp_output4(struct pbuf *p, const ip4_addr_t *src, const ip4_addr_t *dest, u8_t ttl,
                       u8_t tos, u8_t proto, struct netif *netif)
{
    u16_t mtu = netif->mtu;
    struct tcp_pcb *pcb = CONNECTION_OF(dest, remote_ip.u_addr.ip4);
    if (UNLIKELY(tcp_urgent_sends(pcb)))
        return tcp_urgent_output(pcb, p, ttl, tos, netif);
    if (p->tot_len > TCP_HLEN + tcp_table_mss(pcb) && link_segments(netif, false, 1) > 1)
        out_mss = tcp_table_mss(pcb);
    segments_count(p);
    netif->mtu = 0; /* none */
    err_t err = ip4_output_if(p, src, dest, ttl, tos, proto, netif);
    netif->mtu = mtu;
    out_mss = 0;
    return err;
}

err_t link_tcp_output6(struct pbuf *p, const ip6_addr_t *src, const ip6_addr_t *dest, u8_t hl,
                       u8_t tc, u8_t nexth, struct netif *netif)
{
    u16_t mtu = netif->mtu6;
    struct tcp_pcb *pcb = CONNECTION_OF(dest, remote_ip.u_addr.ip6);
    if (UNLIKELY(tcp_urgent_sends(pcb)))
        return tcp_urgent_output(pcb, p, hl, tc, netif);
    if (p->tot_len > TCP_HLEN + tcp_table_mss(pcb) && link_segments(netif, true, 1) > 1)
        out_mss = tcp_table_mss(pcb);
    segments_count(p);
    netif->mtu6 = 0;
    err_t err = ip6_output_if(p, src, dest, hl, tc, nexth, netif);
    netif->mtu6 = mtu;
    out_mss = 0;
    return err;
}
