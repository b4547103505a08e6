/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCPv6: see dhcp6.h. Main struct: client, one of an interface. Time counts in seconds, by
 * dhcp6_tick(): an exchange may begin or be repeated up to a second late. What servers say is
 * believed only as an answer to the exchange under way (its number is random), for our identifier,
 * and if every length in it fits. Options within options go one level deep.
 */
#include "net/dhcp6.h"

#include "core/random.h"
#include "lib/string.h"
#include "lwip/ip6_addr.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/prot/dhcp6.h"
#include "lwip/prot/nd6.h"
#include "lwip/udp.h"
#include "mem/kmalloc.h"

#define CLIENT_PORT        546
#define SERVER_PORT        547
#define INTERFACES         8
#define DUID_MAX           130u
#define DUID_OWN           10u /* type, hardware type, card address */
#define IA_HEAD            12u /* number, T1, T2 */
#define ADDRESS_HEAD       24u /* address, preferred and valid lifetime */
#define OUT_MAX            256u
#define IN_MAX             1500u
#define FOREVER            UINT32_MAX
#define PREFERENCE_AT_ONCE 255

enum state { OFF, SOLICIT, REQUEST, BOUND, RENEW, REBIND, DECLINE };

/* How messages are repeated (RFC 8415 §15): seconds; 0: no limit. */
struct pace {
    u8_t message;
    uint32_t first, most;
    unsigned tries;
};
static const struct pace paces[] = {
    [SOLICIT] = {DHCP6_SOLICIT, 1, 3600, 0}, [REQUEST] = {DHCP6_REQUEST, 1, 30, 10},
    [RENEW] = {DHCP6_RENEW, 10, 600, 0},     [REBIND] = {DHCP6_REBIND, 10, 600, 0},
    [DECLINE] = {DHCP6_DECLINE, 1, 0, 4},
};

struct duid {
    u16_t len;
    u8_t id[DUID_MAX];
};

/* What a server gives: times in seconds. */
struct lease {
    struct duid server;
    int preference;
    ip6_addr_t address;
    uint32_t t1, t2, preferred, valid;
    unsigned servers;
    ip_addr_t name_server[DHCP6_SERVERS];
};

struct client {
    struct netif *netif;
    struct udp_pcb *pcb;
    enum state state;
    u32_t exchange;  /* its number: 24 bits */
    uint32_t waited; /* since the exchange began */
    uint32_t next;   /* until the message is sent again */
    uint32_t period; /* of that */
    unsigned tries;
    struct lease lease; /* the best offer while state is SOLICIT */
    bool offered;
    uint32_t age; /* of the lease */
    s8_t slot;    /* of lwIP's addresses; -1: none */
    bool cut;     /* the cable was out */
};

static struct client *clients[INTERFACES];

static void own_duid(const struct client *c, u8_t id[DUID_OWN])
{
    const u8_t head[] = {0, DHCP6_DUID_LL, 0, 1};
    memcpy(id, head, sizeof head);
    memcpy(id + sizeof head, c->netif->hwaddr, 6);
}

static u8_t *put16(u8_t *p, unsigned v)
{
    *p++ = (u8_t)(v >> 8);
    *p++ = (u8_t)v;
    return p;
}

