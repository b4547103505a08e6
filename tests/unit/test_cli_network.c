/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, messages of DNS cut off anywhere, and words for ports. */
#include "cli_test.h"

#include <sys/socket.h>

#include "cidr.h"
#include "dns.h"
#include "forward.h"
#include "ops/exit.h"

static struct cidr cidr(const char *text)
{
    struct cidr c;
    assert_true(cidr_parse(&c, text));
    return c;
}

static void same_text(struct cidr c, const char *text)
{
    char own[CIDR_TEXT];
    cidr_text(&c, own);
    assert_string_equal(own, text);
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"",           "10.0.0.1",    "10.0.0.1/", "10.0.0.1/33",
                                      "10.0.0/8",   "10.0.0.1/8x", "::1/129",   "::g/64",
                                      "1.2.3.4/-1", "/8"};
    struct cidr c;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(cidr_parse(&c, bad[i]));
    c = cidr("10.7.200.9/21");
    same_text(cidr_network(&c), "10.7.200.0/21");
    assert_int_equal(cidr_host_number(&c), 9);
    same_text(cidr_host(&c, 700), "10.7.202.188/21");
    c = cidr("fd00:7:0:0:1::9/64");
    same_text(cidr_network(&c), "fd00:7::/64");
    same_text(cidr_host(&c, 0x102), "fd00:7::102/64");
    c = cidr("0.0.0.0/0");
    same_text(cidr_network(&c), "0.0.0.0/0");
    assert_int_equal(cidr_host_number(&c), 0);
}

static bool overlap(const char *a, const char *b)
{
    struct cidr x = cidr(a), y = cidr(b);
    assert_int_equal(cidr_overlap(&x, &y), cidr_overlap(&y, &x));
    return cidr_overlap(&x, &y);
}

static void test_networks(void **state)
{
    struct cidr net = cidr("10.7.0.0/23"), in = cidr("10.7.1.255/32"), out = cidr("10.7.2.0/32");
    struct cidr six = cidr("::/0");
    (void)state;
    assert_true(cidr_has(&net, &in));
    assert_false(cidr_has(&net, &out));
    assert_false(cidr_has(&six, &in));
    assert_true(overlap("10.0.0.0/8", "10.200.1.1/32"));
    assert_true(overlap("0.0.0.0/0", "1.2.3.4/30"));
    assert_false(overlap("10.0.0.0/9", "10.128.0.0/9"));
    assert_false(overlap("10.0.0.0/8", "::/0"));
}

/* A query as a resolver sends it: its length. */
static size_t query(uint8_t *m, const char *labels, size_t n, unsigned type)
{
    static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
    memcpy(m, head, 12);
    memcpy(m + 12, labels, n);
    memcpy(m + 12 + n, (const uint8_t[]){0, (uint8_t)type, 0, 1}, 4);
    return 16 + n;
}

static void test_questions(void **state)
{
    static const char labels[] = "\3WeB\3lab"; /* and the NUL that ends it */
    uint8_t m[1024] = {0}, cut[64];
    struct dns_question q;
    size_t n = query(m, labels, sizeof labels, DNS_AAAA);
    (void)state;
    assert_true(dns_parse(&q, m, n));
    assert_string_equal(q.name, "web.lab");
    assert_int_equal(q.type, DNS_AAAA);
    assert_int_equal(q.end, n);
    for (size_t i = 0; i < n; i++) { /* in a block of its own, so that ASan sees a byte too far */
        uint8_t *exact = memcpy(malloc(i ? i : 1), m, i);
        assert_false(dns_parse(&q, exact, i));
        free(exact);
    }
    for (size_t i = 0; i < n; i++) /* no byte may lead out of the message */
        for (unsigned value = 0; value < 256; value++) {
            memcpy(cut, m, n);
            cut[i] = (uint8_t)value;
            if (dns_parse(&q, cut, n))
                assert_true(q.end <= n);
        }
    m[2] = 0x80; /* an answer */
    assert_false(dns_parse(&q, m, n));
    n = query(m, "", 1, DNS_A);
    assert_true(dns_parse(&q, m, n));
    assert_string_equal(q.name, "");
}

