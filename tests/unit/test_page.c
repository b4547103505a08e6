/* SPDX-License-Identifier: Apache-2.0 */
/* The page allocator: alignment, no overlap, merging back, exhaustion, reference counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "phys.h"

#define HELD 600

static size_t total_free;

static int setup(void **state)
{
    (void)state;
    phys_create();
    total_free = page_count_free();
    return 0;
}

static void counts(void **state)
{
    (void)state;
    assert_true(page_count_total() == total_free);
    assert_true(total_free > (PHYS_SIZE >> PAGE_SHIFT) * 97 / 100);
}

static void alignment_and_address(void **state)
{
    (void)state;
    for (unsigned order = 0; order < PAGE_ORDER_MAX; order++) {
        struct page *p = page_alloc(order);
        assert_non_null(p);
        assert_int_equal(page_paddr(p) & ((PAGE_SIZE << order) - 1), 0);
        assert_ptr_equal(page_of_paddr(page_paddr(p)), p);
        assert_ptr_equal(page_of_address(page_address(p)), p);
        page_put(p);
    }
    assert_null(page_alloc(PAGE_ORDER_MAX));
    assert_null(page_of_paddr(PHYS_SIZE));
    assert_int_equal(page_count_free(), total_free);
}

static void zeroed(void **state)
{
    (void)state;
    struct page *p = page_alloc_zero(2);
    const char *c = page_address(p);
    for (size_t i = 0; i < PAGE_SIZE << 2; i++)
        assert_int_equal(c[i], 0);
    page_put(p);
}

/* A block's frames are freed one by one and merge again; the others keep their content. */
static void split(void **state)
{
    (void)state;
    struct page *p = page_alloc_free(9);
    assert_non_null(p);
    page_zero(p);
    page_split(p);
    for (unsigned i = 0; i < 512; i++) {
        assert_int_equal(p[i].refs, 1);
        assert_int_equal(p[i].order, 0);
        assert_null(p[i].owner);
        memset(page_address(p + i), (int)i & 0xff, PAGE_SIZE);
    }
    for (unsigned i = 0; i < 512; i += 2)
        page_put(p + i);
    struct page *other = page_alloc_zero(0);
    for (unsigned i = 1; i < 512; i += 2) {
        assert_int_equal(*(unsigned char *)page_address(p + i), i & 0xff);
        page_put(p + i);
    }
    page_put(other);
    assert_int_equal(page_count_free(), total_free);
    struct page *again[200], *block;
    for (unsigned i = 0; i < 200; i++) /* the CPU's cache gives its frames back as it fills */
        again[i] = page_alloc(0);
    for (unsigned i = 0; i < 200; i++)
        page_put(again[i]);
    block = page_alloc(10);
    assert_non_null(block);
    page_put(block);
}

/* Every block carries its own pattern to the end: two that overlap would show. */
static void random_use(void **state)
{
    (void)state;
    struct page *held[HELD] = {NULL};
    srand(3);
    for (int step = 0; step < 30000; step++) {
        int i = rand() % HELD;
        if (!held[i]) {
            held[i] = page_alloc((unsigned)rand() % 4);
            if (held[i])
                memset(page_address(held[i]), i & 0xff, PAGE_SIZE << held[i]->order);
            continue;
        }
        const unsigned char *c = page_address(held[i]);
        for (size_t at = 0; at < PAGE_SIZE << held[i]->order; at += 509)
            assert_int_equal(c[at], i & 0xff);
        page_put(held[i]);
        held[i] = NULL;
    }
    for (int i = 0; i < HELD; i++)
        if (held[i])
            page_put(held[i]);
    assert_int_equal(page_count_free(), total_free);
}

static void exhaustion(void **state)
{
    (void)state;
    struct list all = LIST_INIT(all);
    struct page *p;
    size_t n = 0;
    while ((p = page_alloc(0))) {
        list_add_tail(&all, &p->link);
        n++;
    }
    assert_int_equal(n, total_free);
    assert_null(page_alloc(0));
    assert_null(page_alloc(3));
    while (!list_empty(&all))
        page_put(LIST_ENTRY(list_pop_head(&all), struct page, link));
    assert_int_equal(page_count_free(), total_free);
}

static size_t reclaim_calls;

static size_t reclaim(size_t wanted)
{
    (void)wanted;
    reclaim_calls++;
    return 0;
}

static void reclaim_is_asked(void **state)
{
    (void)state;
    struct list all = LIST_INIT(all);
    struct page *p;
    page_set_reclaim(RECLAIM_CACHES, reclaim);
    while ((p = page_alloc(0)))
        list_add_tail(&all, &p->link);
    assert_int_equal(reclaim_calls, 1);
    page_set_reclaim(RECLAIM_CACHES, NULL);
    while (!list_empty(&all))
        page_put(LIST_ENTRY(list_pop_head(&all), struct page, link));
}

static void references(void **state)
{
    (void)state;
    struct page *p = page_alloc(1);
    page_get(p);
    page_put(p);
    assert_int_equal(page_count_free(), total_free - 2);
    page_put(p);
    assert_int_equal(page_count_free(), total_free);
}

static unsigned freed_calls;

static void freed(void)
{
    freed_calls++;
}

/* What was in use is told once, never all at a time, and is free memory all the while after. */
static void reporting(void **state)
{
    struct page *block[64], *one, *two;
    unsigned n;
    size_t told = 0;
    (void)state;
    page_report_start(freed);
    while ((n = page_report_take(block, 64))) {
        size_t out = total_free - page_count_free();
        assert_in_range(out, 1ul << PAGE_REPORT_ORDER, total_free / 8);
        told += out;
        page_report_give(block, n);
        assert_int_equal(page_count_free(), total_free);
    }
    assert_true(told <= total_free);
    one = page_alloc(PAGE_REPORT_ORDER);
    two = page_alloc(PAGE_REPORT_ORDER);
    assert_int_equal(page_report_take(block, 64), 0); /* their other halves were told before */
    freed_calls = 0;
    page_put(one);
    page_put(two);
    assert_int_equal(freed_calls, 1);
    n = page_report_take(block, 64);
    assert_in_range(n, 1, 2);
    one = page_alloc(0); /* meanwhile others go on */
    page_report_give(block, n);
    page_put(one);
    assert_int_equal(page_count_free(), total_free);
    page_report_start(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),           cmocka_unit_test(alignment_and_address),
        cmocka_unit_test(zeroed),           cmocka_unit_test(split),
        cmocka_unit_test(random_use),       cmocka_unit_test(exhaustion),
        cmocka_unit_test(reclaim_is_asked), cmocka_unit_test(references),
        cmocka_unit_test(reporting),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
