/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NTP client: see ntp.h. Main struct: client, of which there is one, under the stack lock.
 * Each question goes from a port of its own and carries a random number in place of our time;
 * only what brings that number back from the server's address is looked at. Times of the wire are
 * 32.32 bit since 1900; differences of them are right as long as both lie within 68 years.
 */
#include "net/ntp.h"

#include <linux/errno.h>

#include "core/log.h"
#include "core/random.h"
#include "lib/string.h"
#include "lwip/dns.h"
#include "lwip/udp.h"
#include "net/interface.h"
#include "net/stack.h"
#include "sched/clock.h"
#include "sched/ticker.h"

#define NTP_PORT       123
#define SERVERS        8
#define FROM_DHCP      "dhcp"
#define NAME_LEN       255 /* of a DNS name */
#define MESSAGE_LEN    48u
#define UNIX_EPOCH     2208988800ull /* seconds from 1900 to 1970 */
#define PORT_FIRST     49152u        /* those of RFC 6335 */
#define PORT_COUNT     16384u
#define PORT_TRIES     8
#define ANSWER_SECONDS 4 /* so long an answer is waited for */
#define TRIES          3 /* then the next server is asked */
#define BURST          4 /* questions at the start, 2 s apart */
#define BURST_SECONDS  2
#define POLL_LEAST     4 /* 2^n seconds, as the manifest has them */
#define POLL_MOST      17
#define DELAYS         8                   /* remembered */
#define DELAY_SPARE    (5 * 1000000ull)    /* ns by which a way may take longer */
#define DISTANCE_MAX   (5 * NSEC_PER_SEC)  /* to the root of time, by the server's own account */
#define CALM           (10 * 1000000ll)    /* ns: so close the interval grows */
#define STEP_FIRST     (128 * 1000000ll)   /* ns: the first answer sets the clock from there on */
#define TRIM_AGE       (60 * NSEC_PER_SEC) /* two answers as far apart say how fast the clock is */
#define TRIM_OFFSET    ((int64_t)NSEC_PER_SEC)
#define TRIM_MAX       500000 /* in 10^9 */

enum { MODE_CLIENT = 3, MODE_SERVER = 4, VERSION = 4, LEAP_UNKNOWN = 3, STRATUM_MAX = 15 };

struct message {
    u8_t flags; /* leap indicator, version, mode */
    u8_t stratum, poll, precision;
    u32_t root_delay, root_dispersion; /* 16.16 seconds */
    char reference[4];
    u32_t reference_time[2], origin[2], receive[2], transmit[2];
};

struct server {
    const char *name; /* NULL: from a lease */
    size_t name_len;
    u16_t port;
    bool known;  /* the address is */
    bool denied; /* it does not want us */
    ip_addr_t address;
};

static struct client {
    struct server server[SERVERS];
    unsigned servers, at; /* at: whom we ask */
    bool from_dhcp, told; /* told: that there is no answer */
    enum { WAITS, RESOLVES, ASKS } state;
    unsigned wait;   /* seconds to the next step */
    unsigned tries;  /* without an answer, of this server */
    unsigned misses; /* in a row, of all */
    unsigned answers;
    unsigned poll, poll_min, poll_max; /* 2^n s */
    int64_t step;                      /* ns: from there on the clock is set; 0: never */
    struct udp_pcb *pcb;
    uint64_t nonce, asked, asked_wall; /* asked: ns of clock_now() */
    uint64_t delay[DELAYS];
    unsigned delays;
    uint64_t corrected; /* when, ns of clock_now(); 0: never */
    int64_t trim;       /* in 10^9 */
} client;

/* lwIP's dns_setserver(); the one of that name is what DHCP calls (net/interface.c). */
void resolver_set_server(u8_t n, const ip_addr_t *server);

static void again_in(struct client *c, unsigned seconds)
{
    c->state = WAITS;
    c->wait = seconds;
    if (seconds >= 1u << POLL_LEAST) /* machines that started together shall not ask together */
        c->wait += (unsigned)(random_u64() % (seconds / 8)) - seconds / 16;
}

static void question_forget(struct client *c)
{
    if (c->pcb)
        udp_remove(c->pcb);
    c->pcb = NULL;
}

