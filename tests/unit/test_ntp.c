/* SPDX-License-Identifier: Apache-2.0 */
/* NTP as a client, before servers that are right, silent, wrong or forged: net/ntp.c; and how the
 * wall clock is slewed (sched/clock_page.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lwip/inet_chksum.h"
#include "lwip/ip_addr.h"
#include "lwip/prot/ethernet.h"
#include "net/ntp.h"
#include "net_rig.h"
#include "sched/clock.h"
#include "sched/clock_page.h"

extern uint64_t fake_clock, fake_epoch;
extern int64_t fake_slew;
extern int32_t fake_trim;

#define SECOND  1000000000ll
#define GATEWAY 0x0a000202u
#define OTHER   0x0a000203u

/* The last question. */
static struct {
    unsigned count;
    uint32_t to;
    uint16_t port, own_port;
    uint8_t body[48];
    uint64_t at;
} asked;
static uint16_t ports[64];
static uint32_t dns_to;
static uint8_t dns_query[512];
static size_t dns_len;
static uint16_t dns_port;

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void seen(unsigned type, const uint8_t *p, size_t len)
{
    if (type != ETHTYPE_IP || p[9] != 17)
        return;
    unsigned port = (unsigned)p[22] << 8 | p[23];
    if (port == 53) {
        dns_to = get32(p + 16);
        dns_port = (uint16_t)(p[20] << 8 | p[21]);
        dns_len = len - 28;
        assert_true(dns_len <= sizeof dns_query);
        memcpy(dns_query, p + 28, dns_len);
        return;
    }
    assert_int_equal(len, 20 + 8 + 48);
    asked.to = get32(p + 16);
    asked.port = (uint16_t)port;
    asked.own_port = (uint16_t)(p[20] << 8 | p[21]);
    asked.at = fake_clock;
    memcpy(asked.body, p + 28, 48);
    ports[asked.count++ % 64] = asked.own_port;
}

static void udp_send_from(uint32_t from, uint16_t from_port, uint16_t to_port, const void *body,
                          size_t n)
{
    uint8_t p[1024] = {0x45};
    size_t total = 28 + n;
    p[2] = (uint8_t)(total >> 8);
    p[3] = (uint8_t)total;
    p[8] = 64;
    p[9] = 17;
    put32(p + 12, from);
    put32(p + 16, RIG_OWN);
    uint16_t sum = inet_chksum(p, 20);
    memcpy(p + 10, &sum, 2);
    p[20] = (uint8_t)(from_port >> 8);
    p[21] = (uint8_t)from_port;
    p[22] = (uint8_t)(to_port >> 8);
    p[23] = (uint8_t)to_port;
    p[24] = (uint8_t)((n + 8) >> 8);
    p[25] = (uint8_t)(n + 8);
    memcpy(p + 28, body, n);
    rig_packet(ETHTYPE_IP, p, total);
}

/* How an answer differs from a good one. */
struct answer {
    int64_t offset;   /* ns by which the server's clock is ahead */
    uint32_t from;    /* 0: whom was asked */
    uint8_t flags;    /* 0: as it must be */
    uint8_t stratum;  /* 0: 2; 255: 0 */
    const char *kiss; /* with stratum 255 */
    uint32_t dispersion;
    bool other_origin, no_transmit, backwards;
    size_t len; /* 0: all */
};

static void stamp(uint8_t *p, uint64_t wall)
{
    put32(p, (uint32_t)(wall / (uint64_t)SECOND + 2208988800u));
    put32(p + 4, (uint32_t)((wall % (uint64_t)SECOND << 32) / (uint64_t)SECOND));
}

static void server_says(struct answer a)
{
    uint8_t m[48] = {0};
    uint64_t there = clock_wall() + (uint64_t)a.offset;
    m[0] = a.flags ? a.flags : 4 << 3 | 4;
    m[1] = a.stratum == 255 ? 0 : a.stratum ? a.stratum : 2;
    put32(m + 8, a.dispersion);
    memcpy(m + 12, a.kiss ? a.kiss : "GPS\0", 4);
    memcpy(m + 24, asked.body + 40, 8);
    m[24] ^= a.other_origin;
    stamp(m + 32, there);
    stamp(m + 40, a.backwards ? there - 1000000000u : there);
    if (a.no_transmit)
        memset(m + 40, 0, 8);
    udp_send_from(a.from ? a.from : asked.to, asked.port, asked.own_port, m, a.len ? a.len : 48);
}

static struct manifest manifest;
static const char *names[4];

static void begin(const char *a, const char *b, uint64_t step)
{
    names[0] = a;
    names[1] = b;
    manifest.ntp = (struct manifest_list){b ? 2 : 1, names};
    manifest.ntp_poll_min = 6;
    manifest.ntp_poll_max = 10;
    manifest.ntp_step = step;
    ntp_configure(&manifest);
    memset(&asked, 0, sizeof asked);
    fake_slew = 0;
    fake_trim = 0;
}

