/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and string functions at every small size, offset and overlap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/string.h"

/* The kernel's functions under names of their own, so that the C library's stay usable. */
#undef memcpy
#undef memset
#undef memcmp
#undef strlen
#define memcpy  k_memcpy
#define memmove k_memmove
#define memset  k_memset
#define memcmp  k_memcmp
#define memchr  k_memchr
#define strlen  k_strlen
#define strnlen k_strnlen
#define strcmp  k_strcmp
#define strncmp k_strncmp
#define strchr  k_strchr
#define strrchr k_strrchr
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "../../kernel/lib/string.c"
#pragma GCC diagnostic pop

#define SIZE 80

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + seed);
}

static void copies(void **state)
{
    (void)state;
    uint8_t src[SIZE + 8], dst[SIZE + 8];
    for (size_t n = 0; n <= SIZE; n++) {
        for (size_t off = 0; off < 8; off++) {
            fill(src, sizeof src, 1);
            fill(dst, sizeof dst, 99);
            assert_ptr_equal(memcpy(dst + off, src, n), dst + off);
            for (size_t i = 0; i < sizeof dst; i++)
                assert_int_equal(dst[i], i >= off && i < off + n ? (uint8_t)((i - off) * 7 + 1)
                                                                 : (uint8_t)(i * 7 + 99));
        }
    }
}

static void overlapping_moves(void **state)
{
    (void)state;
    for (size_t n = 0; n <= SIZE; n++) {
        for (int shift = -40; shift <= 40; shift++) {
            uint8_t buf[SIZE + 80], want[SIZE + 80];
            fill(buf, sizeof buf, 3);
            fill(want, sizeof want, 3);
            for (size_t i = 0; i < n; i++)
                want[40 + shift + (int)i] = (uint8_t)((40 + i) * 7 + 3);
            memmove(buf + 40 + shift, buf + 40, n);
            assert_int_equal(memcmp(buf, want, sizeof buf), 0);
        }
    }
}

static void fills(void **state)
{
    (void)state;
    for (size_t n = 0; n <= SIZE; n++) {
        uint8_t buf[SIZE + 2];
        fill(buf, sizeof buf, 5);
        memset(buf + 1, 0xa5, n);
        assert_int_equal(buf[0], 5);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(buf[1 + i], 0xa5);
        assert_int_equal(buf[1 + n], (uint8_t)((1 + n) * 7 + 5));
    }
}

static void comparisons(void **state)
{
    (void)state;
    uint8_t a[SIZE], b[SIZE];
    for (size_t n = 1; n < SIZE; n++) {
        for (size_t at = 0; at < n; at++) {
            fill(a, n, 0);
            fill(b, n, 0);
            assert_int_equal(memcmp(a, b, n), 0);
            b[at] = (uint8_t)(a[at] + 1);
            assert_int_equal(memcmp(a, b, n) < 0, a[at] < b[at]);
        }
    }
    assert_true(strcmp("abc", "abd") < 0 && strcmp("abc", "ab") > 0 && !strcmp("", ""));
    assert_true(!strncmp("abcd", "abce", 3) && strncmp("abcd", "abce", 4) < 0);
    assert_true(strcmp("\x80", "a") > 0);
}

static void searches(void **state)
{
    (void)state;
    const char *s = "path/to/file";
    assert_ptr_equal(strchr(s, '/'), s + 4);
    assert_ptr_equal(strrchr(s, '/'), s + 7);
    assert_null(strchr(s, 'z'));
    assert_ptr_equal(strchr(s, 0), s + 12);
    assert_ptr_equal(memchr(s, 'f', 12), s + 8);
    assert_null(memchr(s, 'f', 8));
    assert_int_equal(strlen(s), 12);
    assert_int_equal(strnlen(s, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),      cmocka_unit_test(overlapping_moves), cmocka_unit_test(fills),
        cmocka_unit_test(comparisons), cmocka_unit_test(searches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
