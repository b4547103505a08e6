/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console with named ports, and virtio-rng, against fake devices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_console.h>

#include "dev/stream.h"
#include "dev/virtio/console_port.h"
#include "fake_virtio.h"

extern int fake_mem_fail_after;
extern void (*fake_block)(void);
extern uint64_t fake_clock;
extern unsigned fake_random_bits;

#define FEATURES                                                                                   \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX |                                \
     1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define PORT    1
#define RX      (2 * PORT + 2)
#define TX      (2 * PORT + 3)
#define CTRL_RX 2
#define CTRL_TX 3

static struct fake_virtio *dev;
static struct fake_virtio *all[64];
static unsigned device_number;
static char port_name[16];
static struct stream *port;

/* A control message to the guest; false if it gave no buffer. */
static bool control(uint32_t id, uint16_t event, uint16_t value, const char *text)
{
    struct fake_chain c;
    struct virtio_console_control m = {.id = id, .event = event, .value = value};
    if (!fake_queue_next(&dev->queue[CTRL_RX], &c))
        return false;
    memcpy(c.seg[0].data, &m, sizeof m);
    memcpy(c.seg[0].data + sizeof m, text, strlen(text));
    fake_queue_use(&dev->queue[CTRL_RX], c.head, (uint32_t)(sizeof m + strlen(text)));
    fake_queue_interrupt(&dev->queue[CTRL_RX]);
    return true;
}

/* The guest's next control message. */
static bool controlled(struct virtio_console_control *m)
{
    struct fake_chain c;
    if (!fake_queue_next(&dev->queue[CTRL_TX], &c))
        return false;
    assert_int_equal(c.seg[0].len, sizeof *m);
    memcpy(m, c.seg[0].data, sizeof *m);
    fake_queue_use(&dev->queue[CTRL_TX], c.head, 0);
    fake_queue_interrupt(&dev->queue[CTRL_TX]);
    return true;
}

static void expect_control(uint32_t id, uint16_t event, uint16_t value)
{
    struct virtio_console_control m;
    assert_true(controlled(&m));
    assert_int_equal(m.id, id);
    assert_int_equal(m.event, event);
    assert_int_equal(m.value, value);
}

static int console_start(uint64_t features)
{
    dev = all[device_number] = calloc(1, sizeof *dev); /* streams are for ever: so is this */
    fake_virtio_init(dev, VIRTIO_ID_CONSOLE, features, 128);
    struct virtio_console_config cfg = {.max_nr_ports = 3};
    memcpy(dev->config, &cfg, sizeof cfg);
    snprintf(port_name, sizeof port_name, "port%u", ++device_number);
    fake_block = NULL;
    return virtio_device_add(&dev->vdev);
}

/* A console with one open port. */
static void port_start(void)
{
    assert_int_equal(console_start(FEATURES), 0);
    expect_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_ADD, 1, ""));
    expect_control(PORT, VIRTIO_CONSOLE_PORT_READY, 1);
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_NAME, 1, port_name));
    expect_control(PORT, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_OPEN, 1, ""));
    port = stream_find(port_name);
    assert_non_null(port);
}

/* What the guest has sent, up to `pieces` buffers; the length. */
static size_t consume(uint8_t *out, unsigned pieces)
{
    struct fake_chain c;
    size_t n = 0;
    while (pieces-- && fake_queue_next(&dev->queue[TX], &c)) {
        for (unsigned i = 0; i < c.out; i++) {
            memcpy(out + n, c.seg[i].data, c.seg[i].len);
            n += c.seg[i].len;
        }
        fake_queue_use(&dev->queue[TX], c.head, 0);
    }
    return n;
}

static void send_text(const char *text)
{
    struct fake_chain c;
    assert_true(fake_queue_next(&dev->queue[RX], &c));
    memcpy(c.seg[0].data, text, strlen(text));
    fake_queue_use(&dev->queue[RX], c.head, (uint32_t)strlen(text));
}

static unsigned woken;

static void wake(struct waiter *w, uint32_t events)
{
    (void)w;
    (void)events;
    woken++;
}

static void waiter_on(struct waiter *w, struct waitq *q)
{
    waiter_init(w);
    w->wake = wake;
    waitq_add(q, w);
    woken = 0;
}

static void test_announce(void **state)
{
    (void)state;
    port_start();
    assert_string_equal(port->name, port_name);
    assert_null(stream_find("nobody"));
    assert_true(stream_expected());
}

static void test_wait(void **state)
{
    (void)state;
    fake_clock = 1000;
    assert_null(stream_wait("nobody", 5000));
    assert_int_equal(fake_clock, 5000);
    port_start();
    assert_ptr_equal(stream_wait(port_name, 0), port);
}

