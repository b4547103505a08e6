/* SPDX-License-Identifier: Apache-2.0 */
/* The network stack in a unit test: see net_rig.h. */
#include "net_rig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "dev/netdev.h"
#include "file/file.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/ip4.h"
#include "net/abi.h"
#include "net/inet.h"
#include "net/interface.h"
#include "net/tcp_state.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sched/timer.h"

extern void (*fake_thread_fn)(void *arg);
extern void (*fake_block)(void);
extern struct waiter *fake_last_waiter;
extern uint64_t fake_clock;

#define FRAME_MAX 1600
#define SENT_MAX  65536u

static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 1};

struct incoming {
    struct net_buffer buffer;
    struct incoming *next;
    uint8_t frame[FRAME_MAX];
};

static struct incoming *in_first, **in_last = &in_first;
static void *tokens[SENT_MAX];
static unsigned tokens_first, tokens_end;
static struct rig_segment sent[SENT_MAX];
static unsigned sent_first, sent_end;
static jmp_buf asleep;
static void (*stack_run)(void *arg);

bool timer_cancel(struct timer *t)
{
    bool was = t->armed;
    t->armed = false;
    return was;
}

static struct netdev card;

static uint8_t *frame_new(unsigned type, size_t len)
{
    struct incoming *in = calloc(1, sizeof *in);
    struct eth_hdr *eth = (struct eth_hdr *)in->frame;
    in->buffer.dev = &card;
    in->buffer.data = in->frame;
    in->buffer.len = (uint32_t)(SIZEOF_ETH_HDR + len);
    memcpy(&eth->dest, card.mac, 6);
    memcpy(&eth->src, gateway_mac, 6);
    eth->type = lwip_htons((uint16_t)type);
    *in_last = in;
    in_last = &in->next;
    return in->frame + SIZEOF_ETH_HDR;
}

void (*rig_on_packet)(unsigned type, const uint8_t *packet, size_t len);

static void arp_answer(const struct etharp_hdr *ask)
{
    struct etharp_hdr *h = (struct etharp_hdr *)frame_new(ETHTYPE_ARP, sizeof *h);
    *h = *ask;
    h->opcode = lwip_htons(ARP_REPLY);
    memcpy(&h->dhwaddr, &ask->shwaddr, 6);
    memcpy(&h->dipaddr, &ask->sipaddr, 4);
    memcpy(&h->shwaddr, gateway_mac, 6);
    memcpy(&h->sipaddr, &ask->dipaddr, 4);
}

static void frame_seen(const uint8_t *frame, size_t len, unsigned cut)
{
    const struct eth_hdr *eth = (const struct eth_hdr *)frame;
    const struct ip_hdr *ip = (const struct ip_hdr *)(eth + 1);
    const struct tcp_hdr *h = (const struct tcp_hdr *)(ip + 1);
    const struct etharp_hdr *arp = (const struct etharp_hdr *)(eth + 1);
    if (rig_on_packet)
        rig_on_packet(lwip_ntohs(eth->type), (const uint8_t *)(eth + 1), len - SIZEOF_ETH_HDR);
    if (eth->type == lwip_htons(ETHTYPE_ARP) && arp->opcode == lwip_htons(ARP_REQUEST) &&
        !memcmp(&arp->dipaddr, &(uint32_t){lwip_htonl(RIG_GATEWAY)}, 4))
        arp_answer(arp);
    if (eth->type != lwip_htons(ETHTYPE_IP) || IPH_PROTO(ip) != IP_PROTO_TCP)
        return;
    if (len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN || sent_end - sent_first == SENT_MAX)
        abort();
    unsigned head = TCPH_HDRLEN_BYTES(h);
    sent[sent_end++ % SENT_MAX] = (struct rig_segment){
        .ip = lwip_ntohl(ip->dest.addr),
        .port = lwip_ntohs(h->dest),
        .own_port = lwip_ntohs(h->src),
        .flags = (uint8_t)TCPH_FLAGS(h),
        .seq = lwip_ntohl(h->seqno),
        .ack = lwip_ntohl(h->ackno),
        .len = lwip_ntohs(IPH_LEN(ip)) - IP_HLEN - head,
        .cut = cut,
        .at = fake_clock,
    };
}

