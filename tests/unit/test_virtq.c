/* SPDX-License-Identifier: Apache-2.0 */
/* The split ring against a device that behaves, and against one that does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_virtio.h"

extern int fake_mem_fail_after;

#define EVENT    (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)

static uint8_t memory[64];
static struct fake_queue dev;

static struct virtq *queue_make(unsigned size, uint64_t features)
{
    struct virtq *vq = virtq_create(size, features);
    assert_non_null(vq);
    fake_queue_attach(&dev, vq);
    return vq;
}

/* A chain of `out` + `in` one-byte pieces of memory[]. */
static int chain_add(struct virtq *vq, unsigned out, unsigned in, void *token)
{
    struct virtq_seg seg[64];
    for (unsigned i = 0; i < out + in; i++)
        seg[i] = (struct virtq_seg){(paddr_t)(uintptr_t)&memory[i], 1};
    return virtq_add(vq, seg, out, in, token);
}

static int token[512];

static void test_sizes(void **state)
{
    (void)state;
    static const unsigned asked[] = {1, 2, 3, 128, 200, 256, 3000},
                          got[] = {1, 2, 2, 128, 128, 256, 1024};
    for (unsigned i = 0; i < ARRAY_SIZE(asked); i++) {
        struct virtq *vq = queue_make(asked[i], 0);
        assert_int_equal(vq->ring.num, got[i]);
        assert_int_equal((uintptr_t)vq->ring.desc % 16, 0);
        assert_int_equal((uintptr_t)vq->ring.used % 4, 0);
        virtq_destroy(vq);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fake_mem_fail_after = i;
        assert_null(virtq_create(8, 0));
    }
    fake_mem_fail_after = -1;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, 0);
    struct fake_chain c;
    uint32_t len;
    assert_int_equal(chain_add(vq, 1, 2, &token[7]), 0);
    assert_null(virtq_pop(vq, &len));
    assert_true(fake_queue_next(&dev, &c));
    assert_int_equal(c.out, 1);
    assert_int_equal(c.in, 2);
    assert_ptr_equal(c.seg[2].data, &memory[2]);
    fake_queue_use(&dev, c.head, 2);
    assert_ptr_equal(virtq_pop(vq, &len), &token[7]);
    assert_int_equal(len, 2);
    assert_null(virtq_pop(vq, &len));
    virtq_destroy(vq);
}

static void test_full(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(4, 0);
    struct fake_chain c;
    uint32_t len;
    assert_int_equal(chain_add(vq, 2, 1, &token[0]), 0);
    assert_int_equal(chain_add(vq, 1, 1, &token[1]), -EAGAIN);
    assert_int_equal(chain_add(vq, 1, 0, &token[1]), 0);
    assert_int_equal(chain_add(vq, 1, 0, &token[2]), -EAGAIN);
    fake_queue_next(&dev, &c);
    fake_queue_use(&dev, c.head, 0);
    assert_ptr_equal(virtq_pop(vq, &len), &token[0]);
    assert_int_equal(chain_add(vq, 1, 2, &token[3]), 0);
    virtq_destroy(vq);
}

static void test_too_long(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(4, INDIRECT);
    assert_int_equal(chain_add(vq, 3, 2, &token[0]), -EMSGSIZE);
    virtq_destroy(vq);
}

/* Well past 65536 chains, several in flight, used in another order than added. */
static void test_wrap(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, EVENT);
    struct fake_chain c[2];
    uint32_t len;
    for (unsigned i = 0; i < 70000; i++) {
        void *a = &token[i % 256], *b = &token[256 + i % 256];
        assert_int_equal(chain_add(vq, 1, 1, a), 0);
        assert_int_equal(chain_add(vq, 2, 1, b), 0);
        assert_true(fake_queue_next(&dev, &c[0]) && fake_queue_next(&dev, &c[1]));
        fake_queue_use(&dev, c[1].head, 1);
        fake_queue_use(&dev, c[0].head, 0);
        assert_ptr_equal(virtq_pop(vq, &len), b);
        assert_int_equal(len, 1);
        assert_ptr_equal(virtq_pop(vq, &len), a);
    }
    assert_int_equal(vq->free_count, 8);
    virtq_destroy(vq);
}

