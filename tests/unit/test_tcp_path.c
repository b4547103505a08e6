/* SPDX-License-Identifier: Apache-2.0 */
/* Segments as long as the path takes: net/path_mtu.c, net/tcp_error.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/path_mtu.h"
#include "net/tcp_state.h"
#include "net_rig.h"

#define PORT 80

static struct tcp_socket *listener, *ours;
static struct rig_segment peer;

static void open_from(uint32_t ip)
{
    static uint16_t port = 5000;
    peer =
        (struct rig_segment){.ip = ip, .port = port++, .own_port = PORT, .seq = 1000, .mss = 1460};
    assert_true(rig_open(&peer));
    ours = rig_accept(listener);
    assert_non_null(ours);
    rig_forget();
}

static void close_ours(void)
{
    peer.flags = TCP_RST;
    rig_send(&peer);
    rig_close(ours);
}

static void say(size_t n)
{
    static char text[20000];
    struct uio_vec vec;
    struct uio u;
    uio_init_kernel(&u, &vec, text, n);
    assert_int_equal(tcp_data_send(&ours->socket, &(struct message){.uio = &u}), n);
}

/* Acknowledges n bytes as they come; none is longer than `most`, and one is that long. */
static void take(unsigned n, unsigned most)
{
    struct rig_segment s;
    unsigned got = 0, longest = 0;
    for (unsigned i = 0; got < n && i < 1000; i++) {
        while (rig_sent(&s)) {
            unsigned piece = s.cut ? s.cut : s.len;
            if (s.seq != peer.ack)
                continue;
            assert_true(piece <= most);
            longest = MAX(longest, piece);
            got += s.len;
            peer.ack += s.len;
        }
        peer.flags = TCP_ACK;
        rig_send(&peer);
        if (got < n)
            rig_pass(RIG_STEP_MS);
    }
    assert_int_equal(got, n);
    assert_int_equal(longest, most);
}

/* What one connection has learnt the next to the same address knows, for ten minutes. */
static void the_next_knows(void **state)
{
    struct rig_segment s;
    bool cuts = *(bool *)*state;
    uint32_t far = cuts ? 0xc0000210u : 0xc0000220u;
    rig_start();
    rig_cuts(cuts);
    listener = rig_listen(PORT, 16);
    open_from(far);
    say(5000);
    assert_true(rig_sent(&s));
    assert_int_equal(s.cut ? s.cut : s.len, 1460);
    rig_forget();
    rig_too_long(&s, 1000);
    take(5000, 960);
    close_ours();
    open_from(far);
    say(1300); /* fits the card, not the path */
    take(1300, 960);
    say(9000);
    take(9000, 960);
    close_ours();
    open_from(far + 1);
    say(9000);
    take(9000, 1460);
    close_ours();
    rig_pass(601000);
    open_from(far);
    say(9000);
    take(9000, 1460);
    close_ours();
    rig_close(listener);
    rig_cuts(false);
}

/* Who has not seen our segments cannot say anything of the path. */
static void a_forger_does_not(void **state)
{
    struct rig_segment s;
    ip4_addr_t far = {lwip_htonl(0xc0000230u)};
    (void)state;
    rig_start();
    listener = rig_listen(PORT, 16);
    open_from(0xc0000230u);
    say(5000);
    assert_true(rig_sent(&s));
    s.seq += 1000000;
    rig_too_long(&s, 1000);
    assert_int_equal(path_mtu_of(&far, 1500), 1500);
    s.seq -= 1000000;
    rig_too_long(&s, 68); /* less than anybody's link has */
    assert_int_equal(path_mtu_of(&far, 1500), 552);
    close_ours();
    rig_close(listener);
}

/* The smallest counts; another address in the same place pushes one out. */
static void the_table(void **state)
{
    ip4_addr_t a = {lwip_htonl(0xc0000240u)};
    (void)state;
    rig_start();
    path_mtu_learn(&a, 1400);
    path_mtu_learn(&a, 1300);
    path_mtu_learn(&a, 1350);
    assert_int_equal(path_mtu_of(&a, 1500), 1300);
    assert_int_equal(path_mtu_of(&a, 1200), 1200);
    unsigned known = 0;
    for (uint32_t i = 0; i < 10000; i++)
        path_mtu_learn(&(ip4_addr_t){0x01000000u + i}, 1000);
    for (uint32_t i = 0; i < 10000; i++)
        known += path_mtu_of(&(ip4_addr_t){0x01000000u + i}, 1500) == 1000;
    assert_in_range(known, 100, 256);
}

int main(void)
{
    static bool yes = true, no = false;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(the_next_knows, &no),
        cmocka_unit_test_prestate(the_next_knows, &yes),
        cmocka_unit_test(a_forger_does_not),
        cmocka_unit_test(the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
