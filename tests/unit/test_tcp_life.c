/* SPDX-License-Identifier: Apache-2.0 */
/* How long connections wait for an other end that says nothing: Linux' times (tcp(7)). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/tcp_state.h"
#include "net/tcp_table.h"
#include "net_rig.h"
#include "sched/clock.h"

#define PORT 80

static struct rig_segment peer;

static struct tcp_socket *start(void)
{
    rig_start();
    peer = (struct rig_segment){.ip = 0xc0000207u, .port = 4000, .own_port = PORT, .seq = 1000};
    return rig_listen(PORT, 16);
}

static uint64_t ms_since(uint64_t begin, uint64_t now)
{
    return (now - begin) / (NSEC_PER_SEC / 1000);
}

/* SYN|ACK comes again after 1, 3, 7, 15 and 31 s; after 63 s there is no connection any more. */
static void half_open(void **state)
{
    static const uint64_t again[] = {0, 1000, 3000, 7000, 15000, 31000};
    struct tcp_socket *listener = start();
    struct rig_segment s;
    uint64_t begin = clock_now();
    (void)state;
    peer.flags = TCP_SYN;
    rig_send(&peer);
    rig_pass(61000);
    assert_true(tcp_table_any());
    for (unsigned i = 0; i < 6; i++) {
        assert_true(rig_sent(&s));
        assert_int_equal(s.flags, TCP_SYN | TCP_ACK);
        assert_in_range(ms_since(begin, s.at), again[i], again[i] + 200);
    }
    rig_pass(3000);
    assert_false(tcp_table_any());
    assert_false(rig_sent(&s));
    peer.flags = TCP_ACK; /* too late */
    peer.seq++;
    peer.ack = s.seq + 1;
    rig_send(&peer);
    assert_true(rig_sent(&s) && s.flags & TCP_RST);
    rig_close(listener);
}

/* An answer after 31 s is in time, though the SYN came again meanwhile. */
static void half_open_answered_late(void **state)
{
    struct tcp_socket *listener = start();
    struct rig_segment s;
    (void)state;
    peer.flags = TCP_SYN;
    rig_send(&peer);
    assert_true(rig_sent(&s));
    uint32_t own = s.seq;
    for (unsigned i = 0; i < 5; i++) {
        rig_pass(7000);
        rig_send(&peer);
    }
    rig_pass(20000);
    peer.flags = TCP_ACK;
    peer.seq++;
    peer.ack = own + 1;
    rig_send(&peer);
    struct tcp_socket *t = rig_accept(listener);
    assert_non_null(t);
    peer.flags = TCP_RST;
    rig_send(&peer);
    rig_close(t);
    rig_close(listener);
}

/* Half-open connections end with their listener, and silently. */
static void half_open_orphan(void **state)
{
    struct tcp_socket *listener = start();
    struct rig_segment s;
    (void)state;
    peer.flags = TCP_SYN;
    rig_send(&peer);
    rig_forget();
    rig_close(listener);
    assert_false(tcp_table_any());
    assert_false(rig_sent(&s));
}

/* Closes our end, which the other acknowledges. */
static struct tcp_socket *fin_wait_2(int linger2)
{
    struct tcp_socket *listener = start();
    struct rig_segment s;
    assert_true(rig_open(&peer));
    struct tcp_socket *t = rig_accept(listener);
    assert_non_null(t);
    t->number[TCP_N_LINGER2] = linger2;
    rig_forget();
    rig_close(t);
    assert_true(rig_sent(&s) && s.flags & TCP_FIN);
    peer.ack++;
    peer.flags = TCP_ACK;
    rig_send(&peer);
    return listener;
}

static void lasts(int linger2, unsigned at_least, unsigned at_most)
{
    struct tcp_socket *listener = fin_wait_2(linger2);
    struct rig_segment s;
    rig_pass(at_least / 2);
    peer.flags = TCP_ACK; /* says nothing new, and does not make it longer */
    rig_send(&peer);
    rig_pass(at_least - at_least / 2);
    assert_true(!at_least || tcp_table_any());
    rig_pass(at_most - at_least);
    assert_false(tcp_table_any());
    rig_forget();
    peer.flags = TCP_ACK | TCP_FIN;
    rig_send(&peer);
    assert_true(rig_sent(&s) && s.flags & TCP_RST);
    rig_close(listener);
}

static void closed_for_a_minute(void **state)
{
    (void)state;
    lasts(60, 59000, 61500);
    lasts(0, 59000, 61500);
}

static void closed_for_linger2(void **state)
{
    (void)state;
    lasts(5, 4000, 6500);
    lasts(100000, 119000, 121500);
    lasts(-1, 0, 1500);
}

/* Data for who has closed is answered with a reset, at any time of that minute. */
static void closed_gets_data(void **state)
{
    struct tcp_socket *listener = fin_wait_2(60);
    struct rig_segment s;
    (void)state;
    rig_pass(30000);
    rig_forget();
    peer.flags = TCP_ACK | TCP_PSH;
    peer.data = "late";
    peer.len = 4;
    rig_send(&peer);
    assert_true(rig_sent(&s) && s.flags & TCP_RST);
    assert_false(tcp_table_any());
    rig_close(listener);
}

/* The other end closes in time: TIME_WAIT, a minute again. */
static void closed_by_both(void **state)
{
    struct tcp_socket *listener = fin_wait_2(60);
    struct rig_segment s;
    (void)state;
    rig_pass(50000);
    rig_forget();
    peer.flags = TCP_ACK | TCP_FIN;
    rig_send(&peer);
    assert_true(rig_sent(&s));
    assert_int_equal(s.flags, TCP_ACK);
    rig_pass(58000);
    assert_true(tcp_table_any());
    rig_pass(4000);
    assert_false(tcp_table_any());
    rig_close(listener);
}

/* Who only said that it will send no more waits for ever. */
static void shut_is_not_closed(void **state)
{
    struct tcp_socket *listener = start();
    (void)state;
    assert_true(rig_open(&peer));
    struct tcp_socket *t = rig_accept(listener);
    assert_int_equal(t->socket.ops->shutdown(&t->socket, 1), 0);
    peer.ack++;
    peer.flags = TCP_ACK;
    rig_send(&peer);
    rig_pass(300000);
    assert_int_equal(t->phase, OPEN);
    peer.flags = TCP_ACK | TCP_PSH;
    peer.data = "late";
    peer.len = 4;
    rig_send(&peer);
    assert_int_equal(t->in_bytes, 4);
    rig_close(t); /* with data unread: a reset */
    rig_close(listener);
    assert_false(tcp_table_any());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_open),          cmocka_unit_test(half_open_answered_late),
        cmocka_unit_test(half_open_orphan),   cmocka_unit_test(closed_for_a_minute),
        cmocka_unit_test(closed_for_linger2), cmocka_unit_test(closed_gets_data),
        cmocka_unit_test(closed_by_both),     cmocka_unit_test(shut_is_not_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