static void test_kick_event(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(16, EVENT);
    assert_false(virtq_kick_wanted(vq));
    chain_add(vq, 1, 0, &token[0]);
    assert_true(virtq_kick_wanted(vq));
    assert_false(virtq_kick_wanted(vq)); /* nothing new */
    chain_add(vq, 1, 0, &token[1]);
    assert_false(virtq_kick_wanted(vq)); /* the device still works on the first */
    fake_queue_want_kick(&dev);
    chain_add(vq, 1, 0, &token[2]);
    chain_add(vq, 1, 0, &token[3]);
    assert_true(virtq_kick_wanted(vq)); /* one for both */
    virtq_destroy(vq);
}

static void test_kick_flag(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(16, 0);
    vq->ring.used->flags = VRING_USED_F_NO_NOTIFY;
    chain_add(vq, 1, 0, &token[0]);
    assert_false(virtq_kick_wanted(vq));
    vq->ring.used->flags = 0;
    chain_add(vq, 1, 0, &token[1]);
    assert_true(virtq_kick_wanted(vq));
    virtq_destroy(vq);
}

/* Adds, uses and pops one chain; true if the device would interrupt. */
static bool one_turn(struct virtq *vq)
{
    struct fake_chain c;
    uint32_t len;
    assert_int_equal(chain_add(vq, 1, 0, &token[0]), 0);
    assert_true(fake_queue_next(&dev, &c));
    fake_queue_use(&dev, c.head, 0);
    bool interrupt = fake_queue_interrupt(&dev);
    assert_ptr_equal(virtq_pop(vq, &len), &token[0]);
    return interrupt;
}

static void test_interrupts(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct virtq *vq = queue_make(4, i ? EVENT : 0);
        for (unsigned turn = 0; turn < 5; turn++) {
            assert_false(virtq_irq_enable(vq));
            assert_true(one_turn(vq));
        }
        virtq_irq_disable(vq);
        for (unsigned turn = 0; turn < 100; turn++)
            assert_false(one_turn(vq));
        virtq_destroy(vq);
    }
}

static void test_interrupt_race(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(4, EVENT);
    struct fake_chain c;
    chain_add(vq, 1, 0, &token[0]);
    virtq_irq_disable(vq);
    fake_queue_next(&dev, &c);
    fake_queue_use(&dev, c.head, 0);
    assert_true(virtq_irq_enable(vq)); /* it came before we asked */
    virtq_destroy(vq);
}

static void test_indirect(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, INDIRECT);
    struct fake_chain c;
    uint32_t len;
    assert_int_equal(chain_add(vq, 3, 5, &token[0]), 0);
    assert_int_equal(vq->free_count, 7);
    assert_true(fake_queue_next(&dev, &c));
    assert_true(c.indirect);
    assert_int_equal(c.out, 3);
    assert_int_equal(c.in, 5);
    for (unsigned i = 0; i < 8; i++)
        assert_ptr_equal(c.seg[i].data, &memory[i]);
    fake_queue_use(&dev, c.head, 5);
    assert_ptr_equal(virtq_pop(vq, &len), &token[0]);
    assert_int_equal(vq->free_count, 8);
    assert_int_equal(chain_add(vq, 1, 1, &token[1]), 0); /* short ones stay direct */
    assert_int_equal(vq->free_count, 6);
    virtq_destroy(vq);
}

static void test_indirect_no_memory(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, INDIRECT);
    struct fake_chain c;
    fake_mem_fail_after = 0;
    assert_int_equal(chain_add(vq, 3, 3, &token[0]), 0); /* direct instead */
    assert_int_equal(vq->free_count, 2);
    fake_mem_fail_after = 0;
    assert_int_equal(chain_add(vq, 3, 3, &token[1]), -EAGAIN);
    fake_mem_fail_after = -1;
    assert_true(fake_queue_next(&dev, &c));
    assert_false(c.indirect);
    assert_int_equal(c.out + c.in, 6);
    virtq_destroy(vq);
}

