/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of Intel's cards against registers in memory and a card that the tests play. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/layout.h"
#include "dev/e1000.h"
#include "dev/e1000_regs.h"
#include "dev/netdev.h"
#include "fake_pci.h"

#define RING    256
#define MESSAGE CAUSE_RXQ0

extern size_t fake_mem_pages;
extern int fake_mem_fail_after;

static _Alignas(64) char bar[E1000_MAPPED];
static uint32_t enabled;  /* causes */
static bool stuck;        /* a reset does not end */
static unsigned received; /* descriptors that the card has filled */
static unsigned wakes;
static struct netdev *card;

static uint32_t *reg(unsigned offset)
{
    return (uint32_t *)(void *)(bar + offset);
}

bool fake_mmio_write(volatile void *p, uint32_t v); /* the fake io.h asks it */
bool fake_mmio_write(volatile void *p, uint32_t v)
{
    uintptr_t offset = (uintptr_t)p - (uintptr_t)bar;
    switch (offset) {
    case E1000_CTRL:
        *reg(E1000_CTRL) = stuck ? v : v & ~CTRL_RST;
        return true;
    case E1000_IMC:
        enabled &= ~v;
        return true;
    case E1000_IMS:
        enabled |= v;
        return true;
    }
    return false;
}

static void wake(struct netdev *d)
{
    (void)d;
    wakes++;
}

static int last(struct netdev *d, void *arg)
{
    (void)arg;
    card = d;
    return 0;
}

/* A card with messages or a pin; false: no netdev came of it. */
static bool start(uint16_t device, unsigned messages)
{
    struct netdev *before;
    netdev_for_each(last, NULL);
    before = card;
    memset(bar, 0, sizeof bar);
    *reg(E1000_RAL) = 0x12005452;
    *reg(E1000_RAH) = RAH_AV | 0x5634;
    *reg(E1000_STATUS) = STATUS_LU;
    fake_pci_reset();
    fake_bar = bar;
    fake_bar_size = sizeof bar;
    fake_msix_count = messages;
    enabled = received = wakes = 0;
    struct pci_device pci = {.vendor = 0x8086, .device = device};
    assert_true(e1000_probe(&pci));
    netdev_for_each(last, NULL);
    if (card == before)
        return false;
    card->wake = wake;
    return true;
}

static struct e1000_rx *rx_ring(void)
{
    return phys_to_virt(*reg(E1000_RDBAL) | (uint64_t)*reg(E1000_RDBAH) << 32);
}

static struct e1000_tx *tx_ring(void)
{
    return phys_to_virt(*reg(E1000_TDBAL) | (uint64_t)*reg(E1000_TDBAH) << 32);
}

/* The card fills the next descriptor. */
static void arrive(uint16_t length, uint8_t status, uint8_t errors)
{
    struct e1000_rx *r = &rx_ring()[received++ % RING];
    memset(phys_to_virt(r->address), (int)received, length <= 2048 ? length : 2048);
    r->length = length;
    r->errors = errors;
    r->status = status;
}

static void test_probe(void **state)
{
    static const uint8_t mac[] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    struct pci_device other = {.vendor = 0x8086, .device = 0x1234};
    (void)state;
    assert_false(e1000_probe(&other));
    assert_true(start(0x10d3, 5));
    assert_memory_equal(card->mac, mac, 6);
    assert_int_equal(card->mtu, 1500);
    assert_true(card->link);
    assert_int_equal(*reg(E1000_IVAR), IVAR_ALL_TO_0);
    assert_true(*reg(E1000_RCTL) & RCTL_EN);
    assert_int_equal(*reg(E1000_RDLEN), RING * sizeof(struct e1000_rx));
    assert_int_equal(enabled, 0); /* nobody listens yet */
    assert_true(start(0x100e, 0));
    assert_int_equal(*reg(E1000_IVAR), 0);
}

static void test_cards_that_fail(void **state)
{
    (void)state;
    stuck = true;
    assert_false(start(0x100e, 0));
    stuck = false;
    for (int i = 0; i < 4; i++) {
        size_t pages = fake_mem_pages;
        fake_mem_fail_after = i;
        assert_false(start(0x100e, 0));
        assert_int_equal(fake_mem_pages, pages);
    }
    fake_mem_fail_after = -1;
}