/* The next server that wants us; false: there is none. */
static bool server_next(struct client *c)
{
    c->tries = 0;
    for (unsigned i = 0; i < c->servers; i++) {
        c->at = (c->at + 1) % c->servers;
        if (!c->server[c->at].denied)
            return true;
    }
    return false;
}

static const char *server_text(const struct server *s, char *text, int size)
{
    if (s->known && ipaddr_ntoa_r(&s->address, text, size))
        return text;
    return s->name ? s->name : "?";
}

/* No answer, or none that can be believed. */
static void missed(struct client *c, const char *why)
{
    char text[IPADDR_STRLEN_MAX];
    struct server *s = &c->server[c->at];
    question_forget(c);
    c->misses++;
    if (++c->tries >= TRIES) {
        if (!c->told)
            log_warn("ntp: %s: %s", server_text(s, text, sizeof text), why);
        c->told = true;
        s->known = s->known && !s->name; /* the name may mean another machine by now */
        server_next(c);
    }
    again_in(c, MIN(1u << MIN(c->misses, 31u), 1u << c->poll_max));
}

static uint64_t get64(const u32_t word[2])
{
    return (uint64_t)lwip_ntohl(word[0]) << 32 | lwip_ntohl(word[1]);
}

static uint64_t wire_span(uint64_t ns)
{
    return ns / NSEC_PER_SEC << 32 | ((ns % NSEC_PER_SEC) << 32) / NSEC_PER_SEC;
}

static int64_t wire_ns(int64_t difference)
{
    return (int64_t)((__int128)difference * (int64_t)NSEC_PER_SEC >> 32);
}

/* A kiss-o'-death (RFC 4330 §8): the server's word on how often to ask. */
static void kissed(struct client *c, const char *code)
{
    char text[IPADDR_STRLEN_MAX];
    struct server *s = &c->server[c->at];
    question_forget(c);
    if (!memcmp(code, "RATE", 4)) {
        c->poll = c->poll_min = MIN(c->poll + 1, POLL_MOST);
        c->poll_max = MAX(c->poll_max, c->poll);
        c->answers = MAX(c->answers, BURST);
        again_in(c, 1u << c->poll);
        return;
    }
    if (!memcmp(code, "DENY", 4) || !memcmp(code, "RSTR", 4)) {
        s->denied = true;
        log_warn("ntp: %s does not serve us", server_text(s, text, sizeof text));
    }
    server_next(c);
    again_in(c, 1u << c->poll);
}

/* NULL, or what is wrong with an answer that is one to our question. */
static const char *answer_fault(const struct message *m)
{
    uint64_t distance =
        ((uint64_t)lwip_ntohl(m->root_delay) / 2 + lwip_ntohl(m->root_dispersion)) * NSEC_PER_SEC >>
        16;
    if (m->flags >> 6 == LEAP_UNKNOWN || m->stratum > STRATUM_MAX)
        return "it does not know the time";
    if (!get64(m->transmit) || !get64(m->receive) ||
        (int64_t)(get64(m->transmit) - get64(m->receive)) < 0)
        return "its times make no sense";
    return distance > DISTANCE_MAX ? "it is too far from those who know the time" : NULL;
}

/* Whether the way took about as long as the quickest lately: else it says little. */
static bool delay_usual(struct client *c, uint64_t delay)
{
    uint64_t least = delay;
    for (unsigned i = 0; i < MIN(c->delays, DELAYS); i++)
        least = MIN(least, c->delay[i]);
    c->delay[c->delays++ % DELAYS] = delay;
    return delay <= 2 * least + DELAY_SPARE;
}

/* How fast the clock is comes from what an answer finds beside what was still to be slewed. */
static void trim(struct client *c, uint64_t now, int64_t unexpected)
{
    uint64_t age = now - c->corrected;
    if (!c->corrected || age < TRIM_AGE)
        return;
    unexpected = MAX(MIN(unexpected, TRIM_OFFSET), -TRIM_OFFSET);
    int64_t drift = unexpected * (int64_t)NSEC_PER_SEC / (int64_t)age;
    c->trim = MAX(MIN(c->trim + drift / 4, TRIM_MAX), -TRIM_MAX);
    clock_trim((int32_t)c->trim);
}