static u8_t *put32(u8_t *p, u32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

static u32_t get16(const u8_t *p)
{
    return (u32_t)p[0] << 8 | p[1];
}

static u32_t get32(const u8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static u8_t *put_bytes(u8_t *p, unsigned option, const void *data, unsigned len)
{
    p = put16(put16(p, option), len);
    memcpy(p, data, len);
    return p + len;
}

/* The message of the state; at most OUT_MAX bytes. */
static unsigned message_fill(const struct client *c, u8_t *out)
{
    u8_t *p = put32(out, (u32_t)paces[c->state].message << 24 | c->exchange), duid[DUID_OWN];
    bool address = c->state != SOLICIT;
    own_duid(c, duid);
    p = put_bytes(p, DHCP6_OPTION_CLIENTID, duid, sizeof duid);
    if (c->state == REQUEST || c->state == RENEW || c->state == DECLINE)
        p = put_bytes(p, DHCP6_OPTION_SERVERID, c->lease.server.id, c->lease.server.len);
    p = put16(put16(p, DHCP6_OPTION_ELAPSED_TIME), 2);
    p = put16(p, MIN(c->waited * 100, 0xffffu));
    p = put16(put16(p, DHCP6_OPTION_ORO), 2);
    p = put16(p, DHCP6_OPTION_DNS_SERVERS);
    p = put16(put16(p, DHCP6_OPTION_IA_NA), IA_HEAD + (address ? 4 + ADDRESS_HEAD : 0));
    p = put32(put32(put32(p, netif_get_index(c->netif)), 0), 0);
    if (address) {
        p = put16(put16(p, DHCP6_OPTION_IAADDR), ADDRESS_HEAD);
        memcpy(p, c->lease.address.addr, 16);
        p = put32(put32(p + 16, 0), 0);
    }
    return (unsigned)(p - out);
}

static void message_send(const struct client *c)
{
    ip_addr_t all = IPADDR6_INIT_HOST(0xff020000, 0, 0, 0x00010002); /* agents and servers */
    u8_t out[OUT_MAX];
    unsigned len = message_fill(c, out);
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
    if (!p)
        return; /* as if it were lost */
    memcpy(p->payload, out, len);
    ip6_addr_assign_zone(ip_2_ip6(&all), IP6_MULTICAST, c->netif);
    udp_sendto_if_src(c->pcb, p, &all, SERVER_PORT, c->netif, netif_ip_addr6(c->netif, 0));
    pbuf_free(p);
}

/* About v seconds (RFC 8415 §15: a tenth more or less), at least one. */
static uint32_t about(uint32_t v)
{
    uint32_t tenth = v / 10;
    return MAX(v - tenth + (uint32_t)(random_u64() % (2 * tenth + 1)), 1u);
}

static void begin(struct client *c, enum state state)
{
    c->state = state;
    c->exchange = (u32_t)random_u64() & 0xffffff;
    c->waited = c->tries = 0;
    c->period = 0;
    c->next = state == SOLICIT; /* not all at once with those who heard the same router */
    if (state == SOLICIT)
        c->offered = false;
}

static void address_drop(struct client *c)
{
    if (c->slot >= 0)
        netif_ip6_addr_set_state(c->netif, c->slot, IP6_ADDR_INVALID);
    c->slot = -1;
}

/* The lease is what it says from now on. */
static void lease_take(struct client *c, const struct lease *l)
{
    if (c->slot >= 0 && !ip6_addr_zoneless_eq(netif_ip6_addr(c->netif, c->slot), &l->address))
        address_drop(c);
    c->lease = *l;
    c->age = 0;
    c->state = BOUND;
    if (c->slot < 0 && netif_add_ip6_address(c->netif, &l->address, &c->slot) != ERR_OK) {
        c->slot = -1; /* no room: perhaps later */
        begin(c, SOLICIT);
    }
}

/*
 * Options, one after another; false: a length does not fit. *value is its first byte, of *len.
 */
static bool option_next(const u8_t **p, const u8_t *end, unsigned *option, const u8_t **value,
                        unsigned *len)
{
    if (end - *p < 4)
        return false;
    *option = get16(*p);
    *len = get16(*p + 2);
    *value = *p + 4;
    if ((size_t)(end - *value) < *len)
        return false;
    *p = *value + *len;
    return true;
}

/* What stands in our IA_NA; false: no message of a sound server. */
static bool take_ia(const u8_t *p, const u8_t *end, struct lease *l, unsigned *status)
{
    const u8_t *value;
    unsigned option, len;
    l->t1 = get32(p + 4);
    l->t2 = get32(p + 8);
    for (p += IA_HEAD; p < end;) {
        if (!option_next(&p, end, &option, &value, &len))
            return false;
        if (option == DHCP6_OPTION_STATUS_CODE && len >= 2)
            *status = get16(value);
        if (option != DHCP6_OPTION_IAADDR || len < ADDRESS_HEAD || l->valid)
            continue;
        uint32_t preferred = get32(value + 16), valid = get32(value + 20);
        if (preferred > valid)
            continue;
        memcpy(l->address.addr, value, 16);
        ip6_addr_clear_zone(&l->address);
        l->preferred = preferred;
        l->valid = valid;
    }
    return !(l->t1 && l->t2 && l->t1 > l->t2);
}

static void take_servers(const u8_t *value, unsigned len, struct lease *l)
{
    for (; len >= 16 && l->servers < DHCP6_SERVERS; value += 16, len -= 16) {
        ip_addr_t *to = &l->name_server[l->servers++];
        ip_addr_set_zero_ip6(to);
        memcpy(ip_2_ip6(to)->addr, value, 16);
    }
}

/* A message for us, taken apart. */
static bool take_message(const struct client *c, const u8_t *p, const u8_t *end, struct lease *l,
                         unsigned *status)
{
    const u8_t *value;
    u8_t duid[DUID_OWN];
    unsigned option, len;
    bool ours = false, sound = true;
    own_duid(c, duid);
    while (p < end && sound) {
        sound = option_next(&p, end, &option, &value, &len);
        if (!sound)
            break;
        if (option == DHCP6_OPTION_CLIENTID) {
            ours = len == DUID_OWN && !memcmp(value, duid, len);
        } else if (option == DHCP6_OPTION_SERVERID && len && len <= DUID_MAX) {
            l->server.len = (u16_t)len;
            memcpy(l->server.id, value, len);
        } else if (option == DHCP6_OPTION_PREFERENCE && len) {
            l->preference = value[0];
        } else if (option == DHCP6_OPTION_STATUS_CODE && len >= 2) {
            *status = get16(value);
        } else if (option == DHCP6_OPTION_DNS_SERVERS) {
            take_servers(value, len, l);
        } else if (option == DHCP6_OPTION_IA_NA && len >= IA_HEAD &&
                   get32(value) == netif_get_index(c->netif)) {
            sound = take_ia(value, value + len, l, status);
        }
    }
    return sound && ours && l->server.len;
}

/* An address that a machine may have. */
static bool is_usable(const struct lease *l)
{
    const ip6_addr_t *a = &l->address;
    return l->valid && !ip6_addr_isany(a) && !ip6_addr_isloopback(a) && !ip6_addr_ismulticast(a) &&
           !ip6_addr_islinklocal(a) && !ip6_addr_isipv4mappedipv6(a);
}

/* T1 and T2 where the server leaves them to us (RFC 8415 §14.2). */
static void times_choose(struct lease *l)
{
    if (!l->t1)
        l->t1 = l->preferred == FOREVER ? FOREVER : l->preferred / 2;
    if (!l->t2)
        l->t2 = l->preferred == FOREVER ? FOREVER : l->preferred - l->preferred / 5;
    l->t2 = MAX(l->t2, l->t1);
}

static void offer_take(struct client *c, const struct lease *l, unsigned status)
{
    if (status != DHCP6_STATUS_SUCCESS || !is_usable(l))
        return;
    if (!c->offered || l->preference > c->lease.preference)
        c->lease = *l;
    c->offered = true;
    /* In the first period somebody better may answer. */
    if (c->tries > 1 || l->preference == PREFERENCE_AT_ONCE)
        begin(c, REQUEST);
}

static void reply_take(struct client *c, struct lease *l, unsigned status)
{
    bool renews = c->state == RENEW || c->state == REBIND;
    if (c->state == DECLINE) {
        begin(c, SOLICIT);
    } else if (status == DHCP6_STATUS_NOBINDING && renews) {
        c->lease.server = l->server;
        begin(c, REQUEST);
    } else if (status == DHCP6_STATUS_NOTONLINK || status == DHCP6_STATUS_NOADDRSAVAIL) {
        address_drop(c);
        begin(c, SOLICIT);
    } else if (status == DHCP6_STATUS_SUCCESS && is_usable(l)) {
        times_choose(l);
        lease_take(c, l);
    } else if (status == DHCP6_STATUS_SUCCESS && renews && !l->valid &&
               ip6_addr_zoneless_eq(&l->address, &c->lease.address)) {
        address_drop(c); /* it is taken back */
        begin(c, SOLICIT);
    }
}

static void on_message(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                       u16_t port)
{
    static u8_t in[IN_MAX]; /* under the stack lock */
    struct client *c = arg;
    struct lease l = {0};
    unsigned status = DHCP6_STATUS_SUCCESS, len = p->tot_len;
    (void)pcb, (void)from, (void)port;
    bool fits = len >= 4 && len <= IN_MAX && pbuf_copy_partial(p, in, (u16_t)len, 0) == len;
    pbuf_free(p);
    if (!fits || ip_current_input_netif() != c->netif || (get32(in) & 0xffffff) != c->exchange ||
        !take_message(c, in + 4, in + len, &l, &status))
        return;
    if (in[0] == DHCP6_ADVERTISE && c->state == SOLICIT)
        offer_take(c, &l, status);
    else if (in[0] == DHCP6_REPLY && c->state > SOLICIT && c->state != BOUND)
        reply_take(c, &l, status);
}

/* Repeats what was not answered. */
static void exchange_tick(struct client *c)
{
    const struct pace *pace = &paces[c->state];
    c->waited++;
    if (c->next && --c->next)
        return;
    if (c->state == SOLICIT && c->offered) {
        begin(c, REQUEST);
        pace = &paces[REQUEST];
    }
    if (pace->tries && c->tries == pace->tries) {
        address_drop(c);
        begin(c, SOLICIT);
        return;
    }
    c->tries++;
    c->period = about(c->period ? c->period * 2 : pace->first);
    if (pace->most && c->period > pace->most)
        c->period = about(pace->most);
    c->next = c->period;
    message_send(c);
}

/* The lease gets older. */
static void lease_tick(struct client *c)
{
    const struct lease *l = &c->lease;
    if (c->age < FOREVER - 1)
        c->age++;
    if (netif_ip6_addr_state(c->netif, c->slot) == IP6_ADDR_DUPLICATED) {
        address_drop(c);
        begin(c, DECLINE);
    } else if (l->valid != FOREVER && c->age >= l->valid) {
        address_drop(c);
        begin(c, SOLICIT);
    } else {
        /* lwIP's own count, which advertisements of the same prefix change, follows ours. */
        uint32_t left =
            l->preferred == FOREVER ? FOREVER : l->preferred - MIN(c->age, l->preferred);
        netif_ip6_addr_set_valid_life(c->netif, c->slot,
                                      l->valid == FOREVER ? FOREVER : l->valid - c->age);
        netif_ip6_addr_set_pref_life(c->netif, c->slot, left);
        if ((c->state == BOUND || c->state == RENEW) && l->t2 != FOREVER && c->age >= l->t2)
            begin(c, REBIND);
        else if (c->state == BOUND && l->t1 != FOREVER && c->age >= l->t1)
            begin(c, RENEW);
    }
}

/* A router of this interface's says that addresses come by DHCPv6. */
static bool is_managed(const struct netif *netif)
{
    for (unsigned i = 0; i < LWIP_ND6_NUM_ROUTERS; i++) {
        const struct nd6_router_list_entry *r = &default_router_list[i];
        if (r->neighbor_entry && r->neighbor_entry->netif == netif &&
            r->flags & ND6_RA_FLAG_MANAGED_ADDR_CONFIG)
            return true;
    }
    return false;
}

/* NULL: no memory; asked again in a second. */
static struct client *client_new(struct netif *netif)
{
    struct client *c = kzalloc(sizeof *c);
    struct udp_pcb *pcb = c ? udp_new_ip_type(IPADDR_TYPE_V6) : NULL;
    if (pcb)
        ip_set_option(pcb, SOF_REUSEADDR); /* those of other interfaces have the port too */
    if (!pcb || udp_bind(pcb, IP6_ADDR_ANY, CLIENT_PORT) != ERR_OK) {
        if (pcb)
            udp_remove(pcb);
        kfree(c);
        return NULL;
    }
    udp_bind_netif(pcb, netif);
    udp_recv(pcb, on_message, c);
    c->netif = netif;
    c->pcb = pcb;
    c->slot = -1;
    return c;
}

void dhcp6_tick(struct netif *netif)
{
    struct client **at = &clients[netif_get_index(netif) % INTERFACES], *c = *at;
    if (!c && is_managed(netif))
        c = *at = client_new(netif);
    if (!c)
        return;
    bool up = netif_is_link_up(netif) && ip6_addr_isvalid(netif_ip6_addr_state(netif, 0));
    if (c->state == OFF && up && is_managed(netif))
        begin(c, SOLICIT);
    if (c->slot >= 0)
        lease_tick(c);
    if (up && c->cut && c->slot >= 0) /* is this the same network? Any server may say */
        begin(c, REBIND);
    c->cut = !up;
    if (up && c->state != OFF && c->state != BOUND)
        exchange_tick(c);
}

unsigned dhcp6_servers(ip_addr_t to[DHCP6_SERVERS])
{
    unsigned n = 0;
    for (unsigned i = 0; i < INTERFACES; i++)
        for (unsigned k = 0; clients[i] && clients[i]->slot >= 0 && k < clients[i]->lease.servers;
             k++)
            if (n < DHCP6_SERVERS)
                to[n++] = clients[i]->lease.name_server[k];
    return n;
}