static void test_no_multiport(void **state)
{
    (void)state;
    assert_int_equal(console_start(FEATURES & ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT)), -ENOTSUP);
}

static void test_strange_messages(void **state)
{
    (void)state;
    struct virtio_console_control m;
    port_start();
    assert_true(control(99, VIRTIO_CONSOLE_PORT_ADD, 1, ""));
    assert_true(control(0xffffffff, VIRTIO_CONSOLE_PORT_NAME, 1, "x"));
    assert_true(control(2, VIRTIO_CONSOLE_PORT_NAME, 1, "not added"));
    assert_true(control(2, VIRTIO_CONSOLE_PORT_OPEN, 0, ""));
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_ADD, 1, ""));
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_NAME, 1, "again"));
    assert_true(control(PORT, 1234, 1, ""));
    struct fake_chain c; /* shorter than a message */
    fake_queue_next(&dev->queue[CTRL_RX], &c);
    fake_queue_use(&dev->queue[CTRL_RX], c.head, 3);
    fake_queue_interrupt(&dev->queue[CTRL_RX]);
    assert_false(controlled(&m));
    assert_null(stream_find("again"));
    assert_false(dev->vdev.broken);
}

/* A buffer comes back after every message: they never run out. */
static void test_many_messages(void **state)
{
    (void)state;
    port_start();
    for (unsigned i = 0; i < 5000; i++)
        assert_true(control(PORT, VIRTIO_CONSOLE_RESIZE, 0, ""));
}