/* Two chains in flight, 1 + 1 pieces each, then one used entry that is a lie. */
static void hostile(uint32_t id_plus_head, bool absolute, uint32_t len, unsigned extra)
{
    struct virtq *vq = queue_make(8, EVENT | INDIRECT);
    struct fake_chain c;
    uint32_t n;
    chain_add(vq, 1, 1, &token[0]);
    chain_add(vq, 1, 1, &token[1]);
    fake_queue_next(&dev, &c);
    fake_queue_use(&dev, absolute ? id_plus_head : c.head + id_plus_head, len);
    vq->ring.used->idx = (uint16_t)(vq->ring.used->idx + extra);
    assert_null(virtq_pop(vq, &n));
    assert_true(vq->broken);
    assert_false(virtq_irq_enable(vq));
    assert_false(virtq_kick_wanted(vq));
    assert_int_equal(chain_add(vq, 1, 0, &token[2]), -EIO);
    assert_null(virtq_pop(vq, &n));
    virtq_destroy(vq);
}

static void test_hostile_id(void **state)
{
    (void)state;
    hostile(8, true, 0, 0);
    hostile(0xffffffff, true, 0, 0);
}

static void test_hostile_free_id(void **state)
{
    (void)state;
    hostile(6, true, 0, 0); /* never added */
}

static void test_hostile_middle_id(void **state)
{
    (void)state;
    hostile(1, false, 0, 0); /* the second descriptor of a chain */
}

static void test_hostile_len(void **state)
{
    (void)state;
    hostile(0, false, 2, 0); /* one byte may be written */
    hostile(0, false, 0xffffffff, 0);
}

static void test_hostile_index(void **state)
{
    (void)state;
    hostile(0, false, 0, 2); /* three used, two in flight */
    hostile(0, false, 0, 0x8000);
}

static void test_hostile_twice(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, 0);
    struct fake_chain c;
    uint32_t n;
    chain_add(vq, 1, 0, &token[0]);
    chain_add(vq, 1, 0, &token[1]);
    fake_queue_next(&dev, &c);
    fake_queue_use(&dev, c.head, 0);
    fake_queue_use(&dev, c.head, 0);
    assert_ptr_equal(virtq_pop(vq, &n), &token[0]);
    assert_null(virtq_pop(vq, &n));
    assert_true(vq->broken);
    assert_ptr_equal(virtq_take(vq), &token[1]);
    assert_null(virtq_take(vq));
    virtq_destroy(vq);
}

/* The device scribbles over the descriptor table: our own list still holds. */
static void test_hostile_table(void **state)
{
    (void)state;
    struct virtq *vq = queue_make(8, 0);
    struct fake_chain c;
    uint32_t n;
    chain_add(vq, 2, 1, &token[0]);
    fake_queue_next(&dev, &c);
    for (unsigned i = 0; i < 8; i++)
        vq->ring.desc[i] = (struct vring_desc){.next = 0xffff, .flags = 0xffff};
    fake_queue_use(&dev, c.head, 1);
    assert_ptr_equal(virtq_pop(vq, &n), &token[0]);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(chain_add(vq, 1, 0, &token[i]), 0);
    assert_int_equal(chain_add(vq, 1, 0, &token[8]), -EAGAIN);
    virtq_destroy(vq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_kick_event),
        cmocka_unit_test(test_kick_flag),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_interrupt_race),
        cmocka_unit_test(test_indirect),
        cmocka_unit_test(test_indirect_no_memory),
        cmocka_unit_test(test_hostile_id),
        cmocka_unit_test(test_hostile_free_id),
        cmocka_unit_test(test_hostile_middle_id),
        cmocka_unit_test(test_hostile_len),
        cmocka_unit_test(test_hostile_index),
        cmocka_unit_test(test_hostile_twice),
        cmocka_unit_test(test_hostile_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
