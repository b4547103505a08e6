/* SPDX-License-Identifier: Apache-2.0 */
/* The radix tree and the checksums. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/crc.h"
#include "lib/radix.h"

static int insert(struct radix *r, uint64_t key, void *item)
{
    struct radix_node *spare = NULL;
    int err;
    while ((err = radix_insert(r, key, item, &spare)) == -EAGAIN)
        spare = calloc(1, sizeof *spare);
    free(spare);
    return err;
}

static void keys_of_all_sizes(void **state)
{
    static const uint64_t key[] = {0, 1, 63, 64, 4095, 4096, 1ull << 40, UINT64_MAX};
    struct radix r = {0};
    (void)state;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        assert_int_equal(insert(&r, key[i], (void *)(i + 1)), 0);
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        assert_ptr_equal(radix_get(&r, key[i]), (void *)(i + 1));
    assert_int_equal(insert(&r, 64, &r), -EEXIST);
    assert_null(radix_get(&r, 65));
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        assert_ptr_equal(radix_remove(&r, key[i], free), (void *)(i + 1));
    assert_null(r.root);
    assert_int_equal(r.height, 0);
}

static void next_goes_in_order(void **state)
{
    struct radix r = {0};
    uint64_t key = 0, last = 0, n = 0;
    (void)state;
    srand(1);
    for (int i = 0; i < 3000; i++)
        insert(&r, (uint64_t)rand() << (rand() % 32), &r);
    for (; radix_next(&r, &key); key++, n++) {
        assert_true(n == 0 || key > last);
        last = key;
    }
    assert_true(n > 2000);
    for (key = 0; radix_next(&r, &key);)
        radix_remove(&r, key, free);
    assert_null(r.root);
}

static void a_tree_without_items_is_freed(void **state)
{
    struct radix r = {0};
    struct radix_node *spare = calloc(1, sizeof *spare);
    (void)state;
    /* Memory ran out after the first node. */
    assert_int_equal(radix_insert(&r, 1ull << 30, &r, &spare), -EAGAIN);
    assert_null(spare);
    spare = calloc(1, sizeof *spare);
    assert_int_equal(radix_insert(&r, 1ull << 30, &r, &spare), -EAGAIN);
    radix_fini(&r, free);
    assert_null(r.root);
}

static void checksums_have_known_values(void **state)
{
    (void)state;
    assert_int_equal(crc32c(~0u, "123456789", 9) ^ ~0u, 0xe3069283);
    assert_int_equal(crc16(0, "123456789", 9), 0xbb3d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_all_sizes),
        cmocka_unit_test(next_goes_in_order),
        cmocka_unit_test(a_tree_without_items_is_freed),
        cmocka_unit_test(checksums_have_known_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