static int card_send(struct netdev *d, const struct net_piece *piece, unsigned count,
                     const struct net_offload *offload, void *token)
{
    static uint8_t frame[66000];
    size_t len = 0;
    (void)d;
    for (unsigned i = 0; i < count; i++) {
        if (len + piece[i].len > sizeof frame)
            abort();
        memcpy(frame + len, piece[i].data, piece[i].len);
        len += piece[i].len;
    }
    if (len > (size_t)SIZEOF_ETH_HDR + card.mtu && offload->segmentation == NET_WHOLE)
        abort();
    frame_seen(frame, len, offload->segmentation == NET_WHOLE ? 0 : offload->segment);
    tokens[tokens_end++ % SENT_MAX] = token;
    return 0;
}

static void card_nothing(struct netdev *d)
{
    (void)d;
}

static void *card_sent(struct netdev *d)
{
    (void)d;
    return tokens_first == tokens_end ? NULL : tokens[tokens_first++ % SENT_MAX];
}

static struct net_buffer *card_receive(struct netdev *d)
{
    struct incoming *in = in_first;
    (void)d;
    if (!in)
        return NULL;
    in_first = in->next;
    if (!in_first)
        in_last = &in_first;
    return &in->buffer;
}

static void card_release(struct netdev *d, struct net_buffer *b)
{
    (void)d;
    free(CONTAINER_OF(b, struct incoming, buffer));
}

static bool card_listen(struct netdev *d)
{
    (void)d;
    return in_first;
}

static const struct netdev_ops card_ops = {.send = card_send,
                                           .flush = card_nothing,
                                           .sent = card_sent,
                                           .receive = card_receive,
                                           .release = card_release,
                                           .listen = card_listen,
                                           .announced = card_nothing};

/* The stack's thread has nothing more to do. */
static void fell_asleep(void)
{
    waitq_remove(fake_last_waiter);
    longjmp(asleep, 1);
}

static void run(void)
{
    fake_block = fell_asleep;
    stack_wake();
    if (!setjmp(asleep))
        stack_run(NULL);
    fake_block = NULL;
}

void rig_start(void)
{
    static const char *line = "10.0.2.15/24 gateway=10.0.2.2";
    static const struct manifest_list lines = {1, &line};
    if (!stack_run) {
        card =
            (struct netdev){.ops = &card_ops, .mac = {2, 0, 0, 0, 0, 2}, .mtu = 1500, .link = true};
        card.queues = 1;
        netdev_register(&card);
        interface_configure(&lines);
        if (stack_start())
            abort();
        stack_run = fake_thread_fn;
    }
    rig_pass(3000);
    rig_forget();
}

void rig_send(const struct rig_segment *s)
{
    unsigned options = s->mss ? 4 : 0, total = IP_HLEN + TCP_HLEN + options + s->len;
    struct ip_hdr *ip = (struct ip_hdr *)frame_new(ETHTYPE_IP, total);
    struct tcp_hdr *h = (struct tcp_hdr *)(ip + 1);
    *ip = (struct ip_hdr){
        ._v_hl = 0x45, ._len = lwip_htons((uint16_t)total), ._ttl = 64, ._proto = 6};
    ip->src.addr = lwip_htonl(s->ip);
    ip->dest.addr = lwip_htonl(RIG_OWN);
    ip->_chksum = inet_chksum(ip, IP_HLEN);
    *h = (struct tcp_hdr){.src = lwip_htons(s->port),
                          .dest = lwip_htons(s->own_port),
                          .seqno = lwip_htonl(s->seq),
                          .ackno = lwip_htonl(s->ack),
                          .wnd = lwip_htons(65535)};
    TCPH_HDRLEN_FLAGS_SET(h, (TCP_HLEN + options) / 4, s->flags);
    const uint8_t option[] = {2, 4, (uint8_t)(s->mss >> 8), (uint8_t)s->mss};
    memcpy(h + 1, option, options);
    if (s->len)
        memcpy((char *)(h + 1) + options, s->data, s->len);
    struct pbuf p = {
        .payload = h, .len = (u16_t)(total - IP_HLEN), .tot_len = (u16_t)(total - IP_HLEN)};
    ip4_addr_t from = {ip->src.addr}, to = {ip->dest.addr};
    h->chksum = inet_chksum_pseudo(&p, IP_PROTO_TCP, p.tot_len, &from, &to);
    run();
}