static void test_receive(void **state)
{
    (void)state;
    assert_true(start(0x10d3, 5));
    assert_false(card->ops->listen(card));
    assert_int_equal(*reg(E1000_RDT), 255);
    assert_true(enabled & MESSAGE);
    assert_null(card->ops->receive(card));
    arrive(60, RX_DD | RX_EOP, 0);
    arrive(1514, RX_DD | RX_EOP | RX_TCPCS, 0);
    arrive(100, RX_DD | RX_EOP | RX_TCPCS, RX_TCPE);
    arrive(100, RX_DD | RX_EOP | RX_TCPCS | RX_IXSM, 0);
    static const struct {
        uint32_t len;
        bool checked;
    } want[] = {{60, false}, {1514, true}, {100, false}, {100, false}};
    for (unsigned i = 0; i < 4; i++) {
        struct net_buffer *b = card->ops->receive(card);
        assert_non_null(b);
        assert_int_equal(b->len, want[i].len);
        assert_int_equal(b->checked, want[i].checked);
        assert_int_equal(b->data[b->len - 1], i + 1);
        assert_null(b->next);
        card->ops->release(card, b);
    }
    assert_null(card->ops->receive(card));
    assert_int_equal(card->received, 4);
    assert_false(card->ops->listen(card));
    assert_int_equal(*reg(E1000_RDT), 3);
    arrive(60, RX_DD | RX_EOP, 0);
    assert_true(card->ops->listen(card));
}

/* More than a ring of them, and what no frame is: no page is lost. */
static void test_bad_frames(void **state)
{
    static const struct {
        uint16_t length;
        uint8_t status, errors;
    } bad[] = {{60, RX_DD, 0},          {60, RX_DD | RX_EOP, 1},
               {13, RX_DD | RX_EOP, 0}, {2049, RX_DD | RX_EOP, 0},
               {0, RX_DD | RX_EOP, 0},  {65535, RX_DD | RX_EOP, 0x80}};
    (void)state;
    assert_true(start(0x100e, 0));
    card->ops->listen(card);
    size_t pages = fake_mem_pages;
    for (unsigned i = 0; i < 600; i++) {
        arrive(bad[i % 6].length, bad[i % 6].status, bad[i % 6].errors);
        assert_null(card->ops->receive(card));
        card->ops->listen(card);
    }
    assert_int_equal(card->dropped, 600);
    assert_int_equal(fake_mem_pages, pages);
}

static void test_memory_is_out(void **state)
{
    (void)state;
    assert_true(start(0x100e, 0));
    fake_mem_fail_after = 0;
    assert_false(card->ops->listen(card));
    assert_int_equal(*reg(E1000_RDT), 0);
    fake_mem_fail_after = -1;
    assert_false(card->ops->listen(card));
    assert_int_equal(*reg(E1000_RDT), 255);
}

static int send(const char *head, unsigned head_bytes, unsigned body_bytes,
                const struct net_offload *o, void *token)
{
    static const char body[4096];
    struct net_piece piece[] = {{head, head_bytes}, {body, body_bytes}};
    return card->ops->send(card, piece, body_bytes ? 2 : 1, o, token);
}

/* Every frame up to the tail is out. */
static void complete(unsigned from, unsigned to)
{
    for (; from != to; from = (from + 1) % RING)
        if (tx_ring()[from].command & TX_RS)
            tx_ring()[from].status |= TX_DD;
}

static void test_send(void **state)
{
    static const char head[64];
    const struct net_offload plain = {0}, sum = {.checksum_start = 34, .checksum_offset = 16};
    int token[3];
    (void)state;
    assert_true(start(0x100e, 0));
    const struct e1000_tx *t = tx_ring();
    assert_int_equal(send(head, 60, 0, &plain, &token[0]), 0);
    assert_int_equal(*reg(E1000_TDT), 0); /* not before flush */
    assert_int_equal(t[0].command, TX_TYPE_DATA | TX_DEXT | TX_IFCS | TX_EOP | TX_RS | 60);
    assert_int_equal(t[0].status, 0);
    for (int i = 1; i < 3; i++)
        assert_int_equal(send(head, 54, 1000, &sum, &token[i]), 0);
    card->ops->flush(card);
    assert_int_equal(*reg(E1000_TDT), 6); /* one context serves both */
    assert_int_equal(t[1].command, TX_DEXT | TX_TCP);
    assert_int_equal(t[1].address, 34ull << 32 | 50ull << 40);
    assert_int_equal(t[2].command, TX_TYPE_DATA | TX_DEXT | TX_IFCS | 54);
    assert_int_equal(t[2].status, TX_TXSM);
    assert_int_equal(t[3].command, TX_TYPE_DATA | TX_DEXT | TX_IFCS | TX_EOP | TX_RS | 1000);
    assert_null(card->ops->sent(card));
    complete(0, 4);
    assert_ptr_equal(card->ops->sent(card), &token[0]);
    assert_ptr_equal(card->ops->sent(card), &token[1]);
    assert_null(card->ops->sent(card));
    complete(4, 6);
    assert_ptr_equal(card->ops->sent(card), &token[2]);
    assert_null(card->ops->sent(card));
}

