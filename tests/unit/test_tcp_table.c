/* SPDX-License-Identifier: Apache-2.0 */
/* Connections by the ten thousand: each is found, none costs more for the others (net/tcp_table.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lwip/priv/tcp_priv.h"
#include "net/inet.h"
#include "net/tcp_state.h"
#include "net/tcp_table.h"
#include "net_rig.h"

#define MANY    12000u
#define PORT    80
#define BUCKETS 4096u /* of the table */

static struct tcp_socket *listener, *ours[MANY];
static struct rig_segment peer[MANY];

/* Another address for most, many ports of some: what a hash may do badly. */
static void peer_make(unsigned i)
{
    peer[i] = (struct rig_segment){.ip = i % 3 ? 0xc0000000u + i * 256 : 0xc6336401u,
                                   .port = (uint16_t)(1024 + i),
                                   .own_port = PORT,
                                   .seq = i * 7919u};
}

static void open_all(unsigned n)
{
    rig_start();
    listener = rig_listen(PORT, 128);
    for (unsigned i = 0; i < n; i++) {
        peer_make(i);
        assert_true(rig_open(&peer[i]));
        ours[i] = rig_accept(listener);
        assert_non_null(ours[i]);
        assert_int_equal(ours[i]->peer_port, peer[i].port);
    }
}

static void close_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!ours[i])
            continue;
        peer[i].flags = TCP_RST;
        rig_send(&peer[i]);
        rig_close(ours[i]);
        ours[i] = NULL;
    }
    rig_close(listener);
    assert_false(tcp_table_any());
}

static void say(unsigned i)
{
    uint8_t text[4] = {(uint8_t)i, (uint8_t)(i >> 8), 'x', 'y'};
    struct rig_segment s = peer[i];
    s.flags = TCP_ACK | TCP_PSH;
    s.data = text;
    s.len = sizeof text;
    rig_send(&s);
    peer[i].seq += s.len;
}

static void count_one(const struct tcp_pcb *pcb, void *arg)
{
    (void)pcb;
    ++*(unsigned *)arg;
}

static unsigned count(void)
{
    unsigned n = 0;
    tcp_table_each(count_one, &n);
    return n;
}

/* Each segment comes to its connection and to no other, with thousands in the same buckets. */
static void each_is_found(void **state)
{
    (void)state;
    open_all(MANY);
    assert_int_equal(count(), MANY);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < MANY; i++)
            say(i * 7 % MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(ours[i]->in_bytes, 8);
        const uint8_t *text = ours[i]->in_first->payload;
        assert_int_equal(text[0] | text[1] << 8, i & 0xffff);
    }
    close_all(MANY);
}

/* What goes leaves its neighbours where they are, and its ports can be used again. */
static void the_others_stay(void **state)
{
    struct rig_segment s;
    (void)state;
    open_all(MANY);
    for (unsigned i = 0; i < MANY; i += 2) {
        peer[i].flags = TCP_RST;
        rig_send(&peer[i]);
        assert_int_equal(ours[i]->phase, GONE);
        rig_close(ours[i]);
        ours[i] = NULL;
    }
    assert_int_equal(count(), MANY / 2);
    for (unsigned i = 1; i < MANY; i += 2) {
        say(i);
        assert_int_equal(ours[i]->in_bytes, 4);
    }
    rig_forget();
    for (unsigned i = 0; i < MANY; i += 2000) { /* gone: a segment of theirs is a stranger's */
        say(i);
        assert_true(rig_sent(&s) && s.flags & TCP_RST && s.port == peer[i].port);
        peer_make(i);
        assert_true(rig_open(&peer[i]));
        ours[i] = rig_accept(listener);
        assert_non_null(ours[i]);
    }
    close_all(MANY);
}

/* Connections that lwIP walks over when one of them gets a segment: the work that could grow. */
static double walk(unsigned n, unsigned *longest)
{
    uint64_t sum = 0;
    *longest = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned length = 0;
        tcp_table_enter(ours[i]->pcb);
        for (const struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
            length++;
        tcp_table_leave();
        sum += length;
        *longest = MAX(*longest, length);
    }
    return (double)sum / n;
}

/* As a fair hash has it: 1 + n / BUCKETS; nothing outside a call stands in lwIP's lists. */
static void the_way_stays_short(void **state)
{
    unsigned longest;
    (void)state;
    open_all(MANY);
    assert_null(tcp_active_pcbs);
    double mean = walk(MANY, &longest);
    assert_true(mean > 1 && mean < (1 + (double)MANY / BUCKETS) * 1.1);
    assert_true(longest <= 20);
    close_all(MANY);
    open_all(10);
    assert_true(walk(10, &longest) < 1.5);
    close_all(10);
}

/* Idle connections want no tick; one that waits for an acknowledgement does, and alone. */
static void idle_ones_cost_no_tick(void **state)
{
    struct rig_segment s;
    char text[] = "data";
    struct uio_vec vec;
    struct uio u;
    (void)state;
    open_all(1000);
    rig_pass(2000);
    assert_false(tcp_table_busy());
    uio_init_kernel(&u, &vec, text, 4);
    rig_forget();
    assert_int_equal(tcp_data_send(&ours[77]->socket, &(struct message){.uio = &u}), 4);
    assert_true(tcp_table_busy());
    rig_pass(1500); /* no answer: it comes again */
    unsigned times = 0;
    while (rig_sent(&s)) {
        assert_int_equal(s.port, peer[77].port);
        assert_int_equal(s.len, 4);
        times++;
    }
    assert_true(times >= 2 && times <= 4);
    peer[77].ack += 4;
    peer[77].flags = TCP_ACK;
    rig_send(&peer[77]);
    rig_pass(200);
    assert_false(tcp_table_busy());
    close_all(1000);
}

/* Ports of one's own: all different, until there are no more. */
static void ports_run_out(void **state)
{
    enum { PORTS = 28232 }; /* 32768 to 60999 */
    static struct inet_bind bind[PORTS + 1];
    static bool seen[65536];
    ip_addr_t any = *IP4_ADDR_ANY;
    (void)state;
    rig_start();
    for (unsigned i = 0; i < PORTS; i++) {
        assert_int_equal(inet_bind_take(&bind[i], IPPROTO_TCP, &any, 0), 0);
        assert_true(bind[i].port >= 32768 && bind[i].port < 61000 && !seen[bind[i].port]);
        seen[bind[i].port] = true;
        if (i == PORTS / 8) /* the rest by hand: choosing the last ones at random takes its time */
            for (unsigned port = 32768; port < 61000 - 4; port++)
                if (!seen[port]) {
                    assert_int_equal(inet_bind_take(&bind[++i], IPPROTO_TCP, &any, (u16_t)port), 0);
                    seen[port] = true;
                }
    }
    assert_int_equal(inet_bind_take(&bind[PORTS], IPPROTO_TCP, &any, 0), -EADDRINUSE);
    assert_int_equal(inet_bind_take(&bind[PORTS], IPPROTO_UDP, &any, 0), 0);
    inet_bind_release(&bind[PORTS]);
    u16_t freed = bind[1234].port;
    inet_bind_release(&bind[1234]);
    assert_int_equal(inet_bind_take(&bind[1234], IPPROTO_TCP, &any, 0), 0);
    assert_int_equal(bind[1234].port, freed);
    for (unsigned i = 0; i < PORTS; i++)
        inet_bind_release(&bind[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found),       cmocka_unit_test(the_others_stay),
        cmocka_unit_test(the_way_stays_short), cmocka_unit_test(idle_ones_cost_no_tick),
        cmocka_unit_test(ports_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