static void correct(struct client *c, int64_t offset, uint64_t error)
{
    uint64_t now = clock_now(), size = (uint64_t)(offset < 0 ? -offset : offset);
    int64_t limit = c->corrected ? c->step : STEP_FIRST;
    char text[IPADDR_STRLEN_MAX];
    if (limit && size >= (uint64_t)limit) {
        clock_set_wall(clock_wall() + (uint64_t)offset);
        ticker_clock_set();
        log_info("ntp: %s: the clock is set %s by %lu.%03lu s",
                 server_text(&c->server[c->at], text, sizeof text), offset < 0 ? "back" : "forward",
                 size / NSEC_PER_SEC, size % NSEC_PER_SEC / 1000000);
    } else {
        trim(c, now, offset - clock_slew_left());
        clock_slew(offset);
    }
    c->corrected = now;
    clock_set_synced(error);
    if (size > (uint64_t)CALM)
        c->poll = c->poll_min;
    else if (c->poll < c->poll_max && c->answers >= BURST)
        c->poll++;
}

static void answer_take(struct client *c, const struct message *m)
{
    uint64_t took = clock_now() - c->asked;
    uint64_t began = wire_span(c->asked_wall) + (UNIX_EPOCH << 32);
    int64_t there = (int64_t)(get64(m->receive) - began);
    int64_t here = (int64_t)(get64(m->transmit) - began - wire_span(took));
    int64_t served = wire_ns((int64_t)(get64(m->transmit) - get64(m->receive)));
    uint64_t delay = took > (uint64_t)served ? took - (uint64_t)served : 0;
    question_forget(c);
    c->tries = c->misses = 0;
    c->told = false;
    c->answers++;
    if (delay_usual(c, delay))
        correct(c, wire_ns(there / 2 + here / 2), delay / 2 + NSEC_PER_SEC / 1000);
    again_in(c, c->answers < BURST ? BURST_SECONDS : 1u << c->poll);
}

static void on_message(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                       u16_t port)
{
    struct client *c = arg;
    struct message m;
    (void)pcb, (void)from, (void)port; /* the pcb is connected: it is the server's address */
    bool whole = pbuf_copy_partial(p, &m, sizeof m, 0) == MESSAGE_LEN;
    pbuf_free(p);
    /* Whoever guesses may go on doing so: the real answer may be on its way. */
    if (!whole || c->state != ASKS || get64(m.origin) != c->nonce || (m.flags & 7) != MODE_SERVER ||
        (m.flags >> 3 & 7) < 3)
        return;
    const char *why = m.stratum ? answer_fault(&m) : NULL;
    if (!m.stratum)
        kissed(c, m.reference);
    else if (why)
        missed(c, why);
    else
        answer_take(c, &m);
}

static bool port_bind(struct udp_pcb *pcb)
{
    for (unsigned i = 0; i < PORT_TRIES; i++)
        if (udp_bind(pcb, IP_ANY_TYPE, (u16_t)(PORT_FIRST + random_u64() % PORT_COUNT)) == ERR_OK)
            return true;
    return false;
}

static bool question_send(struct client *c, const struct server *s)
{
    struct message m = {.flags = VERSION << 3 | MODE_CLIENT};
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, MESSAGE_LEN, PBUF_RAM);
    if (!p)
        return false;
    c->nonce = random_u64() | 1;
    m.transmit[0] = lwip_htonl((u32_t)(c->nonce >> 32));
    m.transmit[1] = lwip_htonl((u32_t)c->nonce);
    pbuf_take(p, &m, sizeof m);
    c->asked = clock_now();
    c->asked_wall = clock_wall();
    bool sent =
        udp_connect(c->pcb, &s->address, s->port) == ERR_OK && udp_send(c->pcb, p) == ERR_OK;
    pbuf_free(p);
    return sent;
}

static void ask(struct client *c)
{
    const struct server *s = &c->server[c->at];
    c->pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (c->pcb)
        udp_recv(c->pcb, on_message, c);
    if (!c->pcb || !port_bind(c->pcb) || !question_send(c, s)) {
        question_forget(c); /* no way there: as long as an address is awaited, for one */
        again_in(c, 1);
        return;
    }
    c->state = ASKS;
    c->wait = ANSWER_SECONDS;
}

static void resolved(const char *name, const ip_addr_t *address, void *arg)
{
    struct client *c = &client;
    struct server *s = arg;
    (void)name;
    if (c->state != RESOLVES || s != &c->server[c->at])
        return;
    if (!address) {
        missed(c, "its name is unknown");
        return;
    }
    s->address = *address;
    s->known = true;
    ask(c);
}

