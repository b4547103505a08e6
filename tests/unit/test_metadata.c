/* SPDX-License-Identifier: Apache-2.0 */
/* What metadata services say: HTTP answers whole, cut at every byte and wrong; the texts in them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/http_reply.h"
#include "proc/metadata_text.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* Parses a copy that ends where it ends. */
static int parse(const char *text, size_t n, bool closed, char body[256], unsigned *status)
{
    struct http_reply r;
    char *copy = malloc(n + 1);
    memcpy(copy, text, n);
    int err = http_reply_parse(copy, n, closed, &r);
    if (!err) {
        assert_true(r.len < 256);
        memcpy(body, r.body, r.len);
        body[r.len] = '\0';
        *status = r.status;
    }
    free(copy);
    return err;
}

/* Before the last byte it is incomplete, at any; with it, it is this. */
static void want_whole(const char *text, const char *want)
{
    char body[256];
    unsigned status;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(parse(text, i, false, body, &status), -EAGAIN);
    assert_int_equal(parse(text, n, false, body, &status), 0);
    assert_int_equal(status, 200);
    assert_string_equal(body, want);
}

static void test_bodies(void **state)
{
    char body[256];
    unsigned status;
    (void)state;
    want_whole(OK "Content-Length: 5\r\n\r\nhello", "hello");
    want_whole(OK "content-length:\t5 \r\nX: y\r\n\r\nhello", "hello");
    assert_int_equal(parse(OK "Content-Length: 0\r\n\r\n", 38, false, body, &status), 0);
    assert_string_equal(body, "");
    /* Without a length it ends where the connection does. */
    const char *text = OK "\r\nsome text";
    assert_int_equal(parse(text, strlen(text), false, body, &status), -EAGAIN);
    assert_int_equal(parse(text, strlen(text), true, body, &status), 0);
    assert_string_equal(body, "some text");
    text = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    assert_int_equal(parse(text, strlen(text), false, body, &status), 0);
    assert_int_equal(status, 404);
}

static void test_chunks(void **state)
{
    char body[256];
    unsigned status;
    const char *text =
        OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=y\r\n0123456789\r\n1\r\n!\r\n0\r\n";
    (void)state;
    want_whole(text, "abc0123456789!");
    text = OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n";
    assert_int_equal(parse(text, strlen(text), false, body, &status), -EPROTO);
    text = OK "Transfer-Encoding: chunked\r\n\r\n3\r\nab";
    assert_int_equal(parse(text, strlen(text), true, body, &status), -EPROTO);
}

static void test_wrong(void **state)
{
    static const char *const wrong[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        OK "Content-Length: -1\r\n\r\n",
        OK "Content-Length: 1x\r\n\r\nx",
        OK "Content-Length: 99999999999999999999\r\n\r\nx",
        OK "Content-Length: \r\n\r\nx",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n",
    };
    char body[256];
    unsigned status;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(parse(wrong[i], strlen(wrong[i]), false, body, &status), -EPROTO);
    const char *cut = OK "Content-Length: 5\r\n\r\nhell";
    assert_int_equal(parse(cut, strlen(cut), true, body, &status), -EPROTO);
}

static void test_headers(void **state)
{
    char text[] = OK "A: 1\r\nMetadata-Flavor:  Google \r\nEmpty:\r\nContent-Length: 0\r\n\r\n";
    struct http_reply r;
    size_t len;
    (void)state;
    assert_int_equal(http_reply_parse(text, sizeof text - 1, false, &r), 0);
    const char *v = http_reply_header(&r, "metadata-flavor", &len);
    assert_non_null(v);
    assert_int_equal(len, 6);
    assert_memory_equal(v, "Google", 6);
    assert_non_null(http_reply_header(&r, "Empty", &len));
    assert_int_equal(len, 0);
    assert_null(http_reply_header(&r, "Flavor", &len));
}

static void want_value(const char *text, const char *key, const char *want)
{
    char out[16];
    bool there = metadata_value(text, key, out, sizeof out);
    assert_int_equal(there, want != NULL);
    if (want)
        assert_string_equal(out, want);
}

static void test_values(void **state)
{
    (void)state;
    want_value("instance-id: i\nlocal-hostname: web.x # mine\n", "local-hostname", "web.x");
    want_value("local-hostname: \"a b\"\r\n", "local-hostname", "a b");
    want_value("local-hostname: 'q'\n", "local-hostname", "q");
    want_value("{\"x\": 1, \"hostname\": \"db.y\", \"name\": \"n\"}", "hostname", "db.y");
    want_value("{\"hostname\":\"db\"}", "hostname", "db");
    want_value("{hostname: db}", "hostname", "db");
    want_value("local-hostname: x\n", "hostname", NULL);
    want_value("{\"local-hostname\": \"x\", \"v\": \"hostname\"}", "hostname", NULL);
    want_value("hostname:\n", "hostname", NULL);
    want_value("hostname", "hostname", NULL);
    want_value("", "hostname", NULL);
    want_value("hostname: 0123456789012345678\n", "hostname", "012345678901234");
}

static void test_hostnames(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"web-7", "web-7"}, {"ip-10-0-0-1.ec2.internal\n", "ip-10-0-0-1"},
        {"-a", NULL},       {"a-", NULL},
        {"", NULL},         {"a b", NULL},
        {".x", NULL},       {"\x1b[2J", NULL},
        {"a_b", NULL},      {"x\r\ny", "x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[100];
        strcpy(name, cases[i].text);
        assert_int_equal(metadata_hostname(name), cases[i].want != NULL);
        if (cases[i].want)
            assert_string_equal(name, cases[i].want);
    }
    char name[100] = {0};
    memset(name, 'a', 64);
    assert_false(metadata_hostname(name));
}

static void test_variables(void **state)
{
    char text[] = "A=1\n# no\n\n  B_2= x y \r\n3C=no\nD\n=no\nE=";
    char *rest = text;
    unsigned bad = 0;
    (void)state;
    assert_string_equal(metadata_variable(&rest, &bad), "A=1");
    assert_string_equal(metadata_variable(&rest, &bad), "B_2= x y ");
    assert_string_equal(metadata_variable(&rest, &bad), "E=");
    assert_null(metadata_variable(&rest, &bad));
    assert_int_equal(bad, 3);
    assert_true(metadata_is_foreign("#cloud-config\n"));
    assert_true(metadata_is_foreign("#!/bin/sh\n"));
    assert_false(metadata_is_foreign("# mine\nA=1"));
}

static void test_base64(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {{"QT0x", "A=1"},     {"QQ==", "A"},      {"QUI=", "AB"},
                 {"QT\n0x\n", "A=1"}, {"", ""},           {"Q", NULL},
                 {"QT0x!", NULL},     {"QQ==QQ==", NULL}, {"+/+/", "\xfb\xff\xbf"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[20];
        strcpy(text, cases[i].text);
        ssize_t n = metadata_base64(text, strlen(text));
        assert_int_equal(n, cases[i].want ? (ssize_t)strlen(cases[i].want) : -1);
        if (cases[i].want)
            assert_string_equal(text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),    cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_wrong),     cmocka_unit_test(test_headers),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_hostnames),
        cmocka_unit_test(test_variables), cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