/* Until the next question; false: none for `seconds`. */
static bool next_question(unsigned seconds)
{
    unsigned was = asked.count;
    for (unsigned i = 0; i < seconds * 50 && asked.count == was; i++)
        rig_pass(RIG_STEP_MS);
    return asked.count != was;
}

/* The wall clock differs from what it was by that much; ARP takes a part of the first way. */
static void want_moved(uint64_t before, int64_t by)
{
    int64_t moved = (int64_t)(fake_epoch - before);
    assert_true(llabs(moved - by) < 50000000);
}

static void test_sets(void **state)
{
    (void)state;
    begin("10.0.2.2", NULL, 128);
    uint64_t before = fake_epoch;
    assert_true(next_question(5));
    assert_int_equal(asked.to, GATEWAY);
    assert_int_equal(asked.port, 123);
    assert_int_equal(asked.body[0], 4 << 3 | 3);
    for (int i = 1; i < 40; i++)
        assert_int_equal(asked.body[i], 0); /* nothing of ours is told */
    server_says((struct answer){.offset = 3600 * SECOND});
    want_moved(before, 3600 * SECOND);
    assert_int_equal(fake_slew, 0);
    /* A burst first; then small differences are slewed, both ways. */
    assert_true(next_question(3));
    server_says((struct answer){.offset = 20000000});
    want_moved(before, 3600 * SECOND);
    assert_true(llabs(fake_slew - 20000000) < 1000);
    assert_true(next_question(3));
    server_says((struct answer){.offset = -30000000});
    assert_true(llabs(fake_slew + 30000000) < 1000);
    assert_true(next_question(3));
    server_says((struct answer){.offset = 100000});
    uint64_t at = fake_clock;
    assert_true(next_question(200));
    assert_true(fake_clock - at >= 55 * (uint64_t)SECOND &&
                fake_clock - at <= 140 * (uint64_t)SECOND);
    /* And back. */
    server_says((struct answer){.offset = -7200 * SECOND});
    want_moved(before, -3600 * SECOND);
}

/* Each question comes from another port with another number, or somebody could guess. */
static void test_unguessable(void **state)
{
    uint8_t nonce[8][8];
    (void)state;
    begin("10.0.2.2", NULL, 128);
    assert_true(next_question(5));
    for (int i = 0; i < 8; i++) {
        memcpy(nonce[i], asked.body + 40, 8);
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(nonce[i], nonce[k], 8);
            assert_true(ports[i] != ports[k] || i == 0);
        }
        server_says((struct answer){.offset = 0});
        assert_true(next_question(2000));
    }
}

/* What is no answer to the question changes nothing, and the real one still counts. */
static void test_forged(void **state)
{
    static const struct answer wrong[] = {
        {.offset = SECOND, .other_origin = true},
        {.offset = SECOND, .from = OTHER},
        {.offset = SECOND, .flags = 4 << 3 | 5}, /* broadcast */
        {.offset = SECOND, .flags = 4 << 3 | 3}, /* a client's */
        {.offset = SECOND, .flags = 1 << 3 | 4}, /* version 1 */
        {.offset = SECOND, .len = 47},
        {.stratum = 255, .kiss = "DENY", .other_origin = true},
    };
    (void)state;
    begin("10.0.2.2", NULL, 128);
    uint64_t before = fake_epoch;
    assert_true(next_question(5));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        server_says(wrong[i]);
    assert_int_equal(fake_epoch, before);
    server_says((struct answer){.offset = 5 * SECOND});
    want_moved(before, 5 * SECOND);
    /* The question is answered: a second answer to it is none. */
    server_says((struct answer){.offset = 50 * SECOND});
    want_moved(before, 5 * SECOND);
}

/* A server that says it does not know is not believed; the next one is asked. */
static void test_unfit(void **state)
{
    static const struct answer unfit[] = {
        {.offset = SECOND, .flags = 3 << 6 | 4 << 3 | 4}, /* LI 3 */
        {.offset = SECOND, .stratum = 16},
        {.offset = SECOND, .no_transmit = true},
        {.offset = SECOND, .backwards = true},
        {.offset = SECOND, .dispersion = 6 << 16},
    };
    (void)state;
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        begin("10.0.2.2", "10.0.2.2:1123", 128);
        uint64_t before = fake_epoch;
        for (int k = 0; k < 3; k++) {
            assert_true(next_question(20));
            assert_int_equal(asked.port, 123);
            server_says(unfit[i]);
            assert_int_equal(fake_epoch, before);
            assert_int_equal(fake_slew, 0);
        }
        assert_true(next_question(20));
        assert_int_equal(asked.port, 1123);
        server_says((struct answer){.offset = SECOND});
        want_moved(before, SECOND);
    }
}

static void test_silent(void **state)
{
    (void)state;
    begin("10.0.2.2", "10.0.2.2:1123", 128);
    unsigned first = 0, second = 0;
    uint64_t last = 0, longest = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(next_question(3000));
        if (last)
            longest = asked.at - last > longest ? asked.at - last : longest;
        last = asked.at;
        *(asked.port == 123 ? &first : &second) += 1;
    }
    assert_true(first >= 6 && second >= 6);
    assert_true(longest >= 900 * (uint64_t)SECOND); /* it asks less and less often */
    assert_true(longest <= 1200 * (uint64_t)SECOND);
}

