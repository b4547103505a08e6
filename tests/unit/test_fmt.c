/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's formatting against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int k_snprintf(char *buf, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int k_vsnprintf(char *buf, size_t n, const char *fmt, va_list ap);
#define snprintf  k_snprintf
#define vsnprintf k_vsnprintf
#include "../../kernel/lib/fmt.c"
#undef snprintf
#undef vsnprintf

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char a[96], b[96];                                                                         \
        int n = snprintf(a, sizeof a, __VA_ARGS__), m = k_snprintf(b, sizeof b, __VA_ARGS__);      \
        assert_string_equal(b, a);                                                                 \
        assert_int_equal(m, n);                                                                    \
    } while (0)

static void numbers(void **state)
{
    (void)state;
    SAME("%d %i %u", -5, 77, 4000000000u);
    SAME("%ld %lu %lx", INT64_MIN, UINT64_MAX, UINT64_MAX);
    SAME("%zu %zx %lld", (size_t)12345, (size_t)0xbeef, -1ll);
    SAME("%hhd %hhu %hd %hu", (signed char)-3, (unsigned char)250, (short)-300,
         (unsigned short)65000);
    SAME("%x %X %#x %#X %o %#o", 0xabcu, 0xabcu, 0xabcu, 0xABCu, 8u, 8u);
    SAME("%#x %d %.0d|", 0u, 0, 0);
}

static void widths(void **state)
{
    (void)state;
    SAME("[%5d] [%-5d] [%05d] [%+d] [%+5d]", 42, 42, 42, 42, 42);
    SAME("[%5d] [%05d] [%-5d]", -42, -42, -42);
    SAME("[%.3d] [%6.3d] [%-6.3d]", 7, 7, 7);
    SAME("[%#10x] [%#010x] [%-#10x]", 0x1fu, 0x1fu, 0x1fu);
    SAME("[%*d] [%-*d] [%.*s]", 6, 1, 6, 1, 2, "abcdef");
}

static void texts(void **state)
{
    (void)state;
    SAME("%s|%10s|%-10s|%.2s|%c%%", "abc", "abc", "abc", "abc", 'x');
    SAME("%p", (void *)0x1234);
    char a[32];
    const char *volatile none = NULL;
    assert_int_equal(k_snprintf(a, sizeof a, "%s", none), 6);
    assert_string_equal(a, "(null)");
}

static void clipping(void **state)
{
    (void)state;
    for (size_t n = 0; n < 12; n++) {
        char a[16], b[16];
        memset(a, 'z', sizeof a);
        memset(b, 'z', sizeof b);
        assert_int_equal(k_snprintf(b, n, "%s-%d", "hello", 1234),
                         snprintf(a, n, "%s-%d", "hello", 1234));
        assert_memory_equal(a, b, sizeof a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(widths),
                                       cmocka_unit_test(texts), cmocka_unit_test(clipping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