static void test_answers(void **state)
{
    static const char labels[] = "\3web";
    static const uint8_t four[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 7, 0, 9};
    struct cidr address = cidr("10.7.0.9/24"), address6 = cidr("fd00::9/64");
    uint8_t m[1024];
    struct dns_question q;
    size_t n = query(m, labels, sizeof labels, DNS_A);
    (void)state;
    assert_true(dns_parse(&q, m, n));
    assert_int_equal(dns_answer(m, &q, DNS_OK, &address, NULL), n + sizeof four);
    assert_memory_equal(m + n, four, sizeof four);
    assert_memory_equal(m, ((const uint8_t[]){0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0}), 10);
    query(m, labels, sizeof labels, DNS_A);
    assert_int_equal(dns_answer(m, &q, DNS_OK, &address6, NULL), n); /* the name, no such address */
    assert_int_equal(m[3] & 15, DNS_OK);
    assert_int_equal(m[7], 0);
    query(m, labels, sizeof labels, DNS_A);
    assert_int_equal(dns_answer(m, &q, DNS_NO_NAME, NULL, NULL), n);
    assert_int_equal(m[3] & 15, DNS_NO_NAME);
    n = query(m, labels, sizeof labels, DNS_PTR);
    assert_true(dns_parse(&q, m, n));
    assert_int_equal(dns_answer(m, &q, DNS_OK, NULL, "a.bc"), n + 12 + 6);
    assert_memory_equal(m + n + 12, "\1a\2bc", 6);
}

static void test_reverse_names(void **state)
{
    struct cidr c;
    (void)state;
    assert_true(dns_reverse(&c, "9.0.7.10.in-addr.arpa"));
    same_text(c, "10.7.0.9/32");
    assert_true(dns_reverse(
        &c, "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.f.ip6.arpa"));
    same_text(c, "fd00:7::9/128");
    assert_false(dns_reverse(&c, "300.0.7.10.in-addr.arpa"));
    assert_false(dns_reverse(&c, "9.0.7.in-addr.arpa"));
    assert_false(dns_reverse(&c, ".in-addr.arpa"));
    assert_false(dns_reverse(
        &c, "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.x.ip6.arpa"));
    assert_false(dns_reverse(&c, "ip6.arpa"));
}

static bool ports(struct forwards *f, const char *text)
{
    struct strlist l = {0};
    struct err err = {0};
    strlist_add(&l, text);
    bool ok = forwards_parse(f, &l, false, &err);
    if (!ok)
        assert_int_equal(err.exit, OPS_EXIT_USAGE);
    err_free(&err);
    strlist_free(&l);
    return ok;
}

static void test_ports(void **state)
{
    static const char *const bad[] = {
        "",        "x",      "1-",      "5-4",          "65536",   "1:2:3",
        "[::1]",   "[::1]:", "[::1:80", "::1:80",       "1.2.3:4", "1-2:3",
        "80/sctp", "1:0",    "[]:80",   "[1.2.3.4]:80", "-1",      "1.2.3.4:1:2:3",
        "[::1]80"};
    struct forwards f = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ports(&f, bad[i]));
    forwards_free(&f);
    assert_true(ports(&f, "8000-8002:80-82,[fd00::1]:53:5353/udp,1.2.3.4:9"));
    assert_int_equal(f.count, 5);
    assert_int_equal(f.items[2].host, 8002);
    assert_int_equal(f.items[2].guest, 82);
    assert_true(f.items[0].plain && !f.items[3].plain && f.items[3].v6 && f.items[3].udp);
    assert_string_equal(f.items[3].address, "fd00::1");
    assert_int_equal(f.items[3].guest, 5353);
    assert_string_equal(f.items[4].address, "1.2.3.4");
    assert_false(ports(&f, "8001"));
    assert_true(ports(&f, "8001/udp"));
    forwards_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_networks),
        cmocka_unit_test(test_questions),     cmocka_unit_test(test_answers),
        cmocka_unit_test(test_reverse_names), cmocka_unit_test(test_ports)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