static void test_kisses(void **state)
{
    (void)state;
    begin("10.0.2.2", "10.0.2.2:1123", 128);
    assert_true(next_question(5));
    server_says((struct answer){.stratum = 255, .kiss = "DENY"});
    for (int i = 0; i < 5; i++) {
        assert_true(next_question(3000));
        assert_int_equal(asked.port, 1123);
        server_says((struct answer){.offset = 0});
    }
    begin("10.0.2.2", NULL, 128);
    assert_true(next_question(5));
    server_says((struct answer){.stratum = 255, .kiss = "RATE"});
    assert_false(next_question(100)); /* twice the interval, less a 16th */
    assert_true(next_question(60));
    begin("10.0.2.2", NULL, 128);
    assert_true(next_question(5));
    server_says((struct answer){.stratum = 255, .kiss = "RSTR"});
    assert_false(next_question(5000)); /* nobody is left */
}

/* The clock is too slow: that is found out. */
static void test_trims(void **state)
{
    (void)state;
    begin("10.0.2.2", NULL, 128);
    assert_true(next_question(5));
    for (int i = 0; i < 8; i++) {
        server_says((struct answer){.offset = i ? 2000000 : 0}); /* 2 ms each time */
        assert_true(next_question(2000));
    }
    assert_in_range(fake_trim, 2500, 40000);
}

static void test_never_steps(void **state)
{
    (void)state;
    begin("10.0.2.2", NULL, 0);
    uint64_t before = fake_epoch;
    assert_true(next_question(5));
    server_says((struct answer){.offset = 10 * SECOND});
    want_moved(before, 10 * SECOND); /* at the start it does */
    assert_true(next_question(3));
    server_says((struct answer){.offset = 10 * SECOND});
    want_moved(before, 10 * SECOND);
    assert_true(llabs(fake_slew - 10 * SECOND) < 1000000);
}

/* A name is looked up by the servers the machine has. */
static void test_name(void **state)
{
    static const ip_addr_t server = IPADDR4_INIT_BYTES(10, 0, 2, 2);
    uint8_t answer[600];
    (void)state;
    void dns_setserver(u8_t n, const ip_addr_t *server);
    dns_setserver(0, &server);
    begin("time.example:124", NULL, 128);
    for (int i = 0; i < 50 && !dns_len; i++)
        rig_pass(100);
    assert_int_equal(dns_to, GATEWAY);
    assert_memory_equal(dns_query + 12, "\4time\7example\0", 14);
    assert_int_equal(asked.count, 0);
    memcpy(answer, dns_query, dns_len);
    answer[2] = 0x81;
    answer[3] = 0x80;
    answer[7] = 1;
    memcpy(answer + dns_len, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\2\2", 16);
    udp_send_from(GATEWAY, 53, dns_port, answer, dns_len + 16);
    assert_int_equal(asked.count, 1); /* at once */
    assert_int_equal(asked.to, GATEWAY);
    assert_int_equal(asked.port, 124);
}

static void test_lease(void **state)
{
    ip4_addr_t list[2] = {{0}, {lwip_htonl(GATEWAY)}};
    (void)state;
    begin("dhcp", NULL, 128);
    assert_false(next_question(10));
    ntp_take_servers(list, 2);
    ntp_take_servers(list, 2); /* the lease is renewed */
    assert_true(next_question(5));
    assert_int_equal(asked.to, GATEWAY);
    begin("10.0.2.2:1123", NULL, 128);
    ntp_take_servers(list, 2); /* not asked for */
    for (int i = 0; i < 8; i++) {
        assert_true(next_question(2000));
        assert_int_equal(asked.port, 1123);
    }
}

/* Slewing moves the clock by what was asked for, and never back. */
static void test_slew(void **state)
{
    (void)state;
    for (int back = 0; back < 2; back++) {
        struct clock_page p = {
            .wall_base = 1000000, .slew_from = 5000, .slew_back = (uint32_t)back};
        p.slew_span = 3000ull << CLOCK_SLEW_SHIFT;
        uint64_t last = 0;
        for (uint64_t now = 0; now < p.slew_span + 20000; now++) {
            uint64_t wall = clock_page_wall(&p, now);
            assert_true(wall >= last);
            assert_true(wall <= last + 2 || !last);
            last = wall;
        }
        assert_int_equal(last - (p.slew_span + 20000 - 1) - 1000000, back ? -3000 : 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slew),        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_unguessable), cmocka_unit_test(test_forged),
        cmocka_unit_test(test_unfit),       cmocka_unit_test(test_silent),
        cmocka_unit_test(test_kisses),      cmocka_unit_test(test_trims),
        cmocka_unit_test(test_never_steps), cmocka_unit_test(test_name),
        cmocka_unit_test(test_lease),
    };
    ntp_configure(&manifest);
    rig_start();
    rig_on_packet = seen;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
