/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel heap over the real page allocator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mem/kmalloc.h"
#include "phys.h"

#define HELD 500

static int setup(void **state)
{
    (void)state;
    phys_create();
    return 0;
}

static void sizes(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20000; n += n < 300 ? 1 : 97) {
        char *p = kmalloc(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xee, n);
        kfree(p);
    }
    assert_int_equal(kmalloc_used(), 0);
    kfree(NULL);
}

static void alignment(void **state)
{
    (void)state;
    for (size_t n = 64; n <= 4096; n *= 2) {
        char *p = kmalloc(n);
        assert_int_equal((uintptr_t)(p - fake_phys_base) % 64, 0);
        kfree(p);
    }
}

static void random_use(void **state)
{
    (void)state;
    unsigned char *held[HELD] = {NULL};
    size_t size[HELD];
    srand(11);
    for (int step = 0; step < 60000; step++) {
        int i = rand() % HELD;
        if (!held[i]) {
            size[i] = (size_t)rand() % (rand() % 10 ? 600 : 9000);
            held[i] = kmalloc(size[i]);
            assert_non_null(held[i]);
            memset(held[i], i & 0xff, size[i]);
            continue;
        }
        for (size_t at = 0; at < size[i]; at++)
            assert_int_equal(held[i][at], i & 0xff);
        kfree(held[i]);
        held[i] = NULL;
    }
    for (int i = 0; i < HELD; i++)
        kfree(held[i]);
    assert_int_equal(kmalloc_used(), 0);
}

static void reallocation(void **state)
{
    (void)state;
    char *p = krealloc(NULL, 10);
    strcpy(p, "123456789");
    for (size_t n = 20; n < 50000; n = n * 3 / 2) {
        p = krealloc(p, n);
        assert_string_equal(p, "123456789");
    }
    p = krealloc(p, 16);
    assert_string_equal(p, "123456789");
    kfree(p);
}

static void copies(void **state)
{
    (void)state;
    char *p = kstrdup("name");
    assert_string_equal(p, "name");
    uint64_t *z = kzalloc(800);
    for (int i = 0; i < 100; i++)
        assert_int_equal(z[i], 0);
    kfree(p);
    kfree(z);
}

static void exhaustion(void **state)
{
    (void)state;
    void *last = NULL, *p;
    while ((p = kmalloc(1000))) {
        *(void **)p = last;
        last = p;
    }
    assert_null(kmalloc(100000));
    for (; last; last = p) {
        p = *(void **)last;
        kfree(last);
    }
    assert_int_equal(kmalloc_used(), 0);
    p = kmalloc(1u << 20);
    assert_non_null(p);
    kfree(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),        cmocka_unit_test(alignment), cmocka_unit_test(random_use),
        cmocka_unit_test(reallocation), cmocka_unit_test(copies),    cmocka_unit_test(exhaustion),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
