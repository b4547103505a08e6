/* SPDX-License-Identifier: Apache-2.0 */
/* The real-time clock's registers in every mode, and dates against the C library. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "arch/x86_64/io.h"
#include "dev/wallclock.h"

static uint8_t cmos[128];
static uint8_t selected;
static int updating;   /* reads of status A that say so */
static int tick_after; /* register reads until the second changes; negative: never */

uint32_t fake_port_read(uint16_t port, unsigned size)
{
    (void)size;
    if (port != 0x71)
        return 0xff;
    if (selected == 0x0a && updating > 0) {
        updating--;
        return 0x80;
    }
    if (tick_after >= 0 && tick_after-- == 0)
        cmos[0]++;
    return cmos[selected];
}

void fake_port_write(uint16_t port, uint32_t v, unsigned size)
{
    (void)size;
    if (port == 0x70)
        selected = v & 0x7f;
}

static void set(int y, int mo, int d, int h, int mi, int s, uint8_t mode)
{
    const int v[] = {s, mi, h, d, mo, y % 100, y / 100};
    const uint8_t reg[] = {0, 2, 4, 7, 8, 9, 0x32};
    memset(cmos, 0, sizeof cmos);
    for (unsigned i = 0; i < 7; i++) {
        int n = v[i], pm = 0;
        if (reg[i] == 4 && !(mode & 2)) {
            pm = n >= 12 ? 0x80 : 0;
            n = n % 12 ? n % 12 : 12;
        }
        cmos[reg[i]] = (uint8_t)(mode & 4 ? n : n / 10 * 16 + n % 10) | (uint8_t)pm;
    }
    cmos[0x0b] = mode;
    cmos[0x0d] = 0x80;
    updating = 0;
    tick_after = -1;
}

static void expect(int y, int mo, int d, int h, int mi, int s)
{
    struct tm tm = {.tm_year = y - 1900,
                    .tm_mon = mo - 1,
                    .tm_mday = d,
                    .tm_hour = h,
                    .tm_min = mi,
                    .tm_sec = s};
    uint64_t t = 0;
    assert_int_equal(rtc_read(&t), 0);
    assert_int_equal(t, timegm(&tm));
}

static void test_modes(void **state)
{
    (void)state;
    static const int hours[] = {0, 1, 11, 12, 13, 23};
    for (uint8_t mode = 0; mode < 8; mode += 2)
        for (unsigned i = 0; i < 6; i++) {
            set(2026, 11, 22, hours[i], 59, 8, mode);
            expect(2026, 11, 22, hours[i], 59, 8);
        }
}

static void test_dates(void **state)
{
    (void)state;
    static const int dates[][3] = {{1970, 1, 1},  {1999, 12, 31}, {2000, 2, 29}, {2000, 3, 1},
                                   {2024, 2, 29}, {2026, 1, 1},   {2038, 1, 20}, {2099, 12, 31},
                                   {2100, 2, 28}, {2100, 3, 1}};
    for (unsigned i = 0; i < sizeof dates / sizeof *dates; i++) {
        set(dates[i][0], dates[i][1], dates[i][2], 23, 59, 59, 2);
        expect(dates[i][0], dates[i][1], dates[i][2], 23, 59, 59);
    }
}

static void test_no_century(void **state)
{
    (void)state;
    set(2026, 5, 6, 1, 2, 3, 2);
    cmos[0x32] = 0;
    expect(2026, 5, 6, 1, 2, 3);
    set(1985, 5, 6, 1, 2, 3, 2);
    cmos[0x32] = 0;
    expect(1985, 5, 6, 1, 2, 3);
}

static void test_update(void **state)
{
    (void)state;
    set(2026, 5, 6, 1, 2, 3, 6);
    updating = 50;
    expect(2026, 5, 6, 1, 2, 3);
    for (int i = 0; i < 20; i++) { /* the second changes anywhere in between */
        set(2026, 5, 6, 1, 2, 3, 6);
        tick_after = i;
        uint64_t t;
        assert_int_equal(rtc_read(&t), 0);
        struct tm tm = {.tm_year = 126,
                        .tm_mon = 4,
                        .tm_mday = 6,
                        .tm_hour = 1,
                        .tm_min = 2,
                        .tm_sec = cmos[0]};
        assert_true((time_t)t == timegm(&tm) || (time_t)t == timegm(&tm) - 1);
    }
}

static void test_absent(void **state)
{
    (void)state;
    uint64_t t;
    memset(cmos, 0xff, sizeof cmos);
    assert_int_equal(rtc_read(&t), -ENODEV);
    set(2026, 13, 6, 1, 2, 3, 6);
    assert_int_equal(rtc_read(&t), -ENODEV);
    set(2026, 12, 0, 1, 2, 3, 6);
    assert_int_equal(rtc_read(&t), -ENODEV);
}

/* Every day of four centuries. */
static void test_civil(void **state)
{
    (void)state;
    int64_t days = civil_days(1969, 12, 31);
    assert_int_equal(days, -1);
    for (int y = 1970; y < 2371; y++) {
        for (unsigned m = 1; m <= 12; m++) {
            struct tm tm = {.tm_year = y - 1900, .tm_mon = (int)m - 1, .tm_mday = 1};
            assert_int_equal(civil_days(y, m, 1) * 86400, timegm(&tm));
        }
    }
    assert_int_equal(civil_days(1600, 2, 29) + 1, civil_days(1600, 3, 1));
    assert_int_equal(civil_days(1900, 2, 28) + 1, civil_days(1900, 3, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),      cmocka_unit_test(test_dates),
        cmocka_unit_test(test_no_century), cmocka_unit_test(test_update),
        cmocka_unit_test(test_absent),     cmocka_unit_test(test_civil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