/* The card gets headers without lengths and without IP's sum; the stack's stay as they are. */
static void test_segmentation(void **state)
{
    static char head[54];
    const struct net_offload o = {.checksum_start = 34,
                                  .checksum_offset = 16,
                                  .segmentation = NET_TCP4,
                                  .segment = 1460,
                                  .header = 54};
    (void)state;
    assert_true(start(0x100e, 0));
    memset(head, 0x77, sizeof head);
    head[50] = 0x12; /* the pseudo header with the length of 20 + 4000 */
    head[51] = 0x34;
    assert_int_equal(send(head, 54, 4000, &o, head), 0);
    const struct e1000_tx *t = tx_ring();
    assert_int_equal(t[0].command, TX_DEXT | TX_TCP | TX_IP4 | TX_TSE | 4000);
    assert_int_equal(t[0].status, 54u << 8 | 1460u << 16);
    assert_int_equal(t[0].address, 14ull | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40);
    assert_int_equal(t[1].command, TX_TYPE_DATA | TX_DEXT | TX_IFCS | TX_TSE | 54);
    assert_int_equal(t[1].status, TX_TXSM | TX_IXSM);
    assert_int_equal(t[2].command,
                     TX_TYPE_DATA | TX_DEXT | TX_IFCS | TX_TSE | TX_EOP | TX_RS | 4000);
    const uint8_t *copy = phys_to_virt(t[1].address);
    assert_int_equal(copy[16] | copy[17] | copy[24] | copy[25], 0);
    assert_int_equal(copy[50] << 8 | copy[51], 0x1234 - 4020);
    assert_int_equal(head[16], 0x77);
    assert_int_equal(head[50], 0x12);
    /* a plain sum after it needs its context again */
    const struct net_offload sum = {.checksum_start = 34, .checksum_offset = 16};
    assert_int_equal(send(head, 54, 10, &sum, head), 0);
    assert_int_equal(t[3].command, TX_DEXT | TX_TCP);
    /* headers that are too long, or are not there */
    struct net_offload wrong = o;
    wrong.header = 200;
    assert_int_equal(send(head, 54, 4000, &wrong, head), -EMSGSIZE);
    wrong.header = 100;
    assert_int_equal(send(head, 54, 10, &wrong, head), -EMSGSIZE);
}

static void test_full_ring(void **state)
{
    static const char head[64];
    const struct net_offload plain = {0};
    (void)state;
    assert_true(start(0x10d3, 5));
    card->ops->listen(card);
    unsigned n = 0;
    while (!send(head, 60, 100, &plain, (void *)(uintptr_t)(n + 1)))
        n++;
    assert_in_range(n, 120, 127);
    card->ops->flush(card);
    assert_int_equal(send(head, 60, 100, &plain, NULL), -EAGAIN);
    assert_true(enabled & CAUSE_TXQ0);
    assert_int_equal(wakes, 0);
    complete(0, 2 * n);
    assert_true(card->ops->listen(card));
    assert_int_equal(send(head, 60, 100, &plain, NULL), -EAGAIN); /* it is told at once */
    assert_int_equal(wakes, 1);
    for (unsigned i = 0; i < n; i++)
        assert_ptr_equal(card->ops->sent(card), (void *)(uintptr_t)(i + 1));
    assert_null(card->ops->sent(card));
    for (unsigned i = 0; i < 1000; i++) { /* round the ring */
        assert_int_equal(send(head, 60, 100, &plain, (void *)(uintptr_t)(i + 1)), 0);
        unsigned tail = (2 * n + 2 * i) % RING;
        complete(tail, (tail + 2) % RING);
        assert_ptr_equal(card->ops->sent(card), (void *)(uintptr_t)(i + 1));
    }
}

static void test_interrupts(void **state)
{
    (void)state;
    assert_true(start(0x100e, 0));
    card->ops->listen(card);
    uint32_t all = enabled;
    fake_interrupt(0); /* another device's */
    assert_int_equal(wakes, 0);
    assert_int_equal(enabled, all);
    *reg(E1000_ICR) = CAUSE_RXT0;
    fake_interrupt(0);
    assert_int_equal(wakes, 1);
    assert_int_equal(enabled, 0);
    card->ops->listen(card);
    *reg(E1000_ICR) = CAUSE_LSC;
    *reg(E1000_STATUS) = 0;
    fake_interrupt(0);
    assert_false(card->link);
    *reg(E1000_STATUS) = STATUS_LU;
    fake_interrupt(0);
    assert_true(card->link);
    assert_int_equal(wakes, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),         cmocka_unit_test(test_cards_that_fail),
        cmocka_unit_test(test_receive),       cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_memory_is_out), cmocka_unit_test(test_send),
        cmocka_unit_test(test_segmentation),  cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
