/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6 (RFC 8415) as a client, before a server that is slow, strange or hostile: net/dhcp6.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lwip/inet_chksum.h"
#include "lwip/netif.h"
#include "lwip/prot/ethernet.h"
#include "net/dhcp6.h"
#include "net_rig.h"
#include "sched/clock.h"

enum { SOLICIT = 1, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE };
#define GIVEN "\x20\x01\x0d\xb8\0\0\0\1\0\0\0\0\0\0\x12\x34"
#define OTHER "\x20\x01\x0d\xb8\0\0\0\1\0\0\0\0\0\0\x56\x78"

/* What the client said last, and how often it spoke. */
static uint8_t said[512];
static size_t said_len;
static unsigned times;
static uint64_t said_at;

static uint8_t own_ip[16], probed[16]; /* the client's link-local address; whom it looks for */

static void seen(unsigned type, const uint8_t *p, size_t len)
{
    if (type != ETHTYPE_IPV6 || len < 48)
        return;
    if (p[6] == 58 && p[40] == 135)
        memcpy(probed, p + 48, 16);
    if (p[6] != 17 || p[42] != 547 >> 8 || p[43] != (547 & 255))
        return;
    assert_true(len - 48 <= sizeof said);
    assert_memory_equal(p + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\1\0\2", 16);
    memcpy(own_ip, p + 8, 16);
    said_len = len - 48;
    memcpy(said, p + 48, said_len);
    said_at = clock_now();
    times++;
}

/* An IPv6 packet from the router, fe80::1, with its checksum at `sum`. */
static void send6(const uint8_t *to, unsigned protocol, uint8_t *body, size_t len, size_t sum)
{
    uint8_t p[2048] = {0x60};
    ip6_addr_t from6 = {0}, to6 = {0};
    p[4] = (uint8_t)(len >> 8);
    p[5] = (uint8_t)len;
    p[6] = (uint8_t)protocol;
    p[7] = 255;
    memcpy(p + 8, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    memcpy(p + 24, to, 16);
    memcpy(from6.addr, p + 8, 16);
    memcpy(to6.addr, to, 16);
    struct pbuf b = {.payload = body, .len = (u16_t)len, .tot_len = (u16_t)len};
    uint16_t value = ip6_chksum_pseudo(&b, (u8_t)protocol, (u16_t)len, &from6, &to6);
    memcpy(body + sum, &value, 2);
    memcpy(p + 40, body, len);
    rig_packet(ETHTYPE_IPV6, p, 40 + len);
}

static void router_says(bool managed)
{
    uint8_t ra[24] = {134, 0, 0, 0, 64, managed ? 0x80 : 0, 0xff, 0xff};
    memcpy(ra + 16, "\1\1\2\0\0\0\0\1", 8);
    send6((const uint8_t *)"\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 58, ra, sizeof ra, 2);
}

static struct answer {
    unsigned type, status, preference;
    const char *address; /* NULL: none */
    uint32_t t1, t2, preferred, valid;
    uint8_t server;
    bool other_client, no_server, other_exchange;
    unsigned cut; /* bytes missing at the end */
    bool servers;
} usual = {.type = ADVERTISE,
           .address = GIVEN,
           .t1 = 100,
           .t2 = 160,
           .preferred = 200,
           .valid = 300,
           .server = 7};

static uint8_t *put(uint8_t *p, unsigned v, unsigned bytes)
{
    while (bytes--)
        *p++ = (uint8_t)(v >> 8 * bytes);
    return p;
}

static void server_says(const struct answer *a)
{
    uint8_t m[1024] = {0}, *p = m + 8;
    *p++ = (uint8_t)a->type;
    memcpy(p, said + 1, 3);
    p[0] ^= a->other_exchange;
    p += 3;
    memcpy(p, said + 4, 14); /* the client's identifier stands first */
    p[13] ^= a->other_client;
    p += 14;
    if (!a->no_server) {
        p = put(put(p, 2, 2), 5, 2);
        memcpy(p, "\0\3\0\1", 4);
        p[4] = a->server;
        p += 5;
    }
    if (a->preference)
        p = put(put(put(p, 7, 2), 1, 2), a->preference, 1);
    if (a->servers) {
        p = put(put(p, 23, 2), 32, 2);
        memcpy(p, GIVEN OTHER, 32);
        p += 32;
    }
    p = put(put(p, 3, 2), 12 + (a->address ? 28 : 0) + 6, 2);
    p = put(put(put(p, 2, 4), a->t1, 4), a->t2, 4); /* the IAID is the interface's number */
    if (a->address) {
        p = put(put(p, 5, 2), 24, 2);
        memcpy(p, a->address, 16);
        p = put(put(p + 16, a->preferred, 4), a->valid, 4);
    }
    p = put(put(put(p, 13, 2), 2, 2), a->status, 2);
    size_t len = (size_t)(p - m) - a->cut;
    put(put(put(m, 547, 2), 546, 2), (unsigned)len, 2);
    send6(own_ip, 17, m, len, 6);
}

static void answer(unsigned type)
{
    struct answer a = usual;
    a.type = type;
    server_says(&a);
}

/* The client has an address; in which state. */
static int has(const char *address)
{
    struct netif *netif = netif_get_by_index(2);
    for (s8_t i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (!memcmp(netif_ip6_addr(netif, i)->addr, address, 16) &&
            !ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)))
            return netif_ip6_addr_state(netif, i);
    return 0;
}

/* Waits until the client says something. */
static void await_any(void)
{
    unsigned before = times;
    for (unsigned i = 0; times == before && i < 400000; i++)
        rig_pass(RIG_STEP_MS);
    assert_true(times > before);
}

static void await(unsigned type)
{
    await_any();
    assert_int_equal(said[0], type);
}

static void leased(void)
{
    await(SOLICIT);
    answer(ADVERTISE);
    await(REQUEST);
    answer(REPLY);
    assert_true(has(GIVEN));
}

/* The lease ends: the server takes the address back. */
static void given_back(void)
{
    await(RENEW);
    struct answer a = usual;
    a.type = REPLY;
    a.preferred = a.valid = 0;
    server_says(&a);
    assert_false(has(GIVEN));
}

static void not_without_a_router(void **state)
{
    (void)state;
    rig_on_packet = seen;
    rig_start();
    rig_pass(5000);
    router_says(false);
    rig_pass(5000);
    assert_int_equal(times, 0);
    router_says(true);
    leased();
    rig_pass(3000);
    assert_int_equal(has(GIVEN), IP6_ADDR_PREFERRED);
    given_back();
}

/* 1 s, then twice as long each time, up to an hour. */
static void solicits_ever_more_slowly(void **state)
{
    uint64_t last;
    (void)state;
    await(SOLICIT);
    last = said_at;
    for (unsigned want = 1; want < 300; want *= 2) {
        await(SOLICIT);
        double gap = (double)(said_at - last) / NSEC_PER_SEC;
        assert_true(gap > want * 0.6 && gap < want * 1.6 + 1.1);
        last = said_at;
    }
    answer(ADVERTISE); /* late: taken at once */
    await(REQUEST);
    answer(REPLY);
    given_back();
}

static void the_better_offer(void **state)
{
    struct answer a = usual;
    (void)state;
    await(SOLICIT);
    a.preference = 10;
    a.server = 1;
    server_says(&a);
    a.preference = 20;
    a.server = 2;
    a.address = OTHER;
    server_says(&a);
    a.preference = 0;
    a.server = 3;
    server_says(&a);
    await(REQUEST);
    assert_memory_equal(said + 18, "\0\2\0\5\0\3\0\1\2", 9);
    a.server = 2;
    a.type = REPLY;
    a.servers = true;
    server_says(&a);
    assert_true(has(OTHER) && !has(GIVEN));
    ip_addr_t servers[DHCP6_SERVERS];
    assert_int_equal(dhcp6_servers(servers), 2);
    assert_memory_equal(ip_2_ip6(&servers[1])->addr, OTHER, 16);
    await(RENEW);
    a.preferred = a.valid = 0;
    server_says(&a);
    assert_false(has(OTHER));
    assert_int_equal(dhcp6_servers(servers), 0);
}

/* T1, T2, the end: each at its time, and each answer begins anew. */
static void renews_and_rebinds(void **state)
{
    uint64_t begin;
    (void)state;
    leased();
    begin = clock_now();
    await(RENEW);
    assert_in_range((said_at - begin) / NSEC_PER_SEC, 99, 103);
    answer(REPLY);
    begin = clock_now();
    await(RENEW);
    assert_in_range((said_at - begin) / NSEC_PER_SEC, 99, 103);
    while (said[0] == RENEW)
        await_any();
    assert_int_equal(said[0], REBIND);
    assert_in_range((said_at - begin) / NSEC_PER_SEC, 159, 180);
    assert_true(said[18] == 0 && said[19] != 2); /* to no server in particular */
    answer(REPLY);
    begin = clock_now();
    while (clock_now() - begin < 205 * NSEC_PER_SEC)
        rig_pass(1000);
    assert_int_equal(has(GIVEN), IP6_ADDR_DEPRECATED);
    while (clock_now() - begin < 305 * NSEC_PER_SEC)
        rig_pass(1000);
    assert_false(has(GIVEN));
    await(SOLICIT);
    answer(ADVERTISE);
    await(REQUEST);
    answer(REPLY);
    given_back();
}

static void somebody_else_has_it(void **state)
{
    uint8_t na[32] = {136, 0, 0, 0, 0x20};
    (void)state;
    leased();
    for (unsigned i = 0; i < 200 && memcmp(probed, GIVEN, 16); i++)
        rig_pass(RIG_STEP_MS);
    assert_memory_equal(probed, GIVEN, 16);
    memcpy(na + 8, GIVEN, 16);
    memcpy(na + 24, "\2\1\2\0\0\0\0\x9", 8);
    send6((const uint8_t *)"\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 58, na, sizeof na, 2);
    await(DECLINE);
    assert_false(has(GIVEN));
    answer(REPLY);
    await(SOLICIT);
    struct answer a = usual;
    a.address = OTHER;
    server_says(&a);
    await(REQUEST);
    a.type = REPLY;
    server_says(&a);
    rig_pass(3000);
    assert_int_equal(has(OTHER), IP6_ADDR_PREFERRED);
    await(RENEW);
    a.preferred = a.valid = 0;
    server_says(&a);
}

static void the_server_has_forgotten(void **state)
{
    struct answer a = usual;
    (void)state;
    leased();
    await(RENEW);
    a.type = REPLY;
    a.status = 3; /* NoBinding */
    server_says(&a);
    await(REQUEST);
    assert_true(has(GIVEN));
    answer(REPLY);
    await(RENEW);
    a.status = 4; /* NotOnLink */
    server_says(&a);
    assert_false(has(GIVEN));
}

/* Another cable, perhaps: any server may say whether the address still holds. */
static void the_cable_was_out(void **state)
{
    (void)state;
    leased();
    rig_pass(5000);
    rig_cable(false);
    rig_pass(5000);
    rig_cable(true);
    await(REBIND);
    answer(REPLY);
    router_says(true);
    rig_pass(5000);
    assert_int_equal(has(GIVEN), IP6_ADDR_PREFERRED);
    given_back();
}

/* None of these is an answer to us, or none of an honest server. */
static void strange_answers(void **state)
{
    struct answer a[14];
    (void)state;
    for (unsigned i = 0; i < 14; i++)
        a[i] = usual;
    a[0].type = REPLY; /* nobody asked for one */
    a[1].other_client = true;
    a[2].other_exchange = true;
    a[3].no_server = true;
    a[4].address = NULL;
    a[5].status = 2; /* NoAddrsAvail */
    a[6].valid = 0;
    a[7].preferred = 400; /* longer than valid */
    a[8].t1 = 200;        /* behind T2 */
    a[9].address = "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    a[10].address = "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    a[11].address = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    a[12].cut = 3;
    a[13].type = RENEW;
    await(SOLICIT);
    await(SOLICIT);
    for (unsigned i = 0; i < 14; i++)
        server_says(&a[i]);
    await(SOLICIT);
    for (unsigned cut = 1; cut < 60; cut++) { /* cut off anywhere */
        struct answer c = usual;
        c.cut = cut;
        server_says(&c);
    }
    await(SOLICIT);
    answer(ADVERTISE);
    await(REQUEST);
    a[1].type = a[2].type = a[3].type = a[12].type = REPLY;
    server_says(&a[1]);
    server_says(&a[2]);
    server_says(&a[3]);
    server_says(&a[12]);
    assert_false(has(GIVEN));
    answer(REPLY);
    assert_true(has(GIVEN));
    given_back();
}

/* Bytes by chance behind a sound head: nothing happens but what a sound answer would do. */
static void noise(void **state)
{
    uint8_t m[600];
    (void)state;
    srandom(1);
    await(SOLICIT);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = 12 + (size_t)random() % (sizeof m - 12);
        for (size_t k = 0; k < len; k++)
            m[k] = (uint8_t)(random() % 5 ? random() % 8 : random());
        put(put(put(m, 547, 2), 546, 2), (unsigned)len, 2);
        m[6] = m[7] = 0;
        m[8] = (uint8_t)(i & 1 ? ADVERTISE : REPLY);
        memcpy(m + 9, said + 1, 3);
        if (len > 30 && i & 2)
            memcpy(m + 12, said + 4, 14);
        send6(own_ip, 17, m, len, 6);
    }
    assert_false(has(GIVEN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_without_a_router),
        cmocka_unit_test(solicits_ever_more_slowly),
        cmocka_unit_test(the_better_offer),
        cmocka_unit_test(renews_and_rebinds),
        cmocka_unit_test(somebody_else_has_it),
        cmocka_unit_test(the_server_has_forgotten),
        cmocka_unit_test(the_cable_was_out),
        cmocka_unit_test(strange_answers),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