static void resolve(struct client *c, struct server *s)
{
    char name[NAME_LEN + 1];
    ip_addr_t servers[DNS_MAX_SERVERS], address;
    unsigned n = interface_name_servers(servers);
    for (unsigned i = 0; i < DNS_MAX_SERVERS; i++)
        resolver_set_server((u8_t)i, i < n ? &servers[i] : IP_ADDR_ANY);
    memcpy(name, s->name, s->name_len);
    name[s->name_len] = '\0';
    c->state = RESOLVES;
    c->wait = 0;
    err_t err = dns_gethostbyname(name, &address, resolved, s); /* or an address as text */
    if (err == ERR_OK)
        resolved(name, &address, s);
    else if (!n)
        again_in(c, 1); /* a lease may bring name servers */
    else if (err != ERR_INPROGRESS)
        missed(c, "its name is unknown");
}

void ntp_tick(void)
{
    struct client *c = &client;
    if (!c->servers)
        return;
    if (c->state == RESOLVES) {
        dns_tmr(); /* ends by calling resolved() */
        return;
    }
    if (c->wait && --c->wait)
        return;
    struct server *s = &c->server[c->at];
    if (c->state == ASKS)
        missed(c, "no answer");
    else if (s->denied && !server_next(c))
        again_in(c, 1u << c->poll_max);
    else if (!s->denied && !s->known)
        resolve(c, s);
    else if (!s->denied)
        ask(c);
}

/* HOST, HOST:PORT or [ADDRESS]:PORT. */
static void server_add(struct client *c, const char *text)
{
    struct server s = {.name = text, .name_len = strlen(text), .port = NTP_PORT};
    const char *colon = strchr(text, ':'), *end = *text == '[' ? strchr(text, ']') : NULL;
    unsigned port = 0;
    if (end) {
        s.name++;
        s.name_len = (size_t)(end - s.name);
        colon = end[1] == ':' ? end + 1 : NULL;
    } else if (colon && strchr(colon + 1, ':')) {
        colon = NULL; /* an IPv6 address */
    } else if (colon) {
        s.name_len = (size_t)(colon - text);
    }
    for (const char *p = colon ? colon + 1 : ""; *p >= '0' && *p <= '9' && port < 65536; p++)
        port = port * 10 + (unsigned)(*p - '0');
    if (!s.name_len || s.name_len > NAME_LEN || (colon && (!port || port > 65535)))
        log_error("ntp: %s is no server", text);
    else if (c->servers < SERVERS) {
        s.port = colon ? (u16_t)port : NTP_PORT;
        c->server[c->servers++] = s;
    }
}

void ntp_configure(const struct manifest *m)
{
    struct client *c = &client;
    *c = (struct client){.wait = 1};
    c->poll_min = (unsigned)MAX(MIN(m->ntp_poll_min, (uint64_t)POLL_MOST), (uint64_t)POLL_LEAST);
    c->poll_max = (unsigned)MAX(MIN(m->ntp_poll_max, (uint64_t)POLL_MOST), (uint64_t)c->poll_min);
    c->poll = c->poll_min;
    c->step = (int64_t)MIN(m->ntp_step, (uint64_t)INT32_MAX) * 1000000;
    for (unsigned i = 0; i < m->ntp.count; i++) {
        if (!strcmp(m->ntp.item[i], FROM_DHCP))
            c->from_dhcp = true;
        else
            server_add(c, m->ntp.item[i]);
    }
}

void ntp_take_servers(const ip4_addr_t *server, unsigned count)
{
    struct client *c = &client;
    if (!c->from_dhcp)
        return;
    for (unsigned i = 0; i < count && c->servers < SERVERS; i++) {
        struct server s = {.port = NTP_PORT, .known = true};
        ip_addr_copy_from_ip4(s.address, server[i]);
        bool there = false;
        for (unsigned k = 0; k < c->servers; k++)
            there |= !c->server[k].name && ip_addr_cmp(&c->server[k].address, &s.address);
        if (!there && !ip4_addr_isany_val(server[i]))
            c->server[c->servers++] = s;
    }
}

void ntp_start(void)
{
    int err = client.servers || client.from_dhcp ? stack_start() : 0;
    if (err)
        log_error("ntp: no memory for the network (error %d)", -err);
}