void rig_too_long(const struct rig_segment *s, unsigned mtu)
{
    unsigned total = IP_HLEN + 8 + IP_HLEN + 8;
    struct ip_hdr *ip = (struct ip_hdr *)frame_new(ETHTYPE_IP, total);
    struct icmp_hdr *icmp = (struct icmp_hdr *)(ip + 1);
    struct ip_hdr *quote = (struct ip_hdr *)(icmp + 1);
    struct tcp_hdr *h = (struct tcp_hdr *)(quote + 1);
    *ip = (struct ip_hdr){
        ._v_hl = 0x45, ._len = lwip_htons((uint16_t)total), ._ttl = 64, ._proto = 1};
    ip->src.addr = lwip_htonl(RIG_GATEWAY);
    ip->dest.addr = lwip_htonl(RIG_OWN);
    ip->_chksum = inet_chksum(ip, IP_HLEN);
    *icmp = (struct icmp_hdr){.type = 3, .code = 4, .data = lwip_htonl(mtu)};
    *quote = (struct ip_hdr){._v_hl = 0x45, ._len = lwip_htons(1500), ._ttl = 64, ._proto = 6};
    quote->src.addr = lwip_htonl(RIG_OWN);
    quote->dest.addr = lwip_htonl(s->ip);
    h->src = lwip_htons(s->own_port);
    h->dest = lwip_htons(s->port);
    h->seqno = lwip_htonl(s->seq);
    icmp->chksum = inet_chksum(icmp, (u16_t)(total - IP_HLEN));
    run();
}

void rig_packet(unsigned type, const void *packet, size_t len)
{
    uint8_t *to = frame_new(type, len);
    memcpy(to, packet, len);
    if (type == ETHTYPE_IPV6 && ((const uint8_t *)packet)[24] == 0xff) { /* multicast */
        uint8_t *mac = to - SIZEOF_ETH_HDR;
        mac[0] = mac[1] = 0x33;
        memcpy(mac + 2, (const uint8_t *)packet + 36, 4);
    }
    run();
}

void rig_cable(bool in)
{
    card.link = in;
    run();
}

void rig_cuts(bool on)
{
    card.checksum = card.segment4 = on;
}

bool rig_sent(struct rig_segment *s)
{
    if (sent_first == sent_end)
        return false;
    *s = sent[sent_first++ % SENT_MAX];
    return true;
}

void rig_forget(void)
{
    sent_first = sent_end;
}

void rig_pass(uint64_t ms)
{
    for (; ms >= RIG_STEP_MS; ms -= RIG_STEP_MS) {
        fake_clock += RIG_STEP_MS * (NSEC_PER_SEC / 1000);
        run();
    }
}

struct tcp_socket *rig_listen(uint16_t port, int backlog)
{
    struct file *f;
    struct message name = {.name_len = sizeof(struct sockaddr_in)};
    *(struct sockaddr_in *)&name.name =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = lwip_htons(port)};
    if (socket_create(AF_INET, SOCK_STREAM, 0, O_NONBLOCK, &f))
        abort();
    struct socket *s = socket_of(f);
    if (s->ops->bind(s, &name) || s->ops->listen(s, backlog))
        abort();
    return tcp_of(s);
}

bool rig_open(struct rig_segment *s)
{
    struct rig_segment answer;
    rig_forget();
    s->flags = TCP_SYN;
    s->ack = s->len = 0;
    rig_send(s);
    s->seq++;
    if (!rig_sent(&answer) || answer.flags != (TCP_SYN | TCP_ACK) || answer.ack != s->seq)
        return false;
    s->mss = 0;
    s->ack = answer.seq + 1;
    s->flags = TCP_ACK;
    rig_send(s);
    return true;
}

struct tcp_socket *rig_accept(struct tcp_socket *listener)
{
    struct message name = {0};
    struct file *f;
    int err = socket_accept(&listener->socket, O_NONBLOCK, &f, &name);
    return err ? NULL : tcp_of(socket_of(f));
}

void rig_close(struct tcp_socket *t)
{
    file_put(t->socket.file);
}