static void test_long_name(void **state)
{
    (void)state;
    console_start(FEATURES);
    control(PORT, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    control(PORT, VIRTIO_CONSOLE_PORT_NAME, 1, "a-name-longer-than-any-port-should-ever-have-one");
    assert_non_null(stream_find("a-name-longer-than-any-port-sho"));
}

static void test_add_no_memory(void **state)
{
    (void)state;
    console_start(FEATURES);
    expect_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    fake_mem_fail_after = 1;
    control(PORT, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    fake_mem_fail_after = -1;
    expect_control(PORT, VIRTIO_CONSOLE_PORT_READY, 0);
}

static void test_write(void **state)
{
    (void)state;
    uint8_t got[64];
    port_start();
    unsigned kicks = dev->queue[TX].kicks;
    assert_int_equal(port->ops->write(port, "hello ", 6), 6);
    assert_int_equal(dev->queue[TX].kicks, kicks + 1);
    assert_int_equal(port->ops->write(port, "world\n", 6), 6);
    assert_int_equal(consume(got, 9), 12);
    assert_memory_equal(got, "hello world\n", 12);
    assert_false(fake_queue_interrupt(&dev->queue[TX])); /* nobody waits: no interrupt */
}

/* While pieces are in flight, small writes gather and leave as one. */
static void test_write_gathers(void **state)
{
    (void)state;
    uint8_t got[256];
    port_start();
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(port->ops->write(port, "x", 1), 1);
    assert_int_equal(consume(got, 99), PORT_TX_PIECES);
    assert_true(fake_queue_interrupt(&dev->queue[TX])); /* there is more to send */
    assert_int_equal(consume(got, 1), 100 - PORT_TX_PIECES);
}

static void test_flow_control(void **state)
{
    (void)state;
    static uint8_t sent[100000], got[100000];
    struct waiter w;
    size_t out = 0, in = 0;
    port_start();
    for (unsigned i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    while (out < sizeof sent) {
        size_t n = port->ops->write(port, sent + out, sizeof sent - out);
        out += n;
        if (n)
            continue;
        assert_false(port->ops->can_write(port));
        waiter_on(&w, &port->writable);
        in += consume(got + in, 1);
        assert_true(fake_queue_interrupt(&dev->queue[TX]));
        assert_int_equal(woken, 1);
        assert_true(port->ops->can_write(port));
        waitq_remove(&w);
    }
    for (size_t n = 1; n;) {
        n = consume(got + in, 9);
        in += n;
        fake_queue_interrupt(&dev->queue[TX]);
    }
    assert_int_equal(in, sizeof got);
    assert_memory_equal(got, sent, sizeof sent);
}

static void test_drain(void **state)
{
    (void)state;
    port_start();
    port->ops->drain(port); /* nothing to wait for */
    port->ops->write(port, "12345", 5);
    struct fake_chain c;
    fake_queue_next(&dev->queue[TX], &c);
    fake_queue_use(&dev->queue[TX], c.head, 0);
    port->ops->drain(port); /* it has left, though no interrupt said so */
}

static void test_read(void **state)
{
    (void)state;
    char buf[16];
    struct waiter w;
    port_start();
    assert_false(port->ops->can_read(port));
    assert_int_equal(port->ops->read(port, buf, sizeof buf), 0);
    waiter_on(&w, &port->readable);
    send_text("abcdef");
    assert_true(fake_queue_interrupt(&dev->queue[RX]));
    assert_int_equal(woken, 1);
    waitq_remove(&w);
    send_text("");
    send_text("ghi");
    assert_true(port->ops->can_read(port));
    assert_int_equal(port->ops->read(port, buf, 4), 4);
    assert_memory_equal(buf, "abcd", 4);
    assert_int_equal(port->ops->read(port, buf, sizeof buf), 5);
    assert_memory_equal(buf, "efghi", 5);
    for (unsigned i = 0; i < 1000; i++) { /* buffers go round */
        send_text("zz");
        fake_queue_interrupt(&dev->queue[RX]);
        assert_int_equal(port->ops->read(port, buf, sizeof buf), 2);
    }
}

/* The last bytes and the end of file arrive together. */
static void test_eof(void **state)
{
    (void)state;
    char buf[16];
    struct waiter w;
    port_start();
    waiter_on(&w, &port->readable);
    send_text("tail");
    assert_true(control(PORT, VIRTIO_CONSOLE_PORT_OPEN, 0, ""));
    assert_true(woken > 0);
    assert_true(port->eof);
    assert_true(port->ops->can_read(port));
    assert_int_equal(port->ops->read(port, buf, sizeof buf), 4);
    assert_int_equal(port->ops->read(port, buf, sizeof buf), 0);
    waitq_remove(&w);
}

/* A host that goes takes a piece with it, which is never given back; others come, and go. */
static void test_lost_pieces(void **state)
{
    (void)state;
    uint8_t got[64];
    struct fake_chain c;
    port_start();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(port->ops->write(port, "lost", 4), 4);
        assert_true(fake_queue_next(&dev->queue[TX], &c));
        assert_true(control(PORT, VIRTIO_CONSOLE_PORT_OPEN, 0, ""));
        assert_true(control(PORT, VIRTIO_CONSOLE_PORT_OPEN, 1, ""));
        assert_int_equal(port->ops->write(port, "kept!", 5), 5);
        assert_int_equal(consume(got, 1), 5);
        assert_memory_equal(got, "kept!", 5);
    }
    port->ops->drain(port);
    assert_int_equal(port->ops->write(port, "x", 1), 1);
    assert_int_equal(consume(got, 9), 1);
}

static void test_hostile(void **state)
{
    (void)state;
    char buf[16];
    struct waiter w;
    port_start();
    waiter_on(&w, &port->readable);
    fake_queue_use(&dev->queue[RX], 55, 5);
    fake_queue_interrupt(&dev->queue[RX]);
    assert_true(dev->vdev.broken);
    assert_true(woken > 0);
    assert_true(port->eof);
    assert_int_equal(port->ops->read(port, buf, sizeof buf), 0);
    assert_int_equal(port->ops->write(port, "lost", 4), 4);
    assert_true(port->ops->can_write(port));
    port->ops->drain(port);
    waitq_remove(&w);
}

static void test_flood(void **state)
{
    (void)state;
    port_start();
    struct fake_queue *q = &dev->queue[CTRL_TX];
    fake_queue_use(q, 3, 0); /* an id never sent */
    control(2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    assert_true(q->vq->broken);
}

/* ---- virtio-rng ---- */

static void test_rng_silent(void **state)
{
    (void)state;
    dev = calloc(1, sizeof *dev);
    fake_virtio_init(dev, VIRTIO_ID_RNG, 1ull << VIRTIO_F_VERSION_1, 8);
    fake_random_bits = 256; /* seeded already: the boot does not wait */
    assert_int_equal(virtio_device_add(&dev->vdev), 0);
    struct fake_chain c;
    assert_true(fake_queue_next(&dev->queue[0], &c));
    assert_int_equal(c.out, 0);
    assert_int_equal(c.in, 1);
    fake_queue_use(&dev->queue[0], c.head, c.seg[0].len);
    fake_queue_interrupt(&dev->queue[0]);
    assert_int_equal(fake_random_bits, 256 + 8 * c.seg[0].len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announce),      cmocka_unit_test(test_wait),
        cmocka_unit_test(test_no_multiport),  cmocka_unit_test(test_strange_messages),
        cmocka_unit_test(test_many_messages), cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_add_no_memory), cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_gathers), cmocka_unit_test(test_flow_control),
        cmocka_unit_test(test_drain),         cmocka_unit_test(test_read),
        cmocka_unit_test(test_eof),           cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_flood),         cmocka_unit_test(test_lost_pieces),
        cmocka_unit_test(test_rng_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
